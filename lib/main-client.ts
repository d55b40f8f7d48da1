// Stage: run. Thread: owner env.
// What functions that run on the thread that owns the pool are given beside their input.

import type { Kernels } from '..'
import { checkType, Listeners } from './callbacks'
import type { MainLane } from './main'
import type { MainSeat } from './main-seat'
import { BuiltinPromise } from './promise'
import type { TaskHandle } from './task'

/** See `IWorkerClient` in index.d.ts. */
export class MainClient {
  readonly id = -1
  readonly listeners = new Listeners()
  readonly #lane: MainLane
  readonly #seat: MainSeat

  constructor(lane: MainLane, seat: MainSeat) {
    this.#lane = lane
    this.#seat = seat
  }

  get signal(): AbortSignal {
    return this.#lane.signal
  }

  get attempt(): number {
    return this.#lane.attempt
  }

  get kernels(): Kernels {
    return this.#seat.kernels
  }

  run(input?: unknown, options?: object): Promise<never> {
    try {
      return this.addTask(input, options).then()
    } catch (error) {
      return BuiltinPromise.reject(error)
    }
  }

  addTask(input?: unknown, options?: object): TaskHandle<never, never> {
    const task = this.#seat.addTask(input, options)
    this.#lane.waitFor(task)
    return task
  }

  postMessageToPool(type: string, contents?: unknown): this {
    checkType(type)
    this.#lane.send(type, contents)
    return this
  }

  progress(done: number, total: number): this {
    this.#lane.progress(done, total)
    return this
  }

  onMessage(type: string, listener: (contents: never, client: never) => void): this {
    this.listeners.add(checkType(type), listener)
    return this
  }

  removeMessageListener(type: string, listener: (contents: never, client: never) => void): this {
    this.listeners.remove(checkType(type), listener)
    return this
  }
}
