// Stage: submit and settle. Thread: the owner env and its JS workers.

/** What the threads of a pool share. */
export class Shared {
  readonly buffer: SharedArrayBuffer
  readonly #ids: BigInt64Array
  readonly #flags: Int32Array

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(16)) {
    this.buffer = buffer
    this.#ids = new BigInt64Array(buffer, 0, 1)
    this.#flags = new Int32Array(buffer, 8, 2)
  }

  /** The number of the next task with a handle. */
  newId(): number {
    return Number(Atomics.add(this.#ids, 0, 1n))
  }

  /** Whether the owner listens to events. */
  get isWatched(): boolean {
    return Atomics.load(this.#flags, 0) === 1
  }

  set isWatched(watched: boolean) {
    Atomics.store(this.#flags, 0, watched ? 1 : 0)
  }

  /** Most JS workers. */
  get maxWorkers(): number {
    return Atomics.load(this.#flags, 1)
  }

  set maxWorkers(most: number) {
    Atomics.store(this.#flags, 1, most)
  }
}
