// Under `node --watch`, where threads tell which files they load by `parentPort`.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'

const folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-watch-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const FILES = {
  'loaded.cjs': '',
  'entry.mjs': `import './loaded.cjs'
    export default (input) => input + 1`,
  'entry.cjs': `require('./loaded.cjs')
    module.exports = (input) => input + 1`,
  'raw.cjs': `const { parentPort } = require('node:worker_threads')
    require('./loaded.cjs')
    parentPort.on('message', (input) => parentPort.postMessage(input + 1))`,
  'once.cjs': `const { parentPort } = require('node:worker_threads')
    require('./loaded.cjs')
    parentPort.postMessage(2)`,
  'main.cjs': `const { runWorker, WorkerPool } = require(${JSON.stringify(createRequire(import.meta.url).resolve('threadmill'))})
    const path = require('node:path')
    const of = (file) => path.join(__dirname, file)
    async function main() {
      for (const file of ['entry.mjs', 'entry.cjs', 'raw.cjs']) {
        const pool = new WorkerPool(of(file), { maxWorkers: 1 })
        pool.onMessage('message', (contents) => console.log('heard', contents))
        console.log(file, await pool.run(1))
        await pool.close()
      }
      console.log('once.cjs', await runWorker(of('once.cjs')))
    }
    main().then(() => console.log('done'), (error) => console.log('failed', error))`,
}

test('entry modules, raw scripts and scripts of runWorker get and give what is theirs', {
  timeout: 60_000,
}, async () => {
  for (const [name, text] of Object.entries(FILES)) writeFileSync(path.join(folder, name), text)
  const env = { ...process.env, NODE_OPTIONS: '' }
  const child = spawn(process.execPath, ['--watch', path.join(folder, 'main.cjs')], { env })
  let output = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    output += chunk
    if (/^(?:done|failed)/m.test(output)) break
  }
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  const lines = output.split('\n').filter((line) => /^(?:\w+\.\w+ |heard|failed|done)/.test(line))
  assert.deepEqual(lines, ['entry.mjs 2', 'entry.cjs 2', 'raw.cjs 2', 'once.cjs 2', 'done'])
})
