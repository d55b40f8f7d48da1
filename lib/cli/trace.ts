// Stage: all. Thread: main.
// `threadmill trace view`: reads a trace and writes its picture.

import { readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { CliError, EXIT_FAILED, explain } from './failure'
import { display } from './file-path'
import { traceView } from './trace-view'

/** Runs the command; gives its exit code. */
export function viewTrace(file: string, { output }: { readonly output: string }): number {
  const picture = within(file, () => traceView(readFileSync(file === '-' ? 0 : file, 'utf8')))
  if (output === '-') process.stdout.write(picture)
  else within(output, () => writeFileSync(output, picture))
  return 0
}

function within<Value>(file: string, action: () => Value): Value {
  try {
    return action()
  } catch (error) {
    const message = error instanceof CliError ? error.message : explain(error)
    throw new CliError(`${display(file)}: ${display(message)}`, EXIT_FAILED)
  }
}
