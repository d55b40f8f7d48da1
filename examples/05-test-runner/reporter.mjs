// Prints what happens: a block per file when it ends, and on a terminal a progress bar below them.

import process from 'node:process'
import { SingleBar } from 'cli-progress'

export class Reporter {
  #stream
  #bar
  #specs = new Map()
  #files = { passed: 0, failed: 0 }
  #tests = { passed: 0, failed: 0 }

  /** @param {NodeJS.WriteStream} stream */
  constructor(stream) {
    this.#stream = stream
    if (stream.isTTY !== true || process.env.TERM === 'dumb') return
    this.#bar = new SingleBar({
      stream,
      format: '{bar} {value}/{total} files, {tests} tests',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 30,
      clearOnComplete: true,
      // It would keep Ctrl-C from ending the process.
      gracefulExit: false,
    })
  }

  get failed() {
    return this.#files.failed > 0
  }

  found(specs) {
    for (const spec of specs) this.#specs.set(spec, { lines: [], unfinished: '', failures: 0, tests: 0 })
    this.#draw()
  }

  /** A test has ended; `failure` is why it failed. */
  test(spec, name, failure) {
    const state = this.#specs.get(spec)
    this.#breakLine(state)
    state.tests++
    this.#tests[failure === undefined ? 'passed' : 'failed']++
    if (failure === undefined) state.lines.push(`  ok      ${name}`)
    else {
      state.failures++
      state.lines.push(`  not ok  ${name}`, ...indent(failure))
    }
    this.#bar?.update({ tests: this.#sum(this.#tests) })
  }

  /** A file has written to a stream. */
  output(spec, text) {
    const state = this.#specs.get(spec)
    const lines = (state.unfinished + text).split('\n')
    state.unfinished = lines.pop()
    for (const line of lines) state.lines.push(`  | ${line}`)
    if (state.ended) this.#print(state.lines.splice(0), `after the end of ${spec}:`)
  }

  /** A file has ended; `failure` is why it failed as a whole. */
  end(spec, failure) {
    const state = this.#specs.get(spec)
    this.#breakLine(state)
    if (failure !== undefined) state.lines.push(...indent(failure))
    const failed = failure !== undefined || state.failures > 0
    this.#files[failed ? 'failed' : 'passed']++
    state.ended = true
    this.#print(state.lines.splice(0), `${failed ? 'FAIL' : 'PASS'}  ${spec}`)
  }

  close() {
    this.#bar?.stop()
    this.#bar = undefined
  }

  summary() {
    const line = (name, { passed, failed }) =>
      `${name}  ${failed} failed, ${passed} passed, ${passed + failed} in total`
    this.#stream.write(`\n${line('Files', this.#files)}\n${line('Tests', this.#tests)}\n`)
  }

  /** Ends a line of output that has no newline. */
  #breakLine(state) {
    if (state.unfinished !== '') state.lines.push(`  | ${state.unfinished}`)
    state.unfinished = ''
  }

  #print(lines, title) {
    // The bar makes room for the text and comes back below it.
    this.#bar?.stop()
    this.#stream.write(`${[title, ...lines].join('\n')}\n`)
    this.#draw()
  }

  #draw() {
    this.#bar?.start(this.#specs.size, this.#sum(this.#files), { tests: this.#sum(this.#tests) })
  }

  #sum({ passed, failed }) {
    return passed + failed
  }
}

function indent(text) {
  return text.split('\n').map((line) => `          ${line}`.trimEnd())
}
