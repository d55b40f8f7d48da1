// Stage: all. Thread: any.
// The states of a thread object, as bit flags.

/** See `Status` in function.d.ts. */
export const Status = Object.freeze({
  INIT: 1,
  READY: 2,
  ACTIVE: 4,
  SUCCESS: 8,
  ERROR: 16,
  COMPLETED: 24,
  STARTED: 28,
} as const)

/** See `ThreadStatus` in function.d.ts. */
export class ThreadStatus {
  value: number = Status.INIT

  get INIT(): boolean {
    return (this.value & Status.INIT) !== 0
  }

  get READY(): boolean {
    return (this.value & Status.READY) !== 0
  }

  get ACTIVE(): boolean {
    return (this.value & Status.ACTIVE) !== 0
  }

  get SUCCESS(): boolean {
    return (this.value & Status.SUCCESS) !== 0
  }

  get ERROR(): boolean {
    return (this.value & Status.ERROR) !== 0
  }

  get STARTED(): boolean {
    return (this.value & Status.STARTED) !== 0
  }

  get COMPLETED(): boolean {
    return (this.value & Status.COMPLETED) !== 0
  }
}
