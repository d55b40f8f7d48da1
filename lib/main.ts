// Stage: run. Thread: owner env.
// Tasks that run on the thread that owns the pool, in the scheduler's order. Inputs and outputs stay here: they are kept by
// reference, and only their keys go through the scheduler.
//
// J9. The entry module is loaded and `onWorkerStart` run with the first such task; until then they wait.
// J10. While tasks that it added through its client are unsettled, what it runs does not count against workerConcurrency,
//      as in J7 (seat.ts).
// J15. What was given up and has had its grace does not count either: nothing can end it, and its outcome is ignored.
// J17. What comes in one exchange begins one after the other, and each only if it is still wanted: what came before it may have
//      cancelled it, taken its time, or destroyed the pool.
// J18. With workerConcurrency, and once a task has added another (J10), each begins in an async context that tells which it is.
//      The one that had begun before that has none, and what has no context belongs to it.

import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { type Transferable, threadId } from 'node:worker_threads'
import type { IWorker } from '..'
import { Abort, callPrepared, checkProgress, type EntryWithHooks, Pace, settledLater } from './call'
import { checkType, rethrow } from './callbacks'
import { decode } from './codec'
import { type Encoded, LOCAL, MOVED, PLAIN, POSTED } from './codecs'
import type { PoolCore } from './core'
import { onRing } from './doorbell'
import { type EntryFunction, type EntryPlace, loadEntry, startEntry } from './entry-module'
import { isInstance, ThreadmillError, wrongType } from './errors'
import type { JsLane } from './lane'
import { taskContext } from './lazy'
import { MainClient } from './main-client'
import { MainSeat } from './main-seat'
import { encodeMarked } from './marked'
import { ANSWER_STRIDE, ATTEMPT, MAIN_WORKER, TASK_STRIDE } from './native'
import { native } from './native-owner'
import type { End, Observer } from './owner'
import { moved } from './parcel'
import { flush } from './port'
import { BuiltinPromise, isPromise } from './promise'
import { encodeReason } from './reason'
import { onSettled } from './slots'
import type { EntryLane } from './submit'
import type { TaskHandle } from './task'
import { clearTimeout, root, setImmediate, setTimeout, soon } from './timers'
import { unpackName } from './trace'
import { unmarked } from './transfer'

/** What the executor needs of its pool. */
export interface MainHost {
  readonly handle: number
  readonly concurrency: number
  /** ms that a task has to end when it was given up; `Infinity` for no end. */
  readonly cancelGrace: number
  readonly disposeTimeout: number
  /** The pool's module, if it has one. */
  readonly place: EntryPlace | undefined
  /** The entry function, where it need not be loaded. */
  readonly entryPoint: EntryFunction | undefined
  /** Keeps what workers post. */
  lane(): JsLane | undefined
  /** What its tasks submit to. */
  readonly pool: PoolCore
  settled(succeeded: boolean, value: unknown, observer: Observer | undefined, isCounted?: boolean): void
  message(type: string, contents: unknown, origin: IWorker): void
  retried(observer: Observer | undefined, count: number, reason: unknown): void
}

/** Longest time without a turn of the event loop, ms. */
const YIELD = 10
const SIMPLE = [undefined, null, true, false]
const { now } = native

/** The thread that owns a pool, as a worker. */
class MainWorker implements IWorker {
  readonly id = -1
  readonly lane = 'js'
  readonly threadId = threadId
  readonly stdout = null
  readonly stderr = null
  readonly #deliver: (type: string, contents: unknown) => void

  constructor(deliver: (type: string, contents: unknown) => void) {
    this.#deliver = deliver
  }

  postMessageToWorker(type: string, contents?: unknown): this {
    this.#deliver(checkType(type), contents)
    return this
  }

  toString(): string {
    return String(this.id)
  }
}

/** An input, and after the run the output or the reason. */
interface Held {
  readonly input: unknown
  readonly scope: AsyncResource
  /** As `cancelGrace`; NaN for that of the pool. */
  readonly grace: number
  observer: Observer | undefined
  end: { readonly succeeded: boolean; readonly value: unknown } | undefined
}

