// A reporter for `node --test`: a line for every test that failed, so that a summary at the end can repeat them.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { root } from './files.mjs'

/** Where a run of the tests leaves those lines: a file per kind of build. */
export const FAILURES = path.join(root, 'target/failures')

/** Repeats the lines of the last run. */
export function printFailures() {
  for (const kind of existsSync(FAILURES) ? readdirSync(FAILURES) : []) {
    const lines = readFileSync(path.join(FAILURES, kind), 'utf8').split('\n')
    for (const line of lines.filter(Boolean)) console.log(`failed on ${kind}: ${line}`)
  }
}

const MAX_LENGTH = 240

/** @param {AsyncIterable<{ type: string, data: any }>} source */
export default async function* failures(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:fail') continue
    const error = data.details?.error
    // A suite fails because of its tests, which have lines of their own.
    if (error?.failureType === 'subtestsFailed') continue
    const reason = String((error?.cause ?? error)?.message ?? error).replace(/\s+/g, ' ')
    const place = data.file === undefined ? '' : `${path.relative(root, data.file)}: `
    yield `${`${place}${data.name}: ${reason}`.slice(0, MAX_LENGTH)}\n`
  }
}
