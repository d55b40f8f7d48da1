// Stage: run. Thread: a JS worker. The script that workers start with.
// Has the entry module loaded, then takes tasks and gives answers, one native call for both. The event loop stays free:
// nothing here waits for work, the doorbell brings it.
//
// J5. Answers are handed over before the worker takes more, before the event loop has its turn, and before the next task
//     begins once HELD_BACK has passed since the first of them. Until then they lie in memory that outlives this thread.
//     What ends when the thread has begun to end is interrupted by that, and not answered.
// J6. `onWorkerStart` has finished before any task or message; `onWorkerExit` runs once, after the last
//     task and message; what was given up may run on until its grace is over.

import './worker-addon'
import process from 'node:process'
import { types } from 'node:util'
import { type Transferable, workerData } from 'node:worker_threads'
import { Answers } from './answers'
import { Board } from './board'
import { builtins } from './builtins'
import { Abort, callPrepared, type EntryWithHooks, settledLater } from './call'
import { rethrow, warnUnreadable } from './callbacks'
import { FLAT, MOVED, PLAIN, POSTED } from './codecs'
import { copyWords } from './collections'
import { onRing } from './doorbell'
import { type LoadedEntry, startEntry } from './entry-module'
import type { HeapWatch } from './heap-watch'
import { IdleHeap } from './idle-heap'
import { payload, taskContext } from './lazy'
import type { TaskContext } from './metrics/context'
import { ATTEMPT, native, TASK_STRIDE } from './native'
import { uses } from './packs'
import { isMemoryOf, KEYS_PER_LIFE, type Parcel, post } from './parcel'
import type { HeapWatch as HeapLimits, Launch, Report } from './protocol'
import { part } from './refused'
import {
  callIn,
  currentTask,
  enter,
  finished,
  isSeparate,
  needsContext,
  sawOutput,
  sawPromise,
  separate,
  unfinished,
} from './scopes'
import type { SeatPool } from './seat'
import { setOwnEntry } from './self'
import { endInput, Output } from './stdio'
import { isFake, root, setImmediate, soon } from './timers'
import { MARK, unpackName } from './trace'
import { Client, type Running } from './worker-client'
import { loadModule, showWorkerData } from './worker-entry'
import { Orders } from './worker-orders'

const launch = workerData as Launch
const { poolId, index, life, place, control, lastLook, concurrency, heap, seat, workerData: usersData } = launch

/** Most messages in one exchange, as in the core. */
const MAILS = 64
/** Longest time without a turn of the event loop, ms. */
const YIELD = 10
/** Tasks that one exchange brings at most, as in the core. */
const TASKS = 32
/** Test runners replace it. */
const { hrtime } = process
const { Float64Array: Floats } = builtins
const { isPromise } = types
/** Test runners replace it. */
const exitThread = process.exit

/** Reads a clock of this thread's, ms, in less time than a native call takes: it is read for each task. */
function now(): number {
  if (isClockFake) return native.now()
  const time = hrtime()
  return (time[0] as number) * 1000 + (time[1] as number) / 1e6
}

/** What is loaded before this, by flags, may have replaced it. */
const isClockFake = isFake(hrtime)

/** What follows the tasks that the running one submits. */
function tracer(): TaskContext | undefined {
  const task = currentTask()
  if (task !== undefined) return task.context
  // What is active tells more than this thread can.
  return isFollowed ? taskContext('') : undefined
}

/** Whether a task has come whose submitter follows it. */
let isFollowed = false

/** Made with the first task that this worker submits. */
let seatPool: SeatPool | undefined

function takeSeat(): SeatPool {
  if (seatPool === undefined) {
    // Most workers submit nothing, and it brings half of the package.
    const parts = part(() => require('./seat') as typeof import('./seat'))
    seatPool = new parts.SeatPool(
      { index, life, control, postValue, waits: setWaiting, reportSoon: scheduleTurn, tracer },
      seat,
    )
  }
  separate(false)
  return seatPool
}

/** Posts what only `postMessage` can move; the key under which the owner finds it. */
function postValue(value: unknown, list: readonly Transferable[]): number {
  const key = nextValue++
  const report: Report = isMemoryOf(value, list) ? [key, value] : { type: 'value', key, value, list }
  post(control, report, list)
  return key
}

