// Stage: submit. Thread: owner env.
// The arguments of a call as the input of one task. A lone argument that no list can be mistaken for goes as it is: the
// shortest way for numbers and strings.

import { transferOf } from '../transfer'

/** `undefined`: none; an array: a list of them; anything else: the only one. */
export type Packed = readonly unknown[] | number | string | boolean | null | undefined

/** The arguments, and what of them is moved. */
export interface Arguments {
  readonly packed: Packed
  readonly list: readonly object[] | undefined
}

/** Takes the marks of `transfer()` off arguments. */
export function pack(args: readonly unknown[]): Arguments {
  if (args.length === 0) return NONE
  if (args.length === 1 && isPlain(args[0])) return { packed: args[0], list: undefined }
  let list: object[] | undefined
  const packed = args.map((arg) => {
    const marked = transferOf(arg)
    if (marked === undefined) return arg
    list = [...(list ?? []), ...marked.list]
    return marked.value
  })
  return { packed, list }
}

const NONE: Arguments = { packed: undefined, list: undefined }

function isPlain(value: unknown): value is number | string | boolean | null {
  return typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean' || value === null
}
