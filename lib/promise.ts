// Stage: all. Thread: any.
// Promises as the language has them. Some libraries replace the global by a class of their own, whose instances are not what
// `await` and async functions give.

import { types } from 'node:util'

/** Of what async functions give, also when the global was replaced before this was loaded. */
export const BuiltinPromise = (async () => {})().constructor as PromiseConstructor

export const { isPromise } = types

/** A failure that somebody is told of anyhow: that nobody awaits it is no fault. */
export function quiet(promise: PromiseLike<unknown>): void {
  promise.then(undefined, () => {})
}

/** `Promise.resolve` and `Promise.reject`, which users replace as well. */
export const resolved = BuiltinPromise.resolve.bind(BuiltinPromise)
export const rejected = BuiltinPromise.reject.bind(BuiltinPromise)