/** Counted exactly, however many threads there were before. */
let nextValue = (life % 2 ** 20) * KEYS_PER_LIFE

if (concurrency > 1) separate(true)

/** Whether tasks that this worker submitted are unsettled (J7 in seat.ts). */
let isWaiting = false

function setWaiting(waits: boolean): void {
  isWaiting = waits
  unfinished.forEach(({ idIndex, idGeneration }) => {
    native.setBlocked(idIndex, idGeneration, waits)
  })
  scheduleTurn()
  if (isDone) leaveAtRest()
}

const output = new Output((stream, chunk, encoding) => {
  const report: Report = { type: 'text', stream, chunk, encoding }
  control.postMessage(report)
  hasWritten = true
})
const orders = new Orders(control, lastLook, {
  exit,
  ending,
  inputCame: () => turn(),
  settleNow: () => seatPool?.settleNow(),
  collected: (...given) => seatPool?.collected(...given),
  unread: (error) => seatPool?.unread(error),
  textRead: (...given) => output.read(...given),
})
const client = new Client(index, {
  currentTask,
  takeSeat,
  postValue,
  tellEnded() {
    if (answers.count > 0) handOver(0)
  },
})
let loaded: LoadedEntry
/** Whether the pool has no more tasks for it. */
let isDone = false
let exiting = false

const answers = new Answers({
  handOver: () => {
    handOver(0)
  },
  postValue,
  failed(reason) {
    if (isFatal(reason)) sayUsedUp()
  },
})
const tasks = new Float64Array((MAILS + TASKS) * TASK_STRIDE)
let inTurn = false
let turnScheduled = false

/** Notes how a task ended that began at `began`. */
function answer(
  idIndex: number,
  idGeneration: number,
  value: unknown,
  failed: boolean,
  overhead: number,
  began: number,
): void {
  if (isEnding) return
  lastEnd = now()
  // With the board the answer is given, whatever becomes of this thread.
  output.flush()
  answers.put(idIndex, idGeneration, value, failed, overhead, began, lastEnd)
  heapWatch?.look()
  if (answers.isFull) handOver(0)
}

/** When the last task ended, ms. */
let lastEnd = 0

/** Whether a task says with its error that the worker is of no use any more. */
function isFatal(reason: unknown): boolean {
  try {
    return typeof reason === 'object' && (reason as { fatal?: unknown } | null)?.fatal === true
  } catch {
    return false
  }
}

/** Loaded where the heap is limited. */
const heapWatch = heap === undefined ? undefined : watchHeap(heap)

function watchHeap(limits: HeapLimits): HeapWatch {
  const { HeapWatch } = require('./heap-watch') as typeof import('./heap-watch')
  return new HeapWatch(limits, {
    usedUp: sayUsedUp,
    exceeded(used) {
      const report: Report = { type: 'heap', used }
      control.postMessage(report)
    },
  })
}

/** Where workers give memory back while they have nothing to do. */
const idleHeap = launch.trims
  ? new IdleHeap({ idleTime: () => (unfinished.size + fetching + heldTasks.length > 0 ? 0 : now() - lastEnd) })
  : undefined

let isUsedUp = false

function sayUsedUp(): void {
  if (isUsedUp) return
  isUsedUp = true
  const report: Report = { type: 'used-up' }
  control.postMessage(report)
}

/** Values of tasks that an exchange brings in words. Those for which there is no room come by themselves. */
let taskWords = new Floats(0)
const TASK_WORDS = 4096

/** Whether something was written since answers were handed over. */
let hasWritten = false

/** Hands the answers over; unless `visit` is 0, brings what is to begin now. */
function handOver(visit: 0 | 1 | 2 | 3, values: unknown[] = []): number {
  // The owner reads what was posted when it is told anything.
  if (seatPool?.report() !== true && hasWritten) native.reportTasks(0, 0, 0, 0, undefined)
  hasWritten = false
  return answers.exchange(visit, tasks, values, taskWords)
}

/**
 * Begins what there is, until there is nothing or the event loop has waited long enough. `isFresh`: the event loop has called for
 * it. Functions are called from here with one other in between: stacks of errors show them all, and the engine takes more than a
 * microsecond for each.
 */
