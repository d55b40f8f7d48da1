// Stage: after settle. Thread: main.
// Outputs of kernels as text: digests in hex, strings as they are, the rest as JSON.

import { Buffer } from 'node:buffer'
import type { KernelInfo } from '../..'
import { display } from './file-path'

/** The bytes of an output that is bytes; `undefined` for all others. */
export function bytesOf(output: unknown): Buffer | undefined {
  if (!(output instanceof Uint8Array)) return undefined
  return Buffer.from(output.buffer, output.byteOffset, output.byteLength)
}

/** Whether the kernel gives bytes, whatever its options. */
export function givesBytes({ output }: KernelInfo): boolean {
  return output === 'Uint8Array'
}

/** The output on one line. `file`: for one of several files. */
export function outputLine(info: KernelInfo, output: unknown, file?: string): string {
  const text = digestText(info, output) ?? (typeof output === 'string' ? output : undefined)
  if (text !== undefined) return file === undefined ? `${text}\n` : `${text}  ${display(file)}\n`
  const value = file === undefined ? output : { file, value: output }
  return `${JSON.stringify(value, toJson)}\n`
}

/** Numbers of hashes have the width of the hash: 64 bits for a bigint, else 32. */
function digestText({ group }: KernelInfo, output: unknown): string | undefined {
  if (group !== 'hash') return undefined
  if (typeof output === 'bigint') return output.toString(16).padStart(16, '0')
  return typeof output === 'number' ? output.toString(16).padStart(8, '0') : undefined
}

/** Typed arrays as lists; integers that JSON numbers cannot hold as strings. */
function toJson(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Uint8Array) : value
}
