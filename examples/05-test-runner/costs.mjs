// How long each file took, kept in a JSON file from run to run.

import { readFileSync, writeFileSync } from 'node:fs'

export class Costs {
  #file
  #unknown
  #known
  #measured = {}

  constructor(file, unknown, known) {
    this.#file = file
    this.#unknown = unknown
    this.#known = known
  }

  /** Reads what the last run has written. `unknown` is the cost in ms of a file that it had not. */
  static read(file, unknown) {
    let known = {}
    try {
      known = JSON.parse(readFileSync(file, 'utf8'))
    } catch (error) {
      if (error.code !== 'ENOENT') throw new Error(`${file}: ${error.message}`)
    }
    return new Costs(file, unknown, new Map(Object.entries(known)))
  }

  /** Expected run time in ms. */
  expected(spec) {
    return this.#known.get(spec) ?? this.#unknown
  }

  measured(spec, ms) {
    this.#measured[spec] = Number(ms.toFixed(3))
  }

  /** The longest first; equal ones by name. */
  longestFirst(specs) {
    return specs.toSorted((a, b) => this.expected(b) - this.expected(a) || (a < b ? -1 : 1))
  }

  /** Keeps the costs of this run; files that are gone are forgotten. */
  write() {
    writeFileSync(this.#file, `${JSON.stringify(this.#measured, null, 2)}\n`)
  }
}
