// Stage: submit and settle. Thread: the owner env and its JS workers.

import { builtins } from './builtins'

const { atomicAdd, atomicLoad, atomicStore } = builtins

/** So many tasks that workers submitted may have ended without the owner having fired their events. */
const MOST_UNHEARD = 4096

/** What the threads of a pool share. */
export class Shared {
  readonly buffer: SharedArrayBuffer
  readonly #ids: BigInt64Array
  readonly #flags: Int32Array

  constructor(buffer: SharedArrayBuffer = new builtins.SharedArrayBuffer(24)) {
    this.buffer = buffer
    this.#ids = new builtins.BigInt64Array(buffer, 0, 1)
    this.#flags = new builtins.Int32Array(buffer, 8, 3)
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

  /** A worker has told the owner of so many tasks that have ended. */
  told(count: number): void {
    atomicAdd(this.#flags, 2, count)
  }

  /** The owner has taken note of so many. */
  heard(count: number): void {
    atomicAdd(this.#flags, 2, -count)
  }

  /** Whether the owner, which fires events for each, has not taken note of so many that no more should come. */
  get isOwnerBehind(): boolean {
    return this.isWatched && atomicLoad(this.#flags, 2) > MOST_UNHEARD
  }
}
