// The examples with types are those without: what the compiler makes of both is the same but for their heads, and for where
// the compiled ones find the module that workers load.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { after, before, test } from 'node:test'
import { example } from './helpers.mjs'

const names = readdirSync(example('typescript'))
  .filter((file) => file.endsWith('.mts'))
  .map((file) => path.parse(file).name)

/** What a typed example says in its own way, and what it stands for. */
const OWN = [
  [/^\/\/ Shows, with types: /m, '// Shows: '],
  [/^(\/\/ Run: {3}node examples\/)typescript\/(.+)\.mts\b/m, '$1$2.mjs'],
  [/^\/\/ \.\.\/math\.mjs with types\. /m, '// '],
  [/^import \{ extname \} from 'node:path';\n/m, ''],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as it is in the examples
  ['new URL(`./math${extname(import.meta.url)}`, ', "new URL('./math.mjs', "],
]

const folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-examples-'))
after(() => rmSync(folder, { recursive: true, force: true }))
before(() => {
  const tsc = path.resolve(example('.'), '../node_modules/typescript/bin/tsc')
  const files = names.flatMap((name) => [example(`${name}.mjs`), example(`typescript/${name}.mts`)])
  const layout = ['--rootDir', example('.'), '--outDir', folder, '--rewriteRelativeImportExtensions']
  const language = ['--module', 'nodenext', '--target', 'esnext', '--erasableSyntaxOnly', '--noCheck', '--allowJs']
  const options = ['--ignoreConfig', ...layout, ...language, '--types', 'node']
  const { status, stdout } = spawnSync(process.execPath, [tsc, ...options, ...files], { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})

test('there are typed examples', () => assert.equal(names.length, 5))

for (const name of names) {
  test(`${name} is the same with types and without`, () => {
    const read = (file) => readFileSync(path.join(folder, file), 'utf8')
    const untyped = OWN.reduce((text, [from, to]) => text.replace(from, to), read(`typescript/${name}.mjs`))
    const lines = (text) => text.split('\n').map((line) => line.trim())
    assert.deepEqual(lines(untyped), lines(read(`${name}.mjs`)))
  })
}
