// Where a result comes from: versions, machine, commit.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import os from 'node:os'
import process from 'node:process'

/** What stands above the figures of a run. */
export function provenance() {
  const manifest = readJson('../../package.json')
  const { dependencies } = readJson('../package.json')
  const cpus = os.cpus()
  return {
    date: new Date().toISOString(),
    package: `${manifest.name} ${manifest.version}`,
    commit: git('rev-parse', 'HEAD'),
    /** Whether files differ from that commit. */
    modified: git('status', '--porcelain') !== '',
    node: process.version,
    v8: process.versions.v8,
    rustc: output('rustc', ['--version']),
    rivals: dependencies,
    system: `${os.type()} ${os.release()} ${process.arch}`,
    cpu: cpus[0]?.model ?? 'unknown',
    cpus: cpus.length,
    parallelism: os.availableParallelism(),
    memory: os.totalmem(),
    loadBefore: os.loadavg()[0],
  }
}

function readJson(file) {
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8'))
}

function git(...args) {
  return output('git', args)
}

function output(program, args) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', cwd: new URL('.', import.meta.url) })
  return status === 0 ? stdout.trim() : 'unknown'
}
