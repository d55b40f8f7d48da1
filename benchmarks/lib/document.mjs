// The parts of a Markdown file that a program writes: between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.

const PART = /(<!-- bench:([\w-]+) -->\n)[\s\S]*?(<!-- \/bench:\2 -->)/g

/** Names of the parts, in order. */
export function partsOf(text) {
  return [...text.matchAll(PART)].map(([, , name]) => name)
}

/**
 * @param {string} text
 * @param {(name: string) => string | undefined} content nothing for a part that stays
 * @returns {string} the text with the other parts replaced
 */
export function fill(text, content) {
  return text.replace(PART, (whole, start, name, end) => {
    const made = content(name)
    return made === undefined ? whole : `${start}\n${made}\n\n${end}`
  })
}
