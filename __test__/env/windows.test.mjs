// What Windows does otherwise, played on any platform.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { test } from 'node:test'
import { newFolder, runProgram } from '../helpers/child.mjs'

const { writeWhole } = createRequire(import.meta.url)('../../dist/whole-file.js')

const refusal = (code) => Object.assign(new Error(`${code}: rename`), { code })

/** Writes a file where the first times that it is moved are refused so; how often it was tried. */
function replace(t, file, refusals) {
  const { renameSync } = fs
  const tries = t.mock.method(fs, 'renameSync', (...given) => {
    const code = refusals.shift()
    if (code !== undefined) throw refusal(code)
    renameSync(...given)
  })
  try {
    writeWhole(file, (output) => fs.writeSync(output, 'new'))
  } finally {
    t.mock.restoreAll()
  }
  return tries.mock.callCount()
}

test('a file that somebody else has open is replaced when it can be', (t) => {
  const file = path.join(newFolder(t), 'costs.json')
  fs.writeFileSync(file, 'old')
  const inUse = () => ['EPERM', 'EBUSY', 'EACCES']
  const real = Object.getOwnPropertyDescriptor(process, 'platform')
  t.after(() => Object.defineProperty(process, 'platform', real))
  Object.defineProperty(process, 'platform', { ...real, value: 'win32' })
  assert.equal(replace(t, file, inUse()), 4)
  assert.equal(fs.readFileSync(file, 'utf8'), 'new')
  assert.throws(() => replace(t, file, ['ENOSPC']), { code: 'ENOSPC' })
  assert.throws(() => replace(t, file, new Array(10).fill('EBUSY')), { code: 'EBUSY' })
  Object.defineProperty(process, 'platform', { ...real, value: 'linux' })
  assert.throws(() => replace(t, file, inUse()), { code: 'EPERM' })
  assert.deepEqual(fs.readdirSync(path.dirname(file)), ['costs.json'], 'nothing is left behind')
})

test('a process that cannot send itself a signal ends all the same', async () => {
  const { code, signal, stdout, stderr } = await runProgram(`import { WorkerPool } from 'threadmill'
    process.kill = () => { throw Object.assign(new Error('kill ENOSYS'), { code: 'ENOSYS' }) }
    const pool = new WorkerPool({ threads: 1 }).installSignalHandlers(['SIGHUP'])
    pool.onShutdown(() => console.log('cleaned'))
    process.emit('SIGHUP', 'SIGHUP')
    setInterval(() => {}, 1000)`)
  assert.deepEqual([code, signal, stdout, stderr], [129, null, 'cleaned\n', ''])
})

test('the number of a failure is the one that Node has for its code', async () => {
  const { stdout } = await runProgram(`import { WorkerPool } from 'threadmill'
    import util from 'node:util'
    const pool = new WorkerPool()
    await pool.kernels.echo(1)
    Object.defineProperty(process, 'platform', { value: 'win32' })
    util.getSystemErrorMap = () => new Map([[-4071, ['EINVAL', '']], [-4058, ['ENOENT', '']]])
    const { cause } = await pool.kernels.hashFile({ path: 'nowhere', algorithm: 'sha256' }).catch((error) => error)
    console.log(cause.code, cause.errno, cause.syscall)`)
  assert.equal(stdout, 'ENOENT -4058 open\n')
})
