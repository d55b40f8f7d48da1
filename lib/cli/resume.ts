// Stage: before submit. Thread: main.
// Going on with an interrupted `run`: its output says how many lines are done.
//
// The output fits when its complete lines are result lines, and name the lines of the input that are not blank from the
// first one on. What the input says is not compared.

import { CliError } from './failure'
import type { FileOutput } from './line-output'
import { type Line, linesOf } from './lines'
import { readResultLine } from './result-line'

/** What is done. */
export interface Done {
  readonly results: number
  readonly failed: number
  /** Bytes of the input behind it. */
  readonly offset: number
}

/**
 * Takes what is done from the input, and keeps the complete lines of the output; a torn last line will be cut off.
 * @param input lines that are not blank
 * @throws CliError when one does not fit the other
 */
export async function skipDone(input: AsyncGenerator<Line, undefined>, output: FileOutput): Promise<Done> {
  if (!output.isRegular) throw new CliError(`${output.path}: only a regular file can be resumed`)
  let results = 0
  let failed = 0
  let offset = 0
  let kept = 0
  for await (const line of linesOf(output.chunks())) {
    if (!line.complete) break
    const refuse = (why: string) => new CliError(`${output.path} does not fit the input: line ${line.number} ${why}`)
    const result = readResultLine(line)
    if (result === undefined) throw refuse('is no result')
    const next = await input.next()
    if (next.done) throw refuse('is a result more than the input has lines')
    if (next.value.number !== result.line) {
      throw refuse(`is the result of line ${result.line}; the one of line ${next.value.number} was expected`)
    }
    results++
    if (result.failed) failed++
    offset = next.value.offset
    kept = line.offset
  }
  output.keep(kept)
  return { results, failed, offset }
}
