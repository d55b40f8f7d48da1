// Reads the snippets of a Markdown page and turns their claims into checks.
//
// A fence of js, mjs, cjs or ts is a snippet. Its lines may claim what happens:
//   expression // => value     the value, compared deeply; `…` in it stands for any text
//   const x = expression // => value
//   console.log(x) // prints: text    the next line of output, `…` as above
// A snippet whose first line is `// file: name` is not run: it is a file that a later snippet of the page names.

/**
 * @typedef {object} Snippet
 * @property {string} page
 * @property {number} line where its code starts, from 1
 * @property {'mjs' | 'cjs' | 'mts' | 'cts'} kind
 * @property {string} code
 * @property {string | undefined} file name, when it is a file for later snippets
 */

const FENCE = /^(?<indent> *)```(?<language>js|mjs|cjs|ts)(?<flags>[^\n]*)\n(?<code>[\s\S]*?)^\k<indent>```/gm

/**
 * @param {string} page name, for messages
 * @param {string} text Markdown
 * @param {boolean} all whether every snippet counts, or only those whose fence says `runnable`
 * @returns {Snippet[]}
 */
export function snippetsOf(page, text, all) {
  const found = []
  for (const match of text.matchAll(FENCE)) {
    const { language, flags, code } = match.groups
    if (!all && !flags.split(/\s+/).includes('runnable')) continue
    const line = text.slice(0, match.index).split('\n').length + 1
    const file = /^\s*\/\/ file: (\S+)\s*$/m.exec(code.split('\n')[0])?.[1]
    found.push({ page, line, kind: kindOf(language, code), code, file })
  }
  return found
}

function kindOf(language, code) {
  if (language === 'mjs' || language === 'cjs') return language
  const isModule = /^\s*(?:import[\s{'"]|export\b)/m.test(code) || !/\brequire\(/.test(code)
  if (language === 'ts') return isModule ? 'mts' : 'cts'
  return isModule ? 'mjs' : 'cjs'
}

/**
 * Turns every `// => value` into a call that checks it. Works on JavaScript, one statement a line.
 *
 * @param {string} code
 * @param {string} check name of a function `(actual, expected: string) => void`
 */
export function withChecks(code, check) {
  const lines = code.split('\n').map((line) => {
    const claim = /^(\s*)(.*?)\s*\/\/ => (.+?)\s*$/.exec(line)
    if (claim === null) return line
    const [, indent, statement, expected] = claim
    const source = statement.replace(/;$/, '')
    const wanted = JSON.stringify(expected)
    const declared = /^(?:const|let|var)\s+([\w$]+)\s*=\s*(.+)$/.exec(source)
    if (declared !== null) return `${indent}${source}; ${check}(${declared[1]}, ${wanted})`
    if (source === '' || /^(?:const|let|var|if|for|while|return|import|export|[})\].])/.test(source)) {
      throw new Error(`this line has no value of its own to compare: ${line.trim()}`)
    }
    // The semicolons keep the parentheses from continuing the line before.
    return `${indent};${check}((${source}), ${wanted});`
  })
  return lines.join('\n')
}

/**
 * The texts that a snippet claims to print, in order.
 *
 * @param {string} code
 */
export function printsOf(code) {
  return [...code.matchAll(/\/\/ prints: (.+?)\s*$/gm)].map((match) => match[1])
}
