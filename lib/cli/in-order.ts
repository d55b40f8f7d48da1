// Stage: submit. Thread: main.
// Asynchronous calls for the items of a source, with their outputs in the order of the items.
//
// Unlike `pool.map`, which ends with the first failure, a call that fails keeps its place: it gives an output that says so.
//
// O1. At most `running` calls are unfinished, and at most `kept` unfinished or not yet consumed.

/** See O1. */
export interface Limits {
  readonly running: number
  readonly kept: number
}

interface Entry<Output> {
  output: Output | undefined
  done: boolean
}

/** What somebody waits for who has seen that there is nothing to do. */
class Bell {
  #ring = (): void => {}

  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#ring = resolve
    })
  }

  ring(): void {
    this.#ring()
  }
}

/**
 * Gives what is ready, as soon as the first of it is. What the source throws is thrown after the outputs before it. A
 * consumer that leaves while the source is being waited for ends the wait itself.
 * @param call never rejects
 */
export async function* inOrder<Item, Output>(
  source: AsyncIterable<Item> | Iterable<Item>,
  call: (item: Item) => Promise<Output>,
  { running: mostRunning, kept: mostKept }: Limits,
): AsyncGenerator<Output[], undefined> {
  const entries: Entry<Output>[] = []
  const room = new Bell()
  const ready = new Bell()
  let running = 0
  let ended = false
  let left = false
  let failure: { readonly error: unknown } | undefined

  function start(item: Item): void {
    const entry: Entry<Output> = { output: undefined, done: false }
    entries.push(entry)
    running++
    call(item).then((output) => {
      entry.output = output
      entry.done = true
      running--
      room.ring()
      if (entries[0] === entry) ready.ring()
    })
  }

  async function feed(): Promise<void> {
    try {
      for await (const item of source) {
        if (left) return
        start(item)
        while (!left && (running >= mostRunning || entries.length >= mostKept)) await room.wait()
      }
    } catch (error) {
      failure = { error }
    } finally {
      ended = true
      ready.ring()
    }
  }

  feed()
  try {
    for (;;) {
      const outputs: Output[] = []
      while (entries[0]?.done === true) outputs.push(entries.shift()?.output as Output)
      if (outputs.length > 0) {
        room.ring()
        yield outputs
      } else if (!ended || entries.length > 0) await ready.wait()
      else if (failure === undefined) return
      else throw failure.error
    }
  } finally {
    left = true
    room.ring()
  }
}
