// Stage: schedule. Thread: any.
// Keeps the books of a pool: what is queued, active and completed, a timer while there is work, and the end of it.

import type { StatusField, TaskPoolEvent, TaskPoolOptions } from '../../function'
import { wrongValue } from '../errors'
import { optionsObject, ownOr } from '../own'
import { Queue } from '../queue'
import { clearInterval, setInterval, soon } from '../timers'
import { checkFunction, checkNumber, MAX_INTERVAL } from './options'

/** See `StatusType` in function.d.ts. */
export const StatusType = Object.freeze({ RAW: 'raw', COUNT: 'count', PERCENT: 3 } as const)

/** See `StatusAllField` in function.d.ts. */
export const StatusAllField = '*'

const FIELDS: readonly StatusField[] = ['queued', 'active', 'completed', 'remaining', 'started', 'total']
/** ms */
const PING_INTERVAL = 100

/** See `round` in function.d.ts. */
export function round(num: number, precision = 0): number {
  const factor = 10 ** precision
  // So few decimals that nothing is left, or more than a number has.
  if (factor === 0) return 0
  const scaled = Math.round(num * factor)
  return Number.isFinite(scaled) && Number.isFinite(factor) ? scaled / factor : num
}

/** See `TaskPool` in function.d.ts. */
export class TaskPool<T = unknown> {
  pingInterval: number
  poolSize: number
  emitter: ((event: TaskPoolEvent) => void) | undefined
  readonly #queued = new Queue<T>()
  readonly #active = new Set<T>()
  #completed: T[] = []
  #timer: ReturnType<typeof setInterval> | undefined
  /** Whether `complete` has been announced since something was last enqueued. */
  #announced = false

  constructor(given?: TaskPoolOptions) {
    const options = optionsObject(given)
    this.pingInterval = checkNumber('options.pingInterval', ownOr(options, 'pingInterval', PING_INTERVAL))
    this.poolSize = checkNumber('options.poolSize', ownOr(options, 'poolSize', 1))
    const emitter = ownOr(options, 'emitter', undefined)
    if (emitter !== undefined) checkFunction('options.emitter', emitter)
    this.emitter = emitter as TaskPool['emitter']
  }

  enqueue(item: T, check = false): void {
    if (check) this.#active.delete(item)
    this.#queued.push(item)
    this.#announced = false
    this.#timer?.ref()
  }

  next(): T | false {
    this.#startPinging()
    if (this.#queued.length === 0 || !this.hasAvailableSlot()) return false
    const item = this.#queued.shift()
    this.#active.add(item)
    return item
  }

  complete(item: T, check = true): boolean {
    if (!this.#active.delete(item) && check) return false
    this.#completed.push(item)
    soon(() => this.isCompleted(true))
    return true
  }

  clearCompleted(): number {
    const count = this.#completed.length
    this.#completed = []
    return count
  }

  hasAvailableSlot(): boolean {
    return this.#active.size < this.poolSize
  }

  isReady(): boolean {
    this.#startPinging()
    return this.#queued.length > 0 && this.hasAvailableSlot()
  }

  isCompleted(emit = false): boolean {
    const completed = this.#isEmpty()
    if (emit && completed) {
      this.#stopPinging()
      if (!this.#announced) {
        this.#announced = true
        this.emitter?.('complete')
      }
    }
    return completed
  }

  status(fields?: unknown, type?: unknown): never
  status(fields: unknown = StatusAllField, type: unknown = StatusType.COUNT): unknown {
    const names = fields === StatusAllField ? FIELDS : Array.isArray(fields) ? checkFields(fields) : undefined
    if (names === undefined) {
      const field = checkField(fields)
      return this.#figure(field, checkType(type))
    }
    const checked = checkType(type)
    return Object.fromEntries(names.map((name) => [name, this.#figure(name, checked)]))
  }

  #figure(field: StatusField, type: 'raw' | 'count' | number): T[] | number {
    if (type === 'raw') return this.#items(field)
    if (type === 'count') return this.#count(field)
    const total = this.#count('total')
    return total === 0 ? 0 : round((this.#count(field) / total) * 100, type)
  }

  #items(field: StatusField): T[] {
    const parts: Record<StatusField, () => T[]> = {
      queued: () => this.#queued.toArray(),
      active: () => [...this.#active],
      completed: () => [...this.#completed],
      remaining: () => [...this.#queued.toArray(), ...this.#active],
      started: () => [...this.#active, ...this.#completed],
      total: () => [...this.#queued.toArray(), ...this.#active, ...this.#completed],
    }
    return parts[field]()
  }

  #count(field: StatusField): number {
    const [queued, active, completed] = [this.#queued.length, this.#active.size, this.#completed.length]
    switch (field) {
      case 'queued':
        return queued
      case 'active':
        return active
      case 'completed':
        return completed
      case 'remaining':
        return queued + active
      case 'started':
        return active + completed
      case 'total':
        return queued + active + completed
    }
  }

  #isEmpty(): boolean {
    return this.#queued.length === 0 && this.#active.size === 0
  }

  #startPinging(): void {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => this.emitter?.('ping'), Math.min(this.pingInterval, MAX_INTERVAL))
    // Only work keeps the process alive.
    if (this.#isEmpty()) this.#timer.unref()
    this.emitter?.('startPinging')
  }

  #stopPinging(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.emitter?.('stopPinging')
  }
}

function checkFields(fields: readonly unknown[]): readonly StatusField[] {
  return Array.from(fields, checkField)
}

function checkField(field: unknown): StatusField {
  if (FIELDS.includes(field as StatusField)) return field as StatusField
  const error = new Error(`Invalid status field: "${String(field)}"; it must be one of ${FIELDS.join(', ')}`)
  throw Object.assign(error, { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
}

function checkType(type: unknown): 'raw' | 'count' | number {
  if (type === 'raw' || type === 'count' || Number.isInteger(type)) return type as 'raw' | 'count' | number
  throw wrongValue('type', `'raw', 'count' or a whole number of decimals`, type)
}
