// Runs every snippet of README.md, and those of docs/*.md whose fence says `runnable`, as a user's file would run:
// in a folder of its own whose node_modules holds the package and its optional peers. A snippet fails that exits with
// another code than 0, writes to standard error, or does not do what its comments claim. Not part of `npm test`:
// `npm run test:docs`.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fits } from './check.cjs'
import { printsOf, snippetsOf, withChecks } from './page.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const checker = fileURLToPath(new URL('./check.cjs', import.meta.url))
const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
const TIMEOUT = 60_000
/** Packages that users bring along. */
const PEERS = ['prom-client', '@opentelemetry']

const docs = existsSync(path.join(root, 'docs')) ? readdirSync(path.join(root, 'docs')).sort() : []
const pages = ['README.md', ...docs.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]

for (const page of pages) {
  const isReadme = page === 'README.md'
  const snippets = snippetsOf(page, readFileSync(path.join(root, page), 'utf8'), isReadme)
  if (snippets.length === 0 && !isReadme) continue
  describe(page, () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-docs-'))
    after(() => rmSync(folder, { recursive: true, force: true }))
    mkdirSync(path.join(folder, 'node_modules'))
    symlinkSync(root, path.join(folder, 'node_modules/threadmill'), 'junction')
    for (const name of PEERS) {
      symlinkSync(path.join(root, 'node_modules', name), path.join(folder, 'node_modules', name), 'junction')
    }

    test('it has snippets', () => assert.ok(snippets.length > 0))
    for (const snippet of snippets) {
      test(`line ${snippet.line}${snippet.file ? `: file ${snippet.file}` : ''}`, () => {
        if (snippet.file === undefined) runSnippet(folder, snippet)
        else addFile(folder, snippet, snippets)
      })
    }
  })
}

function addFile(folder, snippet, all) {
  const later = all.slice(all.indexOf(snippet) + 1)
  const base = snippet.file.replace(/\.[cm]?[jt]s$/, '')
  assert.ok(
    later.some(({ code }) => code.includes(base)),
    `no later snippet of ${snippet.page} names ${snippet.file}`,
  )
  mkdirSync(path.dirname(path.join(folder, snippet.file)), { recursive: true })
  writeFileSync(path.join(folder, snippet.file), snippet.code)
}

function runSnippet(folder, { line, kind, code }) {
  let file = path.join(folder, `line-${line}.${kind}`)
  writeFileSync(file, code)
  if (kind.endsWith('ts')) file = compile(folder, file)
  writeFileSync(file, withChecks(readFileSync(file, 'utf8'), '__check'))

  const child = spawnSync(process.execPath, ['--require', checker, file], {
    cwd: folder,
    encoding: 'utf8',
    timeout: TIMEOUT,
    killSignal: 'SIGKILL',
  })
  assert.equal(child.error, undefined)
  assert.equal(child.stderr, '')
  assert.equal(child.status, 0)
  assertPrints(child.stdout, printsOf(code))
}

/** Every claimed line is there, in the claimed order; other lines may stand between. */
function assertPrints(stdout, claims) {
  const lines = stdout.split('\n')
  let from = 0
  for (const claim of claims) {
    const at = lines.findIndex((line, index) => index >= from && fits(line.trim(), claim))
    assert.notEqual(at, -1, `"${claim}" is not among the remaining output:\n${lines.slice(from).join('\n')}`)
    from = at + 1
  }
}

/** Compiles one TypeScript snippet, strictly; gives the path of the JavaScript beside it. */
function compile(folder, file) {
  const flags = ['--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023', '--strict', '--skipLibCheck']
  const types = ['--types', 'node', '--typeRoots', path.join(root, 'node_modules/@types')]
  const child = spawnSync(process.execPath, [tsc, ...flags, ...types, file], { cwd: folder, encoding: 'utf8' })
  assert.equal(child.status, 0, child.stdout + child.stderr)
  return file.replace(/ts$/, 'js')
}