/** A task that runs. */
interface Call {
  readonly idIndex: number
  readonly idGeneration: number
  /** How often it has been run before. */
  readonly attempt: number
  /** None once it has ended: what it has left behind tells nobody. */
  observer: Observer | undefined
  readonly pace: Pace
  /** Time of `preTask`, ms. */
  overhead: number
  readonly abort: Abort
  readonly grace: number
  /** Ends it; from then on its outcome is ignored. */
  end(succeeded: boolean, value: unknown): void
}

/** See the head of this file. */
export class MainLane implements EntryLane {
  readonly handle: number
  readonly isLocal = true
  readonly worker: IWorker
  runTime: number | undefined
  readonly #host: MainHost
  readonly #client: MainClient
  readonly #held = new Map<number, Held>()
  #nextKey = 0
  /** The task whose function is on the stack. */
  #call: Call | undefined
  /** Made when tasks may overlap: promises cost more from then on. */
  #contexts: AsyncLocalStorage<Call> | undefined
  /** The unfinished task without a context (J18). */
  #loose: Call | undefined
  /** Why nothing can be called. */
  #broken: { readonly reason: unknown } | undefined
  #entry: EntryWithHooks | undefined
  #started = false
  /** Messages that came before it was ready, and by key those that wait for their turn among the tasks. */
  #mails: [string, unknown][] = []
  readonly #letters = new Map<number, readonly [string, unknown]>()
  #stopRinging: (() => void) | undefined
  #answers: Float64Array
  readonly #tasks: Float64Array
  #answerCount = 0
  #answerValues: unknown[] = []
  #inTurn = false
  #sliceStart = 0
  #immediate: ReturnType<typeof setImmediate> | undefined
  #unsettled = 0
  #hasLeft = false
  #gone: Promise<void> | undefined

  constructor(host: MainHost) {
    this.handle = host.handle
    this.#host = host
    this.#client = new MainClient(this, new MainSeat(host.pool))
    this.worker = new MainWorker((type, contents) => this.deliver(type, contents))
    this.#answers = new Float64Array(64 * ANSWER_STRIDE)
    this.#tasks = new Float64Array((64 + host.concurrency) * TASK_STRIDE)
    if (host.concurrency > 1) this.#contexts = new AsyncLocalStorage()
  }

