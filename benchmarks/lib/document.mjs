// The parts of a Markdown file that a program writes: between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.

const PART = /(<!-- bench:([\w-]+) -->\n)[\s\S]*?(<!-- \/bench:\2 -->)/g

/** Names of the parts, in order. */
export function partsOf(text) {
  return [...text.matchAll(PART)].map(([, , name]) => name)
}

/**
 * @param {string} text
 * @param {(name: string) => string} content
 * @returns {string} the text with every part replaced
 */
export function fill(text, content) {
  return text.replace(PART, (_, start, name, end) => `${start}\n${content(name)}\n\n${end}`)
}
