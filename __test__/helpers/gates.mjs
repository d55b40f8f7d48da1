// Gates for tests of the JS lane: a task of fixtures/gates.mjs waits in its worker until the test opens its gate.
import { until } from './pool.mjs'

/** Numbers in shared memory that workers see as their `workerData`: 0 is a closed gate. */
export class Gates {
  #numbers = new Int32Array(new SharedArrayBuffer(256))
  #next = 0

  get memory() {
    return this.#numbers.buffer
  }

  /** Occupies a worker from the moment this resolves until `release` is called, which gives what the task gave. */
  async hold(pool, worker) {
    const gate = this.#next++
    const task = pool.addTask({ do: 'block', gate }, { workerAffinity: worker, affinityStrength: 'force' })
    await until(() => task.worker !== undefined)
    return {
      release: () => {
        this.open(gate)
        return task
      },
    }
  }

  /** A number of a gate that is closed. */
  closed() {
    return this.#next++
  }

  open(gate) {
    Atomics.store(this.#numbers, gate, 1)
    Atomics.notify(this.#numbers, gate)
  }
}