function turn(isFresh = true): void {
  if (isFresh) sliceStart = now()
  if (inTurn || loaded === undefined || isEnding) return
  inTurn = true
  isUnsure = false
  let hasRun = false
  try {
    for (;;) {
      beginHeld()
      if (isUnsure && isWaiting) {
        // Its microtasks may take long: nobody waits for them who need not.
        if (answers.count > 0) handOver(0)
        else seatPool?.report()
        break
      }
      if (lastEnd - sliceStart >= YIELD) {
        if (answers.count > 0) handOver(0)
        turnInTime()
        break
      }
      const values: unknown[] = []
      const count = handOver(visit(), values)
      if (count <= 0) break
      hasRun = true
      lastEnd = now()
      for (let at = 0; at < count * TASK_STRIDE; at += TASK_STRIDE) {
        try {
          const task = take(at, values)
          if (task !== undefined) run(task)
        } catch (error) {
          // One task must not cost the others.
          rethrow(error)
        }
      }
    }
  } finally {
    inTurn = false
    if (isUnsure && isWaiting) scheduleTurn()
    // The first results are out by then.
    if (hasRun) idleHeap?.begin()
  }
}

/** What the worker comes for. */
function visit(): 0 | 1 | 2 | 3 {
  if (exiting) return 0
  if (heldTasks.length > 0) return 1
  // Tasks that go on in the background need the event loop.
  return answers.count > 0 && unfinished.size === 0 ? 3 : 2
}

/** When the event loop last came round, as far as is known. */
let sliceStart = 0

/** A task has ended outside a turn: the answers of this turn of the microtask queue go together. */
function scheduleTurn(): void {
  if (inTurn || turnScheduled) return
  turnScheduled = true
  // What is begun in a turn is not of the async context of whoever asked for it.
  root.runInAsyncScope(soon, undefined, () => {
    turnScheduled = false
    if (now() - sliceStart < YIELD) {
      turn(false)
      return
    }
    // Microtasks after microtasks would keep timers and I/O waiting for ever. What has ended is told before (J5).
    if (answers.count > 0 && !inTurn) handOver(0)
    turnInTime()
  })
}

let willTurn = false

/** Goes on after timers and I/O. */
function turnInTime(): void {
  // One at a time: a turn of the event loop runs all that were asked for before.
  if (willTurn) return
  willTurn = true
  root.runInAsyncScope(setImmediate, undefined, () => {
    willTurn = false
    turn()
  })
}

const SIMPLE = [undefined, null, true, false]

/** What an exchange has brought at `at`, if it is a task that begins now; messages are delivered at once. */
function take(at: number, values: unknown[]): TakenTask | undefined {
  const numbered = tasks[at + 2] as number
  const tag = numbered & (ATTEMPT - 1)
  const given = tasks[at + 3] as number
  const codec = tasks[at + 4] as number
  if (tag === 9) {
    const [type, data] = values[given] as [string, unknown]
    deliver(type, data, codec)
    return undefined
  }
  const [idIndex, idGeneration, optionsAt] = [tasks[at], tasks[at + 1], tasks[at + 5]] as [number, number, number]
  if (tag === 10) {
    const running = unfinished.get(idIndex)
    if (running?.idGeneration !== idGeneration) return undefined
    running.abort ??= new Abort()
    running.abort.giveUp(given === 1)
    return undefined
  }
  const name = optionsAt === -1 ? undefined : optionsAt < 0 ? -2 - optionsAt : (values[optionsAt] as string)
  const task: TakenTask = {
    idIndex,
    idGeneration,
    context: undefined,
    attempt: (numbered - tag) / ATTEMPT,
    claim: tasks[at + 6] as number,
    name,
    data: given,
    codec,
  }
  const isHeld = heldTasks.length > 0 || !hasRoom()
  if (tag === 6) {
    const { isRaw, read } = payload()
    if (!isRaw(taskWords, given)) {
      task.data = read(taskWords, given)
      task.codec = PLAIN
    }
    // The memory is used again with the next exchange.
    else if (isHeld) task.data = copyWords(taskWords, given, taskWords[given] as number)
    else task.codec = IN_PLACE
  } else if (tag !== 4 && codec !== POSTED) {
    task.data = tag < 4 ? SIMPLE[tag] : values[given]
    // Many workers never need it.
    if (codec === FLAT && taskWords.length === 0) taskWords = new Floats(TASK_WORDS)
  }
  if (!isHeld) return begun(task)
  heldTasks[heldTasks.length] = task
  if (task.codec === POSTED) orders.askEarly(task.data as number)
  return undefined
}

