// Back-pressure: by number (capacity) and by size (capacityBytes); ready() and the event drain.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { transfer, WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { Gates } from '../helpers/gates.mjs'
import { occupy, rejection, until } from '../helpers/pool.mjs'

const FULL = 'ERR_THREADMILL_QUEUE_FULL'
const CLOSED = 'ERR_THREADMILL_POOL_CLOSED'
const gatesModule = new URL('../js/fixtures/gates.mjs', import.meta.url)

/** A pool for kernels and one with a module, each with options for its tasks. */
const both = (options) => [
  [new WorkerPool({ threads: 1, ...options }), { kernel: 'xxh3' }],
  [new WorkerPool('data:text/javascript,export default (input) => input.length', { maxWorkers: 1, ...options }), {}],
]

async function collect(outputs) {
  const all = []
  for await (const output of outputs) all.push(output)
  return all
}

const turn = () => new Promise(setImmediate)

/** Whether a promise has been settled by now. */
async function isSettled(promise) {
  let settled = false
  const note = () => {
    settled = true
  }
  promise.then(note, note)
  await turn()
  return settled
}

/** Counts events. */
function count(pool, event) {
  const calls = { count: 0 }
  pool.on(event, () => calls.count++)
  return calls
}

describe('ready', () => {
  test('resolves at once when there is room, and when a task has ended otherwise', async () => {
    const pool = new WorkerPool({ threads: 1, capacity: 1 })
    await pool.ready()
    const gate = await occupy(pool)
    await assert.rejects(pool.kernels.fib(1), { code: FULL })
    const ready = pool.ready()
    assert.equal(await isSettled(ready), false)
    await gate.release()
    await ready
    assert.equal(await pool.kernels.fib(10), 55)
    await pool.close()
  })

  test('tells those who wait in turn, as many as there is room for', async () => {
    const pool = new WorkerPool({ threads: 1, capacity: 3 })
    const gate = await occupy(pool)
    const tasks = []
    const start = () => {
      const task = pool.addTask(60, { kernel: 'fib' })
      task.catch(() => {})
      tasks.push(task)
    }
    const cancel = (count) => {
      for (const task of tasks.splice(0, count)) task.cancel()
    }
    for (let i = 0; i < 2; i++) start()
    const told = []
    for (let i = 0; i < 4; i++) {
      pool.ready().then(() => {
        told.push(i)
        start()
      })
    }
    cancel(1)
    await until(() => told.length > 0)
    await turn()
    assert.deepEqual(told, [0])
    cancel(2)
    await until(() => told.length > 1)
    await turn()
    assert.deepEqual(told, [0, 1, 2])
    await gate.release()
    await until(() => told.length === 4)
    await turn()
    await assert.rejects(pool.kernels.fib(1), { code: FULL })
    await pool.destroy()
  })

  test('who was told and does not take the room leaves it to the next', async () => {
    const pool = new WorkerPool({ threads: 1, capacity: 2 })
    const gate = await occupy(pool)
    const other = pool.addTask(60, { kernel: 'fib' })
    const told = []
    for (let i = 0; i < 4; i++) pool.ready().then(() => told.push(i))
    await turn()
    assert.deepEqual(told, [])
    other.cancel()
    await rejection(other)
    await until(() => told.length === 4)
    assert.deepEqual(told, [0, 1, 2, 3])
    await gate.release()
    await pool.close()
  })

  test('those who submit when they are told are not refused, however many wait', async () => {
    for (const [pool, options] of both({ capacity: 50 })) {
      let refused = 0
      const caller = async () => {
        for (let done = 0; done < 5; ) {
          await pool.ready()
          await pool.run('x', options).then(
            () => done++,
            (error) => {
              assert.equal(error.code, FULL)
              refused++
            },
          )
        }
      }
      await Promise.all(Array.from({ length: 1000 }, caller))
      assert.equal(refused, 0)
      await pool.close()
    }
  })

  test('a signal that aborts leaves the line, and nobody else loses by it', async () => {
    const pool = new WorkerPool({ threads: 1, capacity: 1 })
    assert.equal(
      await rejection(pool.ready({ signal: AbortSignal.abort('early') })),
      'early',
      'also when there is room',
    )
    const gate = await occupy(pool)
    const controller = new AbortController()
    const { signal } = controller
    const told = []
    const aborted = [1, 2].map(() => rejection(pool.ready({ signal })))
    pool.ready().then(() => {
      told.push('next')
      pool.addTask(60, { kernel: 'fib' }).catch(() => {})
    })
    const last = rejection(pool.ready({ signal }))
    const others = rejection(pool.ready({ signal: new AbortController().signal }))
    controller.abort('late')
    assert.deepEqual(await Promise.all([...aborted, last]), ['late', 'late', 'late'])
    assert.deepEqual(told, [])
    await gate.release()
    await until(() => told.length === 1)
    await turn()
    await pool.destroy()
    assert.equal((await others).code, CLOSED)
  })

  test('a wait that is over keeps no listener on its signal', async () => {
    const pool = new WorkerPool({ threads: 1, capacity: 1 })
    let listeners = 0
    const target = new EventTarget()
    const signal = {
      aborted: false,
      reason: 'late',
      addEventListener(...args) {
        listeners++
        target.addEventListener(...args)
      },
      removeEventListener(...args) {
        listeners--
        target.removeEventListener(...args)
      },
    }
    const gate = await occupy(pool)
    const ready = pool.ready({ signal })
    assert.equal(listeners, 1)
    await gate.release()
    await ready
    assert.equal(listeners, 0)
    await pool.close()
  })

  test('bad options reject', async () => {
    const pool = new WorkerPool({ threads: 1 })
    for (const options of [5, null, { signal: {} }, { signal: null }]) {
      await assert.rejects(pool.ready(options), { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
    }
    await pool.ready({ signal: undefined })
    await pool.close()
  })

  for (const end of ['close', 'dispose', 'destroy']) {
    test(`rejects when the pool ends before, by ${end}, and afterwards`, async () => {
      const pool = new WorkerPool({ threads: 1, capacity: 1 })
      const task = pool.addTask(60, { kernel: 'fib' })
      task.catch(() => {})
      const ready = rejection(pool.ready())
      const ended = pool[end]()
      assert.equal((await ready).code, CLOSED)
      task.cancel()
      await ended
      await assert.rejects(pool.ready(), { code: CLOSED })
    })
  }

  test('producers that await it all get their turn', async () => {
    for (const [pool, options] of both({ capacity: 5 })) {
      let done = 0
      const producer = async () => {
        for (let i = 0; i < 50; ) {
          await pool.ready()
          try {
            pool.addTask('x', options).then(() => done++)
            i++
          } catch (error) {
            assert.equal(error.code, FULL)
          }
        }
      }
      await Promise.all(Array.from({ length: 20 }, producer))
      await pool.whenIdle()
      assert.equal(done, 1000)
      await pool.close()
    }
  })
})

describe('drain', () => {
  test('comes once per fullness, and not while the pool ends', async () => {
    const pool = new WorkerPool({ threads: 1, capacity: 3 })
    const drains = count(pool, 'drain')
    await pool.kernels.fib(5)
    assert.equal(drains.count, 0, 'it was not full')
    for (let round = 1; round <= 3; round++) {
      const gate = await occupy(pool)
      const others = [pool.kernels.fib(1), pool.kernels.fib(2)]
      for (let i = 0; i < 3; i++) await assert.rejects(pool.kernels.fib(1), { code: FULL })
      assert.equal(drains.count, round - 1)
      await gate.release()
      await Promise.all(others)
      await pool.whenIdle()
      assert.equal(drains.count, round)
    }
    const tasks = Array.from({ length: 3 }, () => rejection(pool.kernels.fib(60)))
    await pool.destroy()
    await Promise.all(tasks)
    assert.equal(drains.count, 3)
  })

  test('a listener has room, and may fill it again', async () => {
    const pool = new WorkerPool({ threads: 1, capacity: 2 })
    const fill = () => {
      for (let added = 0; ; added++) {
        try {
          pool.addTask(10, { kernel: 'fib' })
        } catch (error) {
          assert.equal(error.code, FULL)
          return added
        }
      }
    }
    const added = []
    pool.on('drain', () => added.length < 20 && added.push(fill()))
    fill()
    while (added.length < 20) await pool.whenIdle()
    assert.ok(added.every((tasks) => tasks > 0))
    await pool.close()
  })
})

describe('capacityBytes', () => {
  const kilobyte = new Uint8Array(1000)

  test('counts what inputs take until their tasks have ended', async () => {
    const pool = new WorkerPool({ threads: 1, capacityBytes: 2500 })
    const gate = await occupy(pool)
    const tasks = [pool.kernels.sha256(kilobyte), pool.kernels.sha256('x'.repeat(500))]
    await assert.rejects(pool.kernels.sha256(kilobyte), (error) => {
      assert.match(error.message, /2000 bytes of inputs of its 2500; 1000 more/)
      return error.code === FULL
    })
    const last = pool.kernels.sha256(new Uint8Array(500))
    await assert.rejects(pool.kernels.sha256('x'), { code: FULL })
    const free = pool.kernels.fib(10)
    await gate.release()
    await Promise.all([...tasks, last])
    assert.equal(await free, 55, 'a task without bytes')
    await pool.whenIdle()
    for (let i = 0; i < 10; i++) await pool.kernels.sha256(kilobyte)
    await pool.close()
  })

  test('every way in counts', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(1000))
    const gates = new Gates()
    const pool = new WorkerPool(gatesModule, { maxWorkers: 1, workerData: gates.memory, capacityBytes: 5000 })
    const held = async (submit) => {
      const gate = await gates.hold(pool, 0)
      const task = submit()
      const error = await rejection(pool.run('x'.repeat(2500)))
      const [, bytes] = /holds (\d+) bytes/.exec(error.message)
      await gate.release()
      await task
      return Number(bytes)
    }
    // The names in it have a number once they have come often, and take less then.
    for (let i = 0; i < 30; i++) await held(() => undefined)
    const base = await held(() => undefined)
    const of = async (submit) => (await held(submit)) - base
    assert.equal(await of(() => pool.run('x'.repeat(100))), 200)
    assert.equal(await of(() => pool.run(new Uint8Array(1000))), 1000)
    // A clone of a view has the whole memory.
    assert.ok((await of(() => pool.run(new Uint8Array(new ArrayBuffer(1000), 100, 50)))) >= 1000)
    assert.equal(await of(() => pool.run(5)), 0)
    assert.equal(await of(() => pool.run(shared)), 0)
    const object = await of(() => pool.run({ bytes: new Uint8Array(1000), text: 'x'.repeat(100) }))
    assert.ok(object >= 1100 && object < 1500, `${object}`)
    const moved = () => new Uint8Array(1000)
    assert.equal(
      await of(() => {
        const bytes = moved()
        return pool.run(bytes, { transfer: [bytes.buffer] })
      }),
      1000,
    )
    assert.equal(
      await of(() => {
        const bytes = moved()
        return pool.run({ bytes }, { transfer: [bytes.buffer] })
      }),
      1000,
    )
    assert.equal(
      await of(() => {
        const bytes = moved()
        return pool.run(transfer({ bytes }, [bytes.buffer]))
      }),
      1000,
    )
    const lying = await of(() => pool.run(Object.defineProperty(moved(), 'byteLength', { value: Number.NaN })))
    assert.ok(lying >= 1000 && lying < 1100, `${lying}`)
    await pool.close()
  })

  test('a task that is alone is admitted, however big', async () => {
    for (const [pool, options] of both({ capacityBytes: 1 })) {
      for (let i = 0; i < 3; i++) {
        const first = pool.run(new Uint8Array(100_000), options)
        await assert.rejects(pool.run(kilobyte, options), { code: FULL })
        await first
        await pool.whenIdle()
      }
      await pool.close()
    }
  })

  test('what is refused is not moved, and launches no worker', async () => {
    const gates = new Gates()
    const pool = new WorkerPool(gatesModule, {
      maxWorkers: 2,
      workerData: gates.memory,
      capacityBytes: 1500,
      threads: 1,
    })
    const gate = await gates.hold(pool, 0)
    const blocker = await occupy(pool)
    const waiting = [pool.run(kilobyte, { workerAffinity: 0, affinityStrength: 'force' })]
    const launched = pool.workers.length
    const bytes = new Uint8Array(1000)
    for (const submit of [
      () => pool.run(bytes, { transfer: [bytes.buffer] }),
      () => pool.run(transfer({ bytes }, [bytes.buffer])),
      () => pool.run({ bytes }, { transfer: [bytes.buffer] }),
      () => pool.run(bytes, { kernel: 'sha256', transfer: [bytes.buffer] }),
      () => pool.kernels.sort(bytes, { transfer: [bytes.buffer] }),
      () => pool.run({ text: 'x'.repeat(1000) }),
    ]) {
      await assert.rejects(submit(), { code: FULL })
      assert.equal(bytes.length, 1000)
      assert.equal(pool.workers.length, launched)
    }
    await gate.release()
    await blocker.release()
    await Promise.all(waiting)
    await pool.close()
  })

  test('cancelled, failed and expired tasks give their bytes back', async () => {
    const pool = new WorkerPool({ threads: 1, capacityBytes: 1000 })
    const gate = await occupy(pool)
    for (let round = 0; round < 3; round++) {
      const task = pool.addTask(kilobyte, { kernel: 'sha256' })
      task.cancel()
      await rejection(task)
      await rejection(pool.run(kilobyte, { kernel: 'sha256', timeout: 1 }))
    }
    await gate.release()
    for (let round = 0; round < 3; round++) await rejection(pool.kernels.gunzip(kilobyte))
    assert.equal(typeof (await pool.kernels.sha256(kilobyte)), 'string')
    await pool.close()
  })

  test('ready waits until there is room for what was refused; then comes drain', async () => {
    const pool = new WorkerPool({ threads: 1, capacityBytes: 1000 })
    const drains = count(pool, 'drain')
    const gate = await occupy(pool)
    const small = Array.from({ length: 4 }, () => pool.addTask(new Uint8Array(200), { kernel: 'sha256' }))
    await pool.ready()
    await assert.rejects(pool.kernels.sha256(new Uint8Array(500)), { code: FULL })
    const ready = pool.ready()
    assert.equal(await isSettled(ready), false, 'there is room for 200 bytes, and 500 are wanted')
    small[0].cancel()
    await rejection(small[0])
    assert.equal(await isSettled(ready), false)
    assert.equal(drains.count, 0)
    small[1].cancel()
    await rejection(small[1])
    await ready
    assert.equal(drains.count, 1)
    const big = pool.kernels.sha256(new Uint8Array(500))
    await gate.release()
    await Promise.all([...small.slice(2), big])
    await pool.close()
  })

  for (const ordered of [true, false]) {
    test(`map and stream wait for room, ${ordered ? 'ordered' : 'as they come'}`, async () => {
      const sizes = Array.from({ length: 60 }, (_, i) => (i * 37) % 1000)
      for (const [pool, kind] of both({ capacityBytes: 1500 })) {
        const options = { ...kind, ordered }
        const inputs = () => sizes.map((size) => new Uint8Array(size))
        const outputs = await Promise.all([
          collect(pool.map(inputs(), options)),
          collect(pool.map(inputs(), options)),
          new Promise((resolve, reject) => {
            const all = []
            const stream = pool.stream(options)
            stream
              .on('data', (output) => all.push(output))
              .on('end', () => resolve(all))
              .on('error', reject)
            for (const input of inputs()) stream.write(input)
            stream.end()
          }),
        ])
        for (const list of outputs) assert.equal(list.length, sizes.length)
        if (ordered && options.kernel === undefined) for (const list of outputs) assert.deepEqual(list, sizes)
        await pool.close()
      }
    })
  }

  for (const [value, name] of [
    [0, 'RangeError'],
    [1.5, 'RangeError'],
    [2 ** 53, 'RangeError'],
    ['5', 'TypeError'],
    [5n, 'TypeError'],
  ]) {
    test(`capacityBytes: ${value} throws`, () => {
      assert.throws(() => new WorkerPool({ capacityBytes: value }), { name, message: /options\.capacityBytes must be/ })
    })
  }
})