  admit(): boolean {
    if (this.#started) return false
    this.#started = true
    this.#start().then(() => {
      if (this.#hasLeft || !native.joinMain(this.handle)) return
      this.#stopRinging = onRing(() => this.#freshTurn())
      for (const [type, contents] of this.#mails.splice(0)) this.#hear(type, contents)
      this.#freshTurn()
    })
    return false
  }

  withdraw(): void {}

  keep(input: unknown, _transfer: readonly object[], _isOwn?: boolean, grace = Number.NaN): number {
    const key = this.#nextKey++
    const scope = new AsyncResource('threadmill:main')
    this.#held.set(key, { input, scope, grace, observer: undefined, end: undefined })
    return key
  }

  discard(key: number): void {
    this.#held.delete(key)
  }

  watch(key: number, observer: Observer): void {
    const held = this.#held.get(key)
    if (held !== undefined) held.observer = observer
  }

  collect(_codec: number, key: number, _worker: number, end: End): void {
    const { succeeded, value } = (this.#held.get(key) as Held).end as NonNullable<Held['end']>
    end(succeeded, value)
  }

  settled(succeeded: boolean, value: unknown, observer: Observer | undefined, isAdmitted?: boolean): void {
    this.#host.settled(succeeded, value, observer, isAdmitted)
  }

  retried(observer: Observer | undefined, count: number, reason: unknown): void {
    this.#host.retried(observer, count, reason)
  }

  message(): void {}

  closed(): void {}

  async #start(): Promise<void> {
    const { place, entryPoint } = this.#host
    try {
      if (entryPoint !== undefined) this.#entry = entryPoint
      else if (place !== undefined) this.#entry = (await loadEntry(place)).fn
      else this.#entry = callInput
      await startEntry(this.#entry, this.#client, place?.url)
    } catch (error) {
      const isOurs = isInstance(error, ThreadmillError)
      const message = isInstance(error, Error) ? error.message : 'the entry module cannot be used'
      this.#broken = { reason: isOurs ? error : new ThreadmillError('ERR_THREADMILL_ENTRY', message, { cause: error }) }
    }
  }

  /** The function for a task. */
  #find(name: string | undefined): EntryWithHooks | Promise<EntryWithHooks> {
    if (this.#broken !== undefined) throw this.#broken.reason
    if (name === undefined) return this.#entry as EntryWithHooks
    const { place } = this.#host
    if (place === undefined) throw new ThreadmillError('ERR_THREADMILL_ENTRY', `the pool has no module with '${name}'`)
    return loadEntry(place).then((loaded) => loaded.find(name))
  }

  // --- tasks ---

  #freshTurn(): void {
    this.#sliceStart = now()
    this.#turn()
  }

  #turn(): void {
    if (this.#inTurn || this.#hasLeft) return
    this.#inTurn = true
    try {
      for (;;) {
        const values: unknown[] = []
        const [count, given] = [this.#answerCount, this.#answerValues]
        this.#answerCount = 0
        if (given.length > 0) this.#answerValues = []
        const taken = native.exchangeMain(this.handle, this.#answers, count, given, this.#tasks, values)
        if (taken <= 0) return
        for (let at = 0; at < taken * TASK_STRIDE; at += TASK_STRIDE) this.#begin(at, values)
        if (now() - this.#sliceStart >= YIELD) {
          this.#turnInTime()
          return
        }
      }
    } finally {
      this.#inTurn = false
    }
  }

  #begin(at: number, values: unknown[]): void {
    const number = (offset: number): number => this.#tasks[at + offset] as number
    const [numbered, payload, codec, nameAt] = [number(2), number(3), number(4), number(5)]
    const tag = numbered & (ATTEMPT - 1)
    if (tag === 9) {
      this.#open((values[payload] as [string, number])[1])
      return
    }
    if (tag === 10) {
      for (const call of this.#unfinished) {
        if (call.idIndex === number(0) && call.idGeneration === number(1)) this.#giveUp(call, payload === 1)
      }
      return
    }
    const { name, carried } = unpackName(nameAt < 0 ? undefined : (values[nameAt] as string))
    const held = codec === LOCAL ? this.#held.get(payload) : undefined
    const call: Call = {
      idIndex: number(0),
      idGeneration: number(1),
      attempt: (numbered - tag) / ATTEMPT,
      observer: held?.observer,
      pace: new Pace(),
      overhead: 0,
      abort: new Abort(),
      grace: held?.grace ?? Number.NaN,
      end: (succeeded, value) => {
        if (!this.#unfinished.delete(call)) return
        call.observer = undefined
        if (this.#loose === call) this.#loose = undefined
        // Of a function that was not found.
        if (!isOpen) native.dropMemory(payload)
        this.#answer(call, codec === LOCAL ? payload : -1, succeeded, value)
      },
    }
    let isOpen = codec !== MOVED
    const read = (): unknown => {
      if (codec === LOCAL) return held?.input
      if (codec === MOVED) {
        isOpen = true
        return native.openMemory(payload)
      }
      if (codec === POSTED) return this.#host.lane()?.store.takeInput(payload).value
      return tag === 4 ? payload : tag < 4 ? SIMPLE[tag] : decode(codec, values[payload])
    }
    this.#unfinished.add(call)
    if (at > 0 && (this.#hasLeft || !native.mainIsWanted(this.handle, call.idIndex, call.idGeneration))) {
      // It has been settled, and makes room with its answer.
      call.end(false, undefined)
      return
    }
    if (this.#unsettled > 0) native.blockMain(this.handle, call.idIndex, call.idGeneration, true)
    const contexts = this.#contexts
    if (contexts === undefined) this.#loose = call
    const outer = this.#call
    this.#call = call
    try {
      const called = (): unknown => this.#run(call, name, read)
      const run = contexts === undefined ? called : (): unknown => contexts.run(call, called)
      // What was submitted here runs in the context of its submitter anyway.
      const context = held !== undefined || carried === '' ? undefined : taskContext(carried)
      const start = (): unknown => (context === undefined ? run() : context.run(run))
      // A turn may be of the async context of any task: one of a worker's is begun in none of them.
      const result = (held?.scope ?? root).runInAsyncScope(start)
      if (isPromise(result)) {
        result.then(
          (value) => call.end(true, value),
          (error) => call.end(false, error),
        )
      } else call.end(true, result)
    } catch (error) {
      call.end(false, error)
    } finally {
      this.#call = outer
    }
  }

  #run(call: Call, name: string | undefined, read: () => unknown): unknown {
    const invoke = (fn: EntryWithHooks): unknown => {
      if (fn.preTask === undefined) return fn(read(), this.#client)
      return callPrepared(fn, read(), this.#client, (overhead) => {
        call.overhead = overhead
      })
    }
    const fn = this.#find(name)
    if (!isPromise(fn)) return settledLater(invoke(fn))
    // It may have been given up meanwhile.
    return fn.then((found) => (this.#unfinished.has(call) ? invoke(found) : undefined))
  }

  /** Tells a task that nobody waits for it any more, and lets others begin when its grace is over. */
  #giveUp(call: Call, isExpired: boolean): void {
    call.abort.giveUp(isExpired)
    const grace = Number.isNaN(call.grace) ? this.#host.cancelGrace : call.grace
    const end = (): void => call.end(false, undefined)
    if (grace === 0) end()
    else if (grace !== Number.POSITIVE_INFINITY) setTimeout(end, grace).unref()
  }

  readonly #unfinished = new Set<Call>()

  #answer(call: Call, key: number, succeeded: boolean, value: unknown): void {
    let [tag, payload, codec, failed] = [4, key, LOCAL as number, !succeeded]
    if (key >= 0) {
      const held = this.#held.get(key)
      // Without it the task was given up.
      if (held !== undefined) held.end = { succeeded, value: succeeded ? unmarked(value) : value }
    } else {
      const encoded = this.#encode(call, succeeded, value)
      ;[tag, payload, codec, failed] = [5, this.#answerValues.length, encoded.codec, encoded.failed]
      this.#answerValues.push(encoded.data)
    }
    const at = this.#answerCount * ANSWER_STRIDE
    if (at === this.#answers.length) {
      const wider = new Float64Array(2 * at)
      wider.set(this.#answers)
      this.#answers = wider
    }
    this.#answers.set([call.idIndex, call.idGeneration, tag, payload, codec, failed ? 1 : 0, call.overhead, 0, 0], at)
    this.#answerCount++
    // Within a turn the next exchange takes it along; several that end together go together.
    if (!this.#inTurn && this.#answerCount === 1) soon(() => this.#turnSoon())
  }

  #turnSoon(): void {
    if (now() - this.#sliceStart < YIELD) this.#turn()
    else this.#turnInTime()
  }

  /** Goes on after timers and I/O. */
  #turnInTime(): void {
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined
      this.#freshTurn()
    })
  }

  /** The output of a task that a worker submitted. */
  #encode(call: Call, succeeded: boolean, value: unknown): Encoded & { failed: boolean } {
    if (!succeeded) return { ...this.#kept(call, encodeReason(value), []), failed: true }
    try {
      const { encoded, list } = encodeMarked(value)
      return { ...this.#kept(call, encoded, list), failed: false }
    } catch (error) {
      return { ...this.#kept(call, encodeReason(error), []), failed: true }
    }
  }

  /** Keeps what can only be posted until it is asked for. @throws DataCloneError */
  #kept({ idIndex, idGeneration }: Call, encoded: Encoded, list: Transferable[]): Encoded {
    if (encoded.codec !== POSTED) return encoded
    const parcel = moved(encoded.data, list)
    // Nobody would ask for it.
    if (!native.mainIsWanted(this.#host.handle, idIndex, idGeneration)) return { codec: PLAIN, data: undefined }
    const key = this.#nextKey++
    this.#host.lane()?.store.keepValue(key, parcel)
    return { codec: POSTED, data: key }
  }

  /** A task that the client added keeps what runs here from counting (J10). */
  waitFor(task: TaskHandle<unknown>): void {
    const slot = task.slot
    if (slot < 0) return
    this.#contexts ??= new AsyncLocalStorage()
    if (this.#unsettled++ === 0) this.#setBlocked(true)
    onSettled(slot, () => {
      if (--this.#unsettled === 0) this.#setBlocked(false)
    })
  }

  #setBlocked(blocked: boolean): void {
    for (const { idIndex, idGeneration } of this.#unfinished) {
      native.blockMain(this.handle, idIndex, idGeneration, blocked)
    }
    if (blocked) soon(() => this.#turnSoon())
  }

  // --- messages ---

  /** A message for this executor; kept until it is ready. */
  deliver(type: string, given: unknown): void {
    if (!this.#started || this.#gone !== undefined) return
    const contents = unmarked(given)
    if (this.#stopRinging === undefined) {
      this.#mails.push([type, contents])
      return
    }
    const key = this.#nextKey++
    this.#letters.set(key, [type, contents])
    // Tasks submitted before it come first.
    flush()
    if (!native.postToWorker(this.handle, MAIN_WORKER, '', PLAIN, key, false)) this.#letters.delete(key)
  }

  /** A message has its turn among the tasks. */
  #open(key: number): void {
    const letter = this.#letters.get(key)
    this.#letters.delete(key)
    if (letter !== undefined) this.#hear(...letter)
  }

  #hear(type: string, contents: unknown): void {
    this.#client.listeners.call(type, contents, this.#client)
  }

  /** A message of this executor. */
  send(type: string, given: unknown): void {
    const observer = this.#current?.observer
    const contents = unmarked(given)
    soon(() => {
      observer?.message(type, contents)
      this.#host.message(type, contents, this.worker)
    })
  }

  progress(done: number, total: number): void {
    checkProgress(done, total)
    const current = this.#current
    const observer = current?.observer
    if (current?.pace.isDue(done, total)) soon(() => observer?.progress(done, total))
  }

  /** Of the task that calls. */
  get signal(): AbortSignal {
    return (this.#current?.abort ?? new Abort()).signal
  }

  /** How often the task that calls has been run before. */
  get attempt(): number {
    return this.#current?.attempt ?? 0
  }

  /** The task that calls, as far as that can be told. */
  get #current(): Call | undefined {
    const known = this.#call ?? this.#contexts?.getStore() ?? this.#loose
    if (known !== undefined) return known
    const [only, other] = this.#unfinished
    return other === undefined ? only : undefined
  }

  /** Takes no more tasks; what still runs was given up. */
  leave(): void {
    if (this.#hasLeft || !this.#started) return
    this.#hasLeft = true
    this.#contexts?.disable()
    native.leaveWorker(this.handle, MAIN_WORKER, 1, 'the pool was closed while the task ran')
  }

  /** Says goodbye; resolves when that is done, or has taken too long. */
  shutdown(force: boolean): Promise<void> {
    this.#gone ??= this.#exit(force)
    return this.#gone
  }

  async #exit(force: boolean): Promise<void> {
    const isReady = this.#stopRinging !== undefined && this.#broken === undefined
    this.#stopRinging?.()
    // What was sent before the end, and the scheduler would have told later.
    if (!force) for (const key of [...this.#letters.keys()]) this.#open(key)
    const onWorkerExit = this.#entry?.onWorkerExit
    if (force || !isReady || onWorkerExit === undefined) return
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new BuiltinPromise<void>((resolve) => {
      timer = setTimeout(resolve, this.#host.disposeTimeout)
    })
    const done = (async () => onWorkerExit.call(this.#entry, this.#client))().catch(rethrow)
    await BuiltinPromise.race([done, late])
    clearTimeout(timer)
  }
}

/** The entry function of pools without a module: the input is what is called. */
function callInput(input: unknown, client: unknown): unknown {
  if (typeof input !== 'function') throw wrongType('input', 'a function, in a pool without a module', input)
  return input(client)
}