function deliver(type: string, data: unknown, codec: number): void {
  if (codec === POSTED) {
    let parcel: Parcel | undefined
    try {
      parcel = orders.takeContents(data as number)
    } catch (error) {
      warnUnreadable(`a message of type '${type}'`, error)
    }
    if (parcel !== undefined) Client.deliver(client, type, parcel.value)
    return
  }
  let contents = data
  try {
    if (codec !== PLAIN) contents = payload().decode(codec, data)
  } catch (error) {
    // Its tasks have nothing to do with that.
    warnUnreadable(`a message of type '${type}'`, error)
    return
  }
  Client.deliver(client, type, contents)
}

/** A task that was taken, with what it begins with. */
interface TakenTask extends Running {
  context: TaskContext | undefined
  readonly claim: number
  readonly name: string | number | undefined
  data: unknown
  codec: number
}

/** Those that were taken ahead and have to wait for room, in the order taken. */
let heldTasks: TakenTask[] = []
/** Tasks that have begun and wait for their inputs. */
let fetching = 0

/** Whether another task may begin: those that wait for tasks of their own do not count. */
function hasRoom(): boolean {
  // Calls of a module begin in their order.
  if (fetching > 0 && place.isModuleHost) return false
  return unfinished.size + fetching < concurrency || (isWaiting && !isUnsure)
}

/** Whether a task of this turn has given a promise, which may be settled by now: only the microtasks after this turn tell. */
let isUnsure = false

/** Begins tasks that had to wait, as long as there is room. */
function beginHeld(): void {
  if (heldTasks.length === 0) return
  const held = heldTasks
  heldTasks = []
  let next = 0
  lastEnd = now()
  while (next < held.length && hasRoom() && lastEnd - sliceStart < YIELD) {
    try {
      const task = begun(held[next++] as TakenTask)
      if (task !== undefined) run(task)
    } catch (error) {
      rethrow(error)
    }
  }
  // None was added meanwhile.
  for (; next < held.length; next++) heldTasks[heldTasks.length] = held[next] as TakenTask
}

/** The task, unless somebody has taken it back or its input has to be fetched; then it is run when that has come. */
function begun(task: TakenTask): TakenTask | undefined {
  const { idIndex, idGeneration, codec } = task
  if (!answers.board.claim(task.claim)) {
    if (codec === MOVED) native.dropMemory(task.data as number)
    return undefined
  }
  if (answers.isDue(lastEnd)) handOver(0)
  if (codec !== POSTED) return task
  const key = task.data as number
  const parcel = orders.takeInput(key)
  if (parcel !== undefined) {
    task.data = parcel.value
    task.codec = PLAIN
    return task
  }
  fetching++
  orders.fetchInput(key, (read) => {
    fetching--
    native.gotInput(idIndex, idGeneration)
    lastEnd = now()
    if (answers.isDue(lastEnd)) handOver(0)
    task.data = read
    task.codec = READ
    run(task)
    scheduleTurn()
  })
  return undefined
}

/** Stands for the codec of an input that a function gives. */
const READ = -1
/** And of one that lies in `taskWords`, at the offset given. */
const IN_PLACE = -2

function inputOf(codec: number, data: unknown): unknown {
  if (codec === READ) return (data as () => unknown)()
  if (codec === IN_PLACE) return payload().readWords(taskWords, data as number)
  return codec === MOVED ? openMemory(data as number) : payload().decode(codec, data)
}

/** What has moved here. */
function openMemory(key: number): unknown {
  const value = native.openMemory(key)
  // What the task answers then is not handed over: see `give` in src/js/mod.rs.
  if (value === undefined) throw new Error('the thread is being terminated')
  return value
}

