// Stage: submit. Thread: any that submits.
// A promise without a closure of its own, settled from elsewhere.

export type Settle = (value: unknown) => void

/** Those of the promise that was made last. */
export const last = {} as { resolve: Settle; reject: Settle }

/** For `new Promise(executor)`. */
export function executor(resolve: Settle, reject: Settle): void {
  last.resolve = resolve
  last.reject = reject
}

/** The same for who needs no more than the first function: what is to be rejected is resolved with a promise that is. */
export function resolving(resolve: Settle): void {
  last.resolve = resolve
}
