// Stage: submit and settle. Thread: the owner env and its JS workers.

import { builtins } from './builtins'

const { atomicAdd, atomicLoad, atomicStore } = builtins

/** What the threads of a pool share. */
export class Shared {
  readonly buffer: SharedArrayBuffer
  readonly #ids: BigInt64Array
  readonly #flags: Int32Array

  constructor(buffer: SharedArrayBuffer = new builtins.SharedArrayBuffer(16)) {
    this.buffer = buffer
    this.#ids = new builtins.BigInt64Array(buffer, 0, 1)
    this.#flags = new builtins.Int32Array(buffer, 8, 2)
  }

  /** The number of the next task with a handle. */
  newId(): number {
    return Number(atomicAdd(this.#ids, 0, 1n))
  }

  /** Whether the owner listens to events. */
  get isWatched(): boolean {
    return atomicLoad(this.#flags, 0) === 1
  }

  set isWatched(watched: boolean) {
    atomicStore(this.#flags, 0, watched ? 1 : 0)
  }

  /** Most JS workers. */
  get maxWorkers(): number {
    return atomicLoad(this.#flags, 1)
  }

  set maxWorkers(most: number) {
    atomicStore(this.#flags, 1, most)
  }
}
