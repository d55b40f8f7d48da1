// Stage: submit and settle. Thread: owner env.
// Lets what may outlive an object, such as a signal, tell it something without keeping it.
//
// T1. The object is kept while it is held, which it is while somebody waits for what it may be told, and not otherwise.
// T2. Nothing stays with what it follows when it has ended, or nobody can reach it any more.

type Tell = (reason: unknown) => void

/** Weakly, for a tie that is held leads to its target. It is there as long as there is something to cut. */
const collected = new FinalizationRegistry<WeakRef<Tie<object>>>((tie) => tie.deref()?.cut())

/** See the head of this file. */
export class Tie<T extends object> {
  readonly #target: WeakRef<T>
  #held: T | undefined
  readonly #unfollow: () => void

  /**
   * Has what `follow` follows call `tell`, which must not lie where other functions use the target: functions of one scope keep
   * what any of them uses.
   */
  constructor(target: T, follow: (tell: Tell) => () => void, tell: (target: T, reason: unknown) => void) {
    this.#target = new WeakRef(target)
    this.#unfollow = follow((reason) => {
      const found = this.#held ?? this.#target.deref()
      if (found !== undefined) tell(found, reason)
    })
    collected.register(target, new WeakRef(this), this)
  }

  hold(target: T): void {
    this.#held = target
  }

  release(): void {
    this.#held = undefined
  }

  /** Nobody is told any more. */
  cut(): void {
    this.#held = undefined
    this.#unfollow()
    collected.unregister(this)
  }
}
