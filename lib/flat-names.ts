// Stage: submit, run and settle. Thread: any.
// What flat.ts writes by number: the lists of property names of objects, and short strings that come again and again. All
// threads of the process know them by these numbers (src/texts.rs).

import { builtins } from './builtins'
import { OwnMap } from './collections'
import { native } from './native-values'

/** Properties of an object. */
const MOST_NAMES = 64
/** Most shapes and texts that are remembered before all are forgotten. */
const MOST_SHAPES = 2048
const MOST_TEXTS = 4096

const { isWellFormed, stringify } = builtins

/** The properties of an object so far, in order. */
export class Shape {
  readonly names: readonly string[]
  /** Of the text that describes it; -1 before there is one, -2 when there is no room for it. */
  id = -1
  wasAsked = false
  #lastName = ''
  #last: Shape | undefined
  #next: Map<string, Shape> | undefined

  constructor(names: readonly string[]) {
    this.names = names
  }

  /** The shape with one more property. */
  with(name: string): Shape | undefined {
    if (name === this.#lastName && this.#last !== undefined) return this.#last
    this.#next ??= new OwnMap()
    let next = this.#next.get(name)
    if (next === undefined) {
      if (shapeCount === MOST_SHAPES || this.names.length === MOST_NAMES) return undefined
      shapeCount++
      next = new Shape([...this.names, name])
      this.#next.set(name, next)
    }
    this.#lastName = name
    this.#last = next
    return next
  }
}

/** The shape without properties, with which all others begin. */
export const shapes = { empty: new Shape([]) }
let shapeCount = 0
/** Numbers of shared texts; -1 for one that was seen once. */
let texts = new OwnMap<string, number>()

/** The number of the text that describes a shape; below 0 without room for it. */
export function numberShape(shape: Shape): number {
  const text = stringify(shape.names)
  let isWhole = true
  for (let i = 0; i < shape.names.length; i++) isWhole &&= isWellFormed.call(shape.names[i] as string)
  // Half of the room is for those that come again: maps with keys of their own have ever new ones.
  const isFirst = !shape.wasAsked
  shape.wasAsked = true
  const id = isWhole ? native.shareText(text, isFirst) : -1
  shape.id = id >= 0 || (isFirst && isWhole) ? id : -2
  return id
}

/** Forgets all shapes if there is no room for more. */
export function forgetIfFull(): void {
  if (shapeCount < MOST_SHAPES) return
  shapes.empty = new Shape([])
  shapeCount = 0
}

/** The number of a text that all threads share; below 0 for others. `isNoted`: it is shared when it comes again. */
export function numberOfText(text: string, isNoted: boolean): number {
  const number = texts.get(text)
  // One that comes again will come more often.
  if (number !== undefined) return number === -1 ? shareText(text) : number
  if (isNoted) {
    if (texts.size === MOST_TEXTS) texts = new OwnMap()
    texts.set(text, -1)
  }
  return -1
}

function shareText(text: string): number {
  const id = isWellFormed.call(text) ? native.shareText(text, false) : -1
  // Without room it is not asked for again.
  texts.set(text, id < 0 ? -2 : id)
  return id
}
