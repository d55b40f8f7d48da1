// The reader of documentation snippets: it must notice what does not hold.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, fits } from './check.cjs'
import { printsOf, snippetsOf, withChecks } from './page.mjs'

const fence = (info, code) => `\`\`\`${info}\n${code}\n\`\`\`\n`
const run = (code) => new Function('__check', withChecks(code, '__check'))(check)

test('every snippet of a page is found, with its line and its module system', () => {
  const text = `# Title\n\n${fence('js', "import x from 'x'")}${fence('js', "require('x')")}${fence('sh', 'ls')}${fence('ts', 'let x')}`
  const found = snippetsOf('page', text, true).map(({ line, kind }) => [line, kind])
  assert.deepEqual(found, [
    [4, 'mjs'],
    [7, 'cjs'],
    [13, 'mts'],
  ])
})

test('where not every snippet counts, those marked runnable do', () => {
  const text = fence('js', 'a()') + fence('js runnable', 'b()')
  assert.deepEqual(
    snippetsOf('page', text, false).map(({ code }) => code),
    ['b()\n'],
  )
})

test('a file snippet says its name', () => {
  const [snippet] = snippetsOf('page', fence('js', '// file: worker.mjs\nexport {}'), true)
  assert.equal(snippet.file, 'worker.mjs')
})

test('a claim that holds passes', () => {
  run("1 + 1 // => 2\nconst x = 'a'.repeat(2) // => 'aa'\nnew Map([[x, 1]]) // => Map(1) { 'aa' => 1 }")
  run("[{ b: 1, a: [2] }] // => [{ a: [2], b: 1 }]\n'abcdef' // => 'ab…'")
})

test('a claim that does not hold fails', () => {
  assert.throws(() => run('1 + 1 // => 3'), assert.AssertionError)
  assert.throws(() => run("const x = 'b' // => 'a'"), assert.AssertionError)
  assert.throws(() => run("'abcdef' // => 'b…'"), assert.AssertionError)
  assert.throws(() => run('({ a: 1 }) // => { a: 1, b: 2 }'), assert.AssertionError)
})

test('a claim about a line without a value is refused', () => {
  assert.throws(() => withChecks('}) // => 2', '__check'), /no value/)
  assert.throws(() => withChecks('// => 2', '__check'), /no value/)
})

test('claimed output is listed in order', () => {
  assert.deepEqual(printsOf("console.log('a') // prints: a\nb() // prints: x … z\n"), ['a', 'x … z'])
  assert.ok(fits('x and (y) z', 'x … (y) z'))
  assert.ok(!fits('x z!', 'x z'))
})
