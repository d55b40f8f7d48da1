// Compares what a snippet claims with what happened. Loaded before a snippet (node --require), it also gives the
// snippet the function that its claims call.
const assert = require('node:assert')
const { inspect } = require('node:util')
const vm = require('node:vm')

/**
 * Whether a text is what a pattern says; `…` in the pattern stands for any text.
 *
 * @param {string} text
 * @param {string} pattern
 */
function fits(text, pattern) {
  const parts = pattern.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 's').test(text)
}

/**
 * @param {unknown} actual
 * @param {string} expected a JavaScript expression, or what `util.inspect` shows, with `…` for any text
 */
function check(actual, expected) {
  const text = inspect(actual, { depth: null, breakLength: Number.POSITIVE_INFINITY })
  if (fits(text, expected)) return
  let value
  try {
    value = vm.runInThisContext(`(${expected})`)
  } catch {
    assert.fail(`expected ${expected}, got ${text}`)
  }
  assert.deepStrictEqual(actual, value)
}

globalThis.__check = check

module.exports = { check, fits }
