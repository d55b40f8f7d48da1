// Stage: schedule. Thread: any.
// First in, first out, in amortised constant time: `Array.prototype.shift` moves every element of a long array.

/** Places in front that are left empty before the others move up. */
const MIN_SPARE = 1024

export class Queue<T> {
  #items: (T | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  push(item: T): void {
    this.#items.push(item)
  }

  /** The first item, which may be `undefined` itself; ask for the length before. */
  get first(): T {
    return this.#items[this.#head] as T
  }

  /** Takes it out. */
  shift(): T {
    const item = this.#items[this.#head] as T
    this.#items[this.#head++] = undefined
    if (this.#head >= MIN_SPARE && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** The items, in an array of its own. */
  toArray(): T[] {
    return this.#items.slice(this.#head) as T[]
  }
}
