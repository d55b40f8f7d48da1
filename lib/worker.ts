// Stage: run. Thread: a JS worker. The script that workers start with.
// Loads the entry module, then takes tasks and gives answers, one native call for both. The event loop stays free:
// nothing here waits for work, the doorbell brings it.
//
// J5. An answer is handed over before the next task begins, and before the loop yields.
// J6. `onWorkerStart` has finished before any task or message; `onWorkerExit` runs once, after the last task.

import { createRequire, syncBuiltinESMExports } from 'node:module'
import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers'
import { type Transferable, workerData } from 'node:worker_threads'
import { checkType, Listeners, rethrow } from './callbacks'
import { decode, type Encoded, encode, POSTED } from './codec'
import { type EntryFunction, type LoadedEntry, loadEntry } from './entry'
import { ThreadmillError } from './errors'
import type { Launch, Order, Report } from './lane'
import { native } from './native'
import { takeSeat } from './port'
import { decodeReason, encodeReason } from './reason'
import { SeatPool } from './seat'
import { setOwnEntry } from './self'
import type { TaskHandle } from './task'
import { transferOf } from './transfer'

const { poolId, index, place, control, concurrency, seat, workerData: usersData } = workerData as Launch

/** Numbers per answer and per task; see src/js.rs. */
const ANSWER_STRIDE = 6
const TASK_STRIDE = 6
/** Most messages in one exchange, as in the core. */
const MAILS = 64
/** Longest time without a turn of the event loop, ms. */
const YIELD = 10
const now = performance.now.bind(performance)

/** The function with its hooks. */
type Entry = EntryFunction & {
  readonly onWorkerStart?: (client: Client) => unknown
  readonly onWorkerExit?: (client: Client) => unknown
  readonly preTask?: (input: unknown, client: Client) => unknown
}

/** See `IWorkerClient` in index.d.ts. */
class Client {
  readonly id = index
  readonly #listeners = new Listeners()

  postMessageToPool(type: string, contents?: unknown): this {
    checkType(type)
    const encoded = encode(contents)
    if (encoded.codec === POSTED) throw notYet('contents')
    native.postToPool(type, encoded.codec, encoded.data)
    return this
  }

  onMessage(type: string, listener: (contents: never, client: never) => void): this {
    this.#listeners.add(checkType(type), listener)
    return this
  }

  removeMessageListener(type: string, listener: (contents: never, client: never) => void): this {
    this.#listeners.remove(checkType(type), listener)
    return this
  }

  addTask(input?: unknown, options?: object): TaskHandle<never> {
    if (loaded === undefined) {
      throw new ThreadmillError('ERR_THREADMILL_SYSTEM', 'tasks can be submitted when onWorkerStart has finished')
    }
    seatPool ??= new SeatPool(index, seat, setWaiting)
    const task = seatPool.addTask(input, options)
    scheduleTurn()
    return task as TaskHandle<never>
  }

  static deliver(client: Client, type: string, contents: unknown): void {
    client.#listeners.call(type, contents, client)
  }
}

function notYet(what: string): ThreadmillError {
  return new ThreadmillError('ERR_THREADMILL_SYSTEM', `${what} hold an object that only postMessage can move`)
}

/** Made with the first task that this worker submits. */
let seatPool: SeatPool | undefined
/** Tasks of this worker that have not returned: their ids. */
const unfinished = new Map<number, number>()
/** Whether tasks that this worker submitted are unsettled (J7 in seat.ts). */
let isWaiting = false

function setWaiting(waits: boolean): void {
  isWaiting = waits
  for (const [idIndex, idGeneration] of unfinished) native.setBlocked(idIndex, idGeneration, waits)
  scheduleTurn()
}

const client = new Client()
let loaded: LoadedEntry
let exiting = false

// Room for the answers of all slots twice over; see `answer`.
const answers = new Float64Array(64 * ANSWER_STRIDE)
let answerCount = 0
let answerValues: unknown[] = []
const tasks = new Float64Array((MAILS + concurrency) * TASK_STRIDE)
let inTurn = false
let turnScheduled = false

/** Notes how a task ended. */
function answer(idIndex: number, idGeneration: number, value: unknown, failed: boolean): void {
  const at = answerCount * ANSWER_STRIDE
  let [tag, payload, codec] = [0, 0, 0]
  if (typeof value === 'number' && !failed) [tag, payload] = [4, value]
  else {
    let encoded = failed ? encodeReason(value) : tryEncode(idIndex, idGeneration, value)
    if (encoded === undefined) {
      encoded = encodeReason(lastFault)
      failed = true
    }
    tag = 5
    payload = answerValues.length
    codec = encoded.codec
    answerValues.push(encoded.data)
  }
  answers[at] = idIndex
  answers[at + 1] = idGeneration
  answers[at + 2] = tag
  answers[at + 3] = payload
  answers[at + 4] = codec
  answers[at + 5] = failed ? 1 : 0
  answerCount++
  if (answerCount * ANSWER_STRIDE === answers.length) handOver(false)
}

let lastFault: unknown
let nextOutput = 0
function tryEncode(idIndex: number, idGeneration: number, value: unknown): Encoded | undefined {
  try {
    const marked = transferOf(value)
    const encoded: Encoded = marked === undefined ? encode(value) : { codec: POSTED, data: marked.value }
    if (encoded.codec !== POSTED) return encoded
    // Nobody would fetch the output of a task that was given up.
    if (!native.isWanted(idIndex, idGeneration)) return { codec: 0, data: undefined }
    const key = nextOutput++
    const report: Report = { type: 'output', key, value: encoded.data }
    control.postMessage(report, (marked?.list ?? []) as Transferable[])
    return { codec: POSTED, data: key }
  } catch (error) {
    lastFault = error
    return undefined
  }
}

