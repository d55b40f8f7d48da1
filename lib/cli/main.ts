#!/usr/bin/env node
// Stage: all. Thread: main.
// The program `threadmill`: runs the command that it is given, and ends with its exit code.

import process from 'node:process'
import { CommanderError } from 'commander'
import { CliError, EXIT_FAILED, EXIT_UNUSABLE } from './failure'
import { display } from './file-path'
import { createProgram } from './program'
import { endWithoutOutput } from './terminal'

endWithoutOutput()
const program = createProgram((exitCode) => {
  process.exitCode = exitCode
})

// Not `process.exit`: output to a pipe may still be on its way.
program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    // It has said so itself.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_UNUSABLE
  } else if (error instanceof CliError) {
    // Input, arguments and errors of others are in it.
    process.stderr.write(`threadmill: ${display(error.message)}\n`)
    process.exitCode = error.exitCode
  } else {
    process.stderr.write(`threadmill: ${error instanceof Error ? error.stack : String(error)}\n`)
    process.exitCode = EXIT_FAILED
  }
})
