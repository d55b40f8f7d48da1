// Stage: submit, run and settle. Thread: any.
// What flat.ts writes by number: the lists of property names of objects, and short strings that come again and again. All
// threads of the process know them by these numbers (src/texts.rs).

import { builtins } from './builtins'
import { OwnMap, OwnSet, placeIn } from './collections'
import { EMPTY } from './flat-format'
import { native } from './native-values'

/** Properties that a shape tells. */
const MOST_NAMES = 64
/** The longest name of one, in UTF-16 units. */
const LONG_NAME = 64
/** Most shapes and texts that are remembered before all are forgotten. */
const MOST_SHAPES = 2048
const MOST_TEXTS = 4096
/** So many names may come next when they are seen first: of objects with keys of their own there are ever new ones. */
const MOST_FIRST = 16
/** And so many others are remembered twice, to tell which come again. */
const MOST_SEEN = 64
/** So many objects a shape has to be met with before it is told by a number, which all threads keep for ever. */
const MANY = 4
/** And of those with one name no more than so many are, which may be that of one thing after the other. */
const MOST_SINGLE = 1024

/** Of the properties that all objects inherit, the one that has a getter. */
export const INHERITED = '__proto__'

const { isWellFormed, stringify } = builtins

/** The properties of an object so far, in order. */
export class Shape {
  readonly names: readonly string[]
  /** Whether objects of this shape have to be looked at once more. */
  readonly isOdd: boolean
  /** The same without the last one. */
  readonly #before: Shape | undefined
  /** Of the text that describes it; -1 before there is one, -2 when there is no room for it. */
  id = -1
  #uses = 0
  #lastName = ''
  #last: Shape | undefined
  #next: OwnMap<string, Shape> | undefined
  #seen: OwnSet<string> | undefined
  #seenBefore: OwnSet<string> | undefined

  constructor(names: readonly string[], before?: Shape) {
    this.names = names
    this.isOdd = names.length === 0 || names[0] === '0' || placeIn(names, INHERITED) >= 0
    this.#before = before
    if (before === undefined) this.id = EMPTY
  }

  /** The shape with one more property; `undefined` where there is none with that. */
  with(name: string): Shape | undefined {
    if (name === this.#lastName && this.#last !== undefined) return this.#last
    const next = this.#next?.get(name) ?? this.#grow(name)
    if (next === undefined) return undefined
    this.#lastName = name
    this.#last = next
    return next
  }

  #grow(name: string): Shape | undefined {
    if (shapeCount === MOST_SHAPES || this.names.length === MOST_NAMES || name.length > LONG_NAME) return undefined
    this.#next ??= new OwnMap()
    if (this.#next.size >= MOST_FIRST && !this.#comesAgain(name)) return undefined
    shapeCount++
    const next = new Shape([...this.names, name], this)
    this.#next.set(name, next)
    return next
  }

  #comesAgain(name: string): boolean {
    if (this.#seen?.has(name) || this.#seenBefore?.has(name)) return true
    if (this.#seen === undefined || this.#seen.size === MOST_SEEN) {
      this.#seenBefore = this.#seen
      this.#seen = new OwnSet()
    }
    this.#seen.add(name)
    return false
  }

  /** The one that tells most of an object of this shape by a number. */
  get numbered(): Shape {
    if (this.id === -1 && ++this.#uses === MANY) this.id = numberShape(this.names)
    let shape: Shape = this
    while (shape.id < 0) shape = shape.#before as Shape
    return shape
  }
}

/** The shape without properties, with which all others begin. */
export const shapes = { empty: new Shape([]) }
let shapeCount = 0
/** Numbers of shapes with one name, which outlast the shapes. */
const singles = new OwnMap<string, number>()
/** Numbers of shared texts; -1 for one that was seen once. */
let texts = new OwnMap<string, number>()

/** The number of the text that describes a shape; -2 without room for it. */
function numberShape(names: readonly string[]): number {
  const single = names.length === 1 ? (names[0] as string) : undefined
  if (single !== undefined) {
    const known = singles.get(single)
    if (known !== undefined || singles.size === MOST_SINGLE) return known ?? -2
  }
  for (let i = 0; i < names.length; i++) if (!isWellFormed.call(names[i] as string)) return -2
  const id = native.shareText(stringify(names), true)
  if (id < 0) return -2
  if (single !== undefined) singles.set(single, id)
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
