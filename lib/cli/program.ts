// Stage: before submit. Thread: main.
// The commands of `threadmill` and their options. What a command does is loaded when it runs.

import process from 'node:process'
import { Command, InvalidArgumentError, Option } from 'commander'
import { version } from './version'

const MAX_NUMBER = 2 ** 31 - 1

/** The command line; `onExit` is told how a command has ended. Wrong arguments throw a CommanderError, after saying so. */
export function createProgram(onExit: (exitCode: number) => void): Command {
  const program = new Command('threadmill')
    .description('Applies functions to lines, runs kernels, and looks into pools of threads.')
    .exitOverride()
    .enablePositionalOptions()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'threadmill: ')) })
    .showHelpAfterError('(--help explains)')
  program.version(version(), '-V, --version', 'print the version')
  program.helpOption('-h, --help', 'print this')
  program.helpCommand('help [command]', 'explain a command')

  addRun(program, onExit)
  addKernel(program, onExit)
  addDupes(program, onExit)
  addBench(program, onExit)
  addTop(program, onExit)
  addTrace(program, onExit)
  addDoctor(program, onExit)
  return program
}

type OnExit = (exitCode: number) => void

function addRun(program: Command, onExit: OnExit): void {
  program
    .command('run')
    .description('apply the function of a module to every line of JSON')
    .argument('<entry>', 'module: a path, a file: or data: URL, or a package name')
    .option('-i, --input <file>', 'lines of JSON; - is standard input', '-')
    .option('-o, --output <file>', 'where results go; - is standard output', '-')
    .option('-c, --concurrency <n>', 'lines in progress at a time (16 a core)', wholeNumber(1, MAX_NUMBER))
    .option('-e, --export <name>', 'export to call (workerEntrypoint, processTask or default)', nonEmpty)
    .option('-k, --continue-on-error', 'go on after lines that fail')
    .option('-r, --resume', 'go on after the last complete line of the output file')
    .option('--no-progress', 'show no progress')
    .addHelpText(
      'after',
      `
Result lines come in the order of the input: {"line":1,"value":…}, or {"line":2,"error":{"name","message","code"}}
with --continue-on-error. Lines are counted from 1; blank ones give no result. What functions print goes to standard
error. On a terminal a bar on standard error shows how far it is.

Exit code: 0 done, 1 a line failed, 2 it could not begin or go on, 130 interrupted.`,
    )
    .action(async (entry, options) => {
      const { run } = require('./run') as typeof import('./run')
      onExit(await run(entry, options))
    })
}

function addKernel(program: Command, onExit: OnExit): void {
  program
    .command('kernel')
    .description('run a kernel on files or standard input')
    .argument('<name>', 'see threadmill kernels')
    .argument('[files...]', 'what it runs on; - is standard input')
    .addOption(
      new Option('-p, --option <key=value>', 'an option of the kernel, or a field of its input').argParser(keyAndValue),
    )
    .option('-o, --output <file>', 'where the result goes; - is standard output', '-')
    .addHelpText(
      'after',
      `
Hashes are printed in hex, bytes as they are, everything else as JSON. Several files give a line each.

Exit code: 0 done, 1 a file could not be read or the kernel failed, 2 wrong arguments, 130 interrupted.`,
    )
    .action(async (name, files, options) => {
      const { runKernel } = require('./kernel') as typeof import('./kernel')
      onExit(await runKernel(name, files, options))
    })
  program
    .command('kernels')
    .description('list the kernels of this build, what they take and give')
    .option('--json', 'as JSON, in full')
    .action((options) => {
      const { listKernels } = require('./kernel-list') as typeof import('./kernel-list')
      listKernels(options)
    })
}

function addDupes(program: Command, onExit: OnExit): void {
  const dupes = program
    .command('dupes')
    .description('find files of equal contents below a folder, and look into its text files')
    // It reads its arguments itself, as it does for `npm start`.
    .argument('[arguments...]')
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (args) => {
      const { dupes: main } = require('./dupes') as typeof import('./dupes')
      onExit(await main(args, process.cwd()))
    })
  dupes.helpInformation = () => (require('./arguments') as typeof import('./arguments')).HELP
}

function addBench(program: Command, onExit: OnExit): void {
  program
    .command('bench')
    .description('compare kernels and tasks with plain workers, on this machine')
    .option('-s, --seconds <n>', 'how long it measures', wholeNumber(1, 3600), 10)
    .option('-t, --threads <n>', 'threads of each contender (one a core)', wholeNumber(1, 1024))
    .option('--json', 'as JSON')
    .action(async (options) => {
      const { bench } = require('./bench') as typeof import('./bench')
      onExit(await bench(options))
    })
}

function addTop(program: Command, onExit: OnExit): void {
  program
    .command('top')
    .description('show the workers of a process that serves a dashboard')
    .argument('<url>', 'of the dashboard, with its token: http://127.0.0.1:9000/?token=…')
    .option('-i, --interval <seconds>', 'time between two looks', seconds, 1)
    .option('-1, --once', 'look once')
    .addHelpText('after', '\nExit code: 0 done, 1 the dashboard does not answer, 2 wrong arguments, 130 interrupted.')
    .action(async (url, options) => {
      const { top } = require('./top') as typeof import('./top')
      onExit(await top(url, options))
    })
}

function addTrace(program: Command, onExit: OnExit): void {
  const trace = program.command('trace').description('look at what pool.trace or THREADMILL_TRACE has recorded')
  trace
    .command('view')
    .description('draw a trace as an SVG')
    .argument('<file>', 'the trace, in JSON; - is standard input')
    .option('-o, --output <file>', 'where the SVG goes; - is standard output', '-')
    .addHelpText(
      'after',
      '\nExit code: 0 done, 1 the file cannot be read, is no trace, or the SVG cannot be written, 2 wrong arguments.',
    )
    .action((file, options) => {
      const { viewTrace } = require('./trace') as typeof import('./trace')
      onExit(viewTrace(file, options))
    })
}

function addDoctor(program: Command, onExit: OnExit): void {
  program
    .command('doctor')
    .description('tell what threadmill finds on this machine, and what is in its way')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExit code: 0 everything works, 1 something does not.')
    .action(async (options) => {
      const { doctor } = require('./doctor') as typeof import('./doctor')
      onExit(await doctor(options))
    })
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
    }
    return value
  }
}

function seconds(text: string): number {
  const value = Number(text)
  if (!(value >= 0.1 && value <= 3600)) throw new InvalidArgumentError('It must be a number from 0.1 to 3600.')
  return value
}

function nonEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.')
  return text
}

/** Options that may be given several times come as a map. */
function keyAndValue(text: string, previous: ReadonlyMap<string, string> | undefined): ReadonlyMap<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It must be key=value.')
  const key = text.slice(0, at)
  if (previous?.has(key)) throw new InvalidArgumentError(`'${key}' is given twice.`)
  return new Map(previous).set(key, text.slice(at + 1))
}