function run(task: TakenTask): void {
  const { idIndex, idGeneration, data, codec } = task
  let { name } = task
  if (typeof name === 'string' && name.startsWith(MARK)) {
    const unpacked = unpackName(name)
    name = unpacked.name
    if (unpacked.carried !== '') {
      isFollowed = true
      task.context = taskContext(unpacked.carried)
    }
  }
  const { context } = task
  // It is the function's alone.
  task.data = undefined
  const began = lastEnd
  let overhead = 0
  let result: unknown
  const outer = enter(task)
  let called: EntryWithHooks | undefined
  let isLater = false
  // Alone it needs no client of its own, whoever begins after it.
  let knownBy: 'context' | 'client' | 'nothing' = isSeparate() && unfinished.size > 0 ? 'client' : 'nothing'
  try {
    const input = codec === PLAIN ? data : inputOf(codec, data)
    const fn = loaded.find(name) as EntryWithHooks
    called = fn
    const isPlain = fn.preTask === undefined && context === undefined
    if (isPlain && !needsContext(fn)) result = fn(input, knownBy === 'client' ? client.of(task) : client)
    else {
      const spend = (time: number): void => {
        overhead = time
      }
      const call = (): unknown =>
        fn.preTask === undefined ? fn(input, client) : callPrepared(fn, input, client, spend)
      if (isSeparate()) knownBy = 'context'
      const start = (): unknown => (knownBy === 'context' ? callIn(task, call) : call())
      result = context === undefined ? start() : context.run(start)
    }
    if (typeof result === 'object') {
      result = settledLater(result)
      isLater = isPromise(result)
    }
  } catch (error) {
    enter(outer)
    answer(idIndex, idGeneration, error, true, overhead, began)
    return
  }
  enter(outer)
  if (!isLater) {
    sawOutput(called)
    answer(idIndex, idGeneration, result, false, overhead, began)
    return
  }
  sawPromise(called, task, knownBy)
  isUnsure = true
  if (isWaiting) native.setBlocked(idIndex, idGeneration, true)
  const end = (value: unknown, failed: boolean): void => {
    finished(task)
    answer(idIndex, idGeneration, value, failed, overhead, began)
    scheduleTurn()
    if (isDone) leaveAtRest()
  }
  ;(result as Promise<unknown>).then(
    (value) => end(value, false),
    (error) => end(error, true),
  )
}

/** The pool has no more tasks for this worker, and may say so more than once. What it still runs was given up. */
function exit(): void {
  if (isDone) return
  isDone = true
  // What it submitted has ended, but may not have been heard of here, and then not by the owner.
  seatPool?.settleNow()
  leaveAtRest()
}

/** Whether the thread is ending: what ends from now on goes down with it, as all that the end interrupts. */
let isEnding = false

/** After an error that nobody has caught, and after `process.exit()`, a thread goes on for some microtasks. */
function ending(): void {
  if (answers.count > 0) handOver(0)
  output.end()
  isEnding = true
  // It goes on for good where a listener to its end has thrown; asked again, it hears of no listeners.
  root.runInAsyncScope(setImmediate, undefined, () => exitThread.call(process))
}

function leaveAtRest(): void {
  if (!exiting && unfinished.size === 0 && seatPool?.isWaiting !== true) leave()
}

/** Hears the messages that were left before the pool told this worker to go. */
function hearRest(): void {
  for (;;) {
    const values: unknown[] = []
    const count = handOver(1, values)
    if (count <= 0) return
    for (let at = 0; at < count * TASK_STRIDE; at += TASK_STRIDE) take(at, values)
  }
}

async function leave(): Promise<void> {
  exiting = true
  uses('close')
  orders.giveBack()
  // What is begun in this turn comes first.
  await undefined
  hearRest()
  await (loaded.fn as EntryWithHooks).onWorkerExit?.(client)
  seatPool?.report()
  exitThread.call(process)
}

async function start(): Promise<void> {
  showWorkerData(usersData)
  setOwnEntry(place.url)
  onRing(turn)
  const memory = native.attachWorker(poolId, index)
  if (memory === false) {
    control.close()
    return
  }
  if (memory !== true) answers.board = new Board(memory)
  endInput()
  output.redirect()
  try {
    const entry = await loadModule(launch, client)
    await startEntry(entry.fn, client, place.url)
    loaded = entry
  } catch (error) {
    const { codec, data } = payload().encodeReason(error)
    const report: Report = { type: 'failed', codec, data }
    control.postMessage(report)
    // The port holds the event loop until the message is out; the thread ends then.
    control.close()
    return
  }
  orders.listen()
  output.limit()
  const report: Report = { type: 'ready' }
  control.postMessage(report)
  lastEnd = now()
  turn()
  idleHeap?.begin()
}

start()