describe('memory stays flat under a producer that is faster than the pool', () => {
  const TASKS = process.env.THREADMILL_STRESS === 'full' ? 1_000_000 : 200_000
  const setup = (kind) => `import { WorkerPool } from 'threadmill'
    const [TASKS, CAPACITY] = [${TASKS}, 1000]
    const options = ${kind === 'kernel' ? `{ kernel: 'echo' }` : '{}'}
    const pool = new WorkerPool(${kind === 'kernel' ? '' : `'data:text/javascript,export default (n) => n', `}{ capacity: CAPACITY, threads: 1 })
    let [made, done, most, refused, base, peak] = [0, 0, 0, 0, 0, 0]
    const measure = () => { globalThis.gc(); return process.memoryUsage().heapUsed }
    const note = () => {
      most = Math.max(most, made - done)
      if (made === 20_000) base = measure()
      else if (made % 20_000 === 0) peak = Math.max(peak, measure())
    }
    const report = () => console.log(JSON.stringify({ done, most, refused, grown: (peak - base) / 1048576 }))\n`
  const check = async (source) => {
    const { code, stdout, stderr } = await runProgram(source, { nodeArgs: ['--expose-gc'] })
    assert.deepEqual([code, stderr], [0, ''])
    const { done, most, refused, grown } = JSON.parse(stdout)
    assert.deepEqual([done, refused], [TASKS, 0])
    return [most, grown]
  }

  for (const kind of ['kernel', 'entry function']) {
    test(`a loop that awaits ready(), ${kind}`, async () => {
      const [most, grown] = await check(`${setup(kind)}
        while (made < TASKS) {
          await pool.ready()
          pool.run(made++, options).then(() => { done++ }, () => { refused++ })
          note()
        }
        await pool.whenIdle()
        await pool.close()
        report()`)
      assert.equal(most, 1000)
      assert.ok(grown < 4, `${grown} MiB`)
    })

    test(`map over a generator, ${kind}`, async () => {
      const [most, grown] = await check(`${setup(kind)}
        function* inputs() { while (made < TASKS) { yield made++; note() } }
        for await (const _ of pool.map(inputs(), { ...options, concurrency: 2000 })) done++
        await pool.close()
        report()`)
      // What has ended and was not consumed counts towards the concurrency; one more is in the source's hands.
      assert.ok(most <= 2001, `${most}`)
      assert.ok(grown < 8, `${grown} MiB`)
    })
  }
})

test('what a listener of worker-launched submits counts before the task that the worker is launched for', async () => {
  for (const input of [7, { a: 7 }]) {
    const gates = new Gates()
    const pool = new WorkerPool(gatesModule, { maxWorkers: 3, capacity: 2, workerData: gates.memory })
    // From then on the shortest way is known, and one worker is there.
    await pool.run(input)
    const held = await gates.hold(pool, 0)
    const gate = gates.closed()
    const others = []
    pool.once('worker-launched', () => others.push(pool.run({ do: 'block', gate })))
    const refused = await rejection(pool.run(input))
    assert.deepEqual([others.length, refused.code], [1, FULL])
    gates.open(gate)
    await Promise.all([held.release(), ...others])
    await pool.close()
  }
})
