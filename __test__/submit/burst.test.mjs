// What a great many unfinished tasks take is given back when they are settled.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'

test('the memory of a burst goes when it is over, and tasks go on in what is left', async () => {
  const program = `
    import { WorkerPool } from 'threadmill'
    const pool = new WorkerPool({ threads: 2 })
    const MIB = 2 ** 20
    const used = () => (gc(), process.memoryUsage().heapUsed / MIB)
    const echo = async (count) => {
      const outputs = await Promise.all(Array.from({ length: count }, (_, n) => pool.kernels.echo(n)))
      return outputs.every((output, n) => output === n)
    }
    await echo(1000)
    const before = used()
    const lasting = pool.addTask(60, { kernel: 'fib' })
    lasting.catch(() => {})
    console.log(await echo(400_000))
    const during = used()
    lasting.cancel()
    await pool.whenIdle()
    while (pool.stats().abandoned > 0) await new Promise(setImmediate)
    // The next outcomes tell that nothing is held any more.
    console.log(await echo(1), await echo(1))
    const after = used()
    console.log(await echo(70_000), await pool.kernels.sha256('x').then((hash) => hash.length))
    await pool.close()
    console.log(during - before > 20 && after - before < 5 ? 'given back' : [before, during, after].join())
  `
  const { stdout, stderr, code } = await runProgram(program, { nodeArgs: ['--expose-gc'] })
  assert.deepEqual([stderr, stdout, code], ['', 'true\ntrue true\ntrue 64\ngiven back\n', 0])
})
