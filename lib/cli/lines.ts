// Stage: before submit. Thread: main.
// Lines of a stream of bytes, one after the other, so that memory does not depend on how many there are.

import { Buffer } from 'node:buffer'

/** One line, without its end. */
export interface Line {
  /** From 1. */
  readonly number: number
  readonly bytes: Buffer
  /** Bytes of the stream up to its end, which counts. */
  readonly offset: number
  /** Whether a line feed ends it; the last one may have none. */
  readonly complete: boolean
}

const LINE_FEED = 10

/** Lines end with a line feed; what precedes it, a carriage return included, belongs to the line. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line, undefined> {
  let number = 0
  let offset = 0
  // Parts of a line that began in earlier chunks.
  let parts: Buffer[] = []
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let start = 0
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
      const last = bytes.subarray(start, end)
      const whole = parts.length === 0 ? last : Buffer.concat([...parts, last])
      parts = []
      start = end + 1
      number++
      offset += whole.length + 1
      yield { number, bytes: whole, offset, complete: true }
    }
    if (start < bytes.length) parts.push(bytes.subarray(start))
  }
  if (parts.length === 0) return
  const bytes = Buffer.concat(parts)
  yield { number: number + 1, bytes, offset: offset + bytes.length, complete: false }
}

/** Whether there is nothing but white space. */
export function isBlank({ bytes }: Line): boolean {
  for (const byte of bytes) if (byte !== 32 && (byte < 9 || byte > 13)) return false
  return true
}