/** Hands the answers over; with `take` brings what is to begin now. */
function handOver(take: boolean, values: unknown[] = []): number {
  seatPool?.report()
  const [count, given] = [answerCount, answerValues]
  answerCount = 0
  if (given.length > 0) answerValues = []
  // Tasks that go on in the background need the event loop.
  return native.exchange(answers, count, given, tasks, values, take, count > 0 && unfinished.size === 0)
}

/** Begins what there is, until there is nothing or the event loop has waited long enough. */
function turn(): void {
  if (inTurn || loaded === undefined) return
  inTurn = true
  try {
    for (;;) {
      const values: unknown[] = []
      const count = handOver(!exiting, values)
      if (count <= 0) break
      for (let at = 0; at < count * TASK_STRIDE; at += TASK_STRIDE) {
        try {
          begin(at, values)
        } catch (error) {
          // One task or message must not cost the others.
          rethrow(error)
        }
      }
      if (now() - sliceStart >= YIELD) {
        if (answerCount > 0) handOver(false)
        setImmediate(freshTurn)
        break
      }
    }
  } finally {
    inTurn = false
  }
}

/** When the event loop last came round, as far as is known. */
let sliceStart = 0

/** A turn that the event loop has called for. */
function freshTurn(): void {
  sliceStart = now()
  turn()
}

/** A task has ended outside a turn: the answers of this turn of the microtask queue go together. */
function scheduleTurn(): void {
  if (inTurn || turnScheduled) return
  turnScheduled = true
  queueMicrotask(() => {
    turnScheduled = false
    // Microtasks after microtasks would keep timers and I/O waiting for ever.
    if (now() - sliceStart < YIELD) turn()
    else setImmediate(freshTurn)
  })
}

const SIMPLE = [undefined, null, true, false]

function begin(at: number, values: unknown[]): void {
  const tag = tasks[at + 2] as number
  const payload = tasks[at + 3] as number
  const codec = tasks[at + 4] as number
  if (tag === 9) {
    const [type, data] = values[payload] as [string, unknown]
    Client.deliver(client, type, decode(codec, data))
    return
  }
  const [idIndex, idGeneration, optionsAt] = [tasks[at], tasks[at + 1], tasks[at + 5]] as [number, number, number]
  if (codec === POSTED) {
    const report: Report = { type: 'fetch', key: payload }
    control.postMessage(report)
    fetched.set(payload, (read) => {
      run(idIndex, idGeneration, optionsAt < 0 ? undefined : (values[optionsAt] as string), read)
      scheduleTurn()
    })
    return
  }
  run(idIndex, idGeneration, optionsAt < 0 ? undefined : (values[optionsAt] as string), () =>
    tag === 4 ? payload : tag < 4 ? SIMPLE[tag] : decode(codec, values[payload]),
  )
}

/** Tasks that wait for their inputs, by key. */
const fetched = new Map<number, (read: () => unknown) => void>()

/** The input of a task has come. */
function receive(key: number, read: () => unknown): void {
  const begin = fetched.get(key)
  fetched.delete(key)
  begin?.(read)
}

function fail(reason: unknown): never {
  throw reason
}

/** Runs a task. */
function run(idIndex: number, idGeneration: number, name: string | undefined, read: () => unknown): void {
  let result: unknown
  try {
    const input = read()
    const fn = loaded.find(name) as Entry
    result = fn.preTask === undefined ? fn(input, client) : prepared(fn, input)
    // Its getters may throw.
    result = isThenable(result) ? Promise.resolve(result) : { value: result }
  } catch (error) {
    answer(idIndex, idGeneration, error, true)
    return
  }
  if (!(result instanceof Promise)) {
    answer(idIndex, idGeneration, (result as { value: unknown }).value, false)
    return
  }
  unfinished.set(idIndex, idGeneration)
  if (isWaiting) native.setBlocked(idIndex, idGeneration, true)
  result.then(
    (value) => {
      unfinished.delete(idIndex)
      answer(idIndex, idGeneration, value, false)
      scheduleTurn()
    },
    (error) => {
      unfinished.delete(idIndex)
      answer(idIndex, idGeneration, error, true)
      scheduleTurn()
    },
  )
}

async function prepared(fn: Entry, input: unknown): Promise<unknown> {
  await fn.preTask?.(input, client)
  return fn(input, client)
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
}

/** The pool has no more tasks for this worker. */
async function exit(): Promise<void> {
  exiting = true
  await (loaded.fn as Entry).onWorkerExit?.(client)
  process.exit()
}

async function start(): Promise<void> {
  // Entry modules see their own data where they look for it.
  const threads = createRequire(__filename)('node:worker_threads')
  threads.workerData = usersData
  syncBuiltinESMExports()
  setOwnEntry(place.url)
  takeSeat(freshTurn)
  if (!native.attachWorker(poolId, index)) {
    control.close()
    return
  }
  try {
    const entry = await loadEntry(place)
    await (entry.fn as Entry).onWorkerStart?.(client)
    loaded = entry
  } catch (error) {
    const { codec, data } = encodeReason(error)
    const report: Report = { type: 'failed', codec, data }
    control.postMessage(report)
    // The port holds the event loop until the message is out; the thread ends then.
    control.close()
    return
  }
  control.on('message', (order: Order) => {
    if (order.type === 'exit') exit()
    else if (order.type === 'refused') receive(order.key, () => fail(decodeReason(order.codec, order.data)))
    else receive(order.key, () => order.value)
  })
  // They come in the order in which they were asked for.
  control.on('messageerror', (error) => {
    const [oldest] = fetched.keys()
    if (oldest !== undefined) receive(oldest, () => fail(error))
  })
  const report: Report = { type: 'ready' }
  control.postMessage(report)
  freshTurn()
}

start()
