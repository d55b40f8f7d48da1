// What a scenario gives back.
import { distance, judge } from '../floors.mjs'

export class Outcome {
  /** @type {import('./statistics.mjs').Measurement[]} */
  measurements = []
  /** Floors, held or not. */
  floors = []
  /** How far it is to what is possible. */
  limits = []

  add(measured) {
    this.measurements.push(measured)
    return measured
  }

  /** Judges a value, if there is a floor for it. */
  judge(id, value) {
    const floor = judge(id, value)
    if (floor !== undefined) this.floors.push(floor)
  }

  /** @param {string} id a key of the limits */
  limit(id, value) {
    this.limits.push(distance(id, value))
  }
}
