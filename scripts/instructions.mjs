// `npm run bench:instructions`: how many instructions the core takes for one more task, counted by callgrind, against
// `crates/cycles/baseline.json`. Ends with 1 when a cycle has grown by more than a tenth, or costs more than three times
// as much with a million tasks queued as with ten thousand. `-- --update` writes the baseline.
//
// A cycle runs with two numbers of tasks, and the difference is divided by the difference of these: what the program
// takes to start and to end cancels out.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { installPackage } from './lib/apt.mjs'
import { root } from './lib/files.mjs'
import { run } from './lib/process.mjs'
import { main, SetupError } from './setup.mjs'

const BASELINE = path.join(root, 'crates/cycles/baseline.json')

/** By how much a cycle may grow. */
const TOLERANCE = 0.1
/** What a cycle is run with, besides twice as many. */
const TASKS = 10_000

/** Cycles that are also counted with few and with many tasks queued, and how much more the latter may cost. */
const QUEUED = ['scheduler, all queued', 'js lane, all queued']
const FEW = 10_000
const MANY = 1_000_000
const GROWTH = 3

await main(async () => {
  const isUpdate = process.argv.includes('--update')
  const obstacle = findObstacle()
  if (obstacle !== undefined) {
    console.log(`instructions are not counted: ${obstacle}`)
    // CI that counts nothing would pass whatever the change costs.
    return process.env.CI || isUpdate ? 1 : 0
  }
  const program = build()
  const names = output(program, []).trim().split('\n')
  const folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-instructions-'))
  try {
    const { counted, growth } = await count(program, names, folder)
    if (isUpdate) writeBaseline(counted)
    const baseline = JSON.parse(readFileSync(BASELINE, 'utf8'))
    const grown = [...compare(counted, baseline.instructions), ...checkGrowth(growth)]
    if (grown.length === 0) return 0
    for (const line of grown) console.log(`FAILED  ${line}`)
    if (baseline.rustc !== rustVersion()) {
      console.log(`The baseline was counted with Rust ${baseline.rustc}, this is ${rustVersion()}.`)
    }
    console.log('Where the cost is worth it: npm run bench:instructions -- --update, and say why in the commit.')
    return 1
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** Why nothing can be counted here, if so. */
function findObstacle() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the baseline is for Linux on x86-64'
  const hasValgrind = () => spawnSync('valgrind', ['--version'], { stdio: 'ignore' }).status === 0
  if (!hasValgrind()) installPackage('valgrind')
  return hasValgrind() ? undefined : 'valgrind was not found; install it with the package manager of the system'
}

/** Builds the program that runs the cycles, into the folder that has what the addon shares with it; its path. */
function build() {
  const target = /^host: (.+)$/m.exec(output('rustc', ['-vV']))?.[1] ?? ''
  const args = ['build', '--release', '--target', target, '--package', 'threadmill-cycles']
  const messages = output('cargo', [...args, '--message-format=json-render-diagnostics'])
  const artifacts = messages
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  return artifacts.findLast((artifact) => artifact.executable).executable
}

/** Standard output of a program, which has to succeed. */
function output(file, args) {
  const { status, stdout, error } = spawnSync(file, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  })
  if (status !== 0) throw new SetupError(`${file} ${args.join(' ')} failed. ${error?.message ?? ''}`)
  return stdout
}

/** Instructions per task of each cycle, and those of the queued ones by length of the queue. */
async function count(program, names, folder) {
  const runs = new Map()
  const plan = [
    ...QUEUED.flatMap((name) => [MANY, FEW, 0].map((tasks) => [name, tasks])),
    ...names.flatMap((name) => [2 * TASKS, TASKS].map((tasks) => [name, tasks])),
  ]
  const key = (name, tasks) => `${name}, ${tasks}`
  // The long ones come first, so that no processor is left with one at the end.
  const waiting = new Map(plan.map(([name, tasks]) => [key(name, tasks), [name, tasks]])).entries()
  const work = async () => {
    for (const [id, [name, tasks]] of waiting) runs.set(id, await callgrind(program, name, tasks, folder))
  }
  await Promise.all(Array.from({ length: Math.min(os.availableParallelism(), 8) }, work))
  const total = (name, tasks) => runs.get(key(name, tasks))
  const each = (name, from, to) => (total(name, to) - total(name, from)) / (to - from)
  return {
    counted: names.map((name) => [name, Math.round(each(name, TASKS, 2 * TASKS))]),
    growth: QUEUED.map((name) => [name, each(name, 0, FEW), each(name, 0, MANY)]),
  }
}

/** Instructions that one run of a cycle takes. */
async function callgrind(program, name, tasks, folder) {
  const file = path.join(folder, `${name}-${tasks}`)
  const args = ['--tool=callgrind', `--callgrind-out-file=${file}`, `--log-file=${file}.log`]
  const code = await run('valgrind', [...args, program, name, String(tasks)])
  const total = code === 0 ? /^totals: (\d+)$/m.exec(readFileSync(file, 'utf8'))?.[1] : undefined
  if (total === undefined) {
    throw new SetupError(`"${name}" with ${tasks} tasks was not counted:\n${readFileSync(`${file}.log`, 'utf8')}`)
  }
  return Number(total)
}

function writeBaseline(counted) {
  const baseline = { rustc: rustVersion(), instructions: Object.fromEntries(counted) }
  writeFileSync(BASELINE, `${JSON.stringify(baseline, undefined, 2)}\n`)
}

function rustVersion() {
  return /^release: (.+)$/m.exec(output('rustc', ['-vV']))?.[1]
}

/** Prints the counts; what is wrong with them. */
function compare(counted, baseline) {
  const wrong = []
  console.log(
    `${'instructions per task'.padEnd(34)}${'baseline'.padStart(10)}${'now'.padStart(9)}${'change'.padStart(9)}`,
  )
  for (const [name, now] of counted) {
    const before = baseline[name]
    const change = now / before - 1
    const percent = `${change < 0 ? '' : '+'}${(change * 100).toFixed(1)} %`
    console.log(`${name.padEnd(34)}${String(before).padStart(10)}${String(now).padStart(9)}${percent.padStart(9)}`)
    if (before === undefined) wrong.push(`${name}: the baseline does not have it`)
    else if (change > TOLERANCE) wrong.push(`${name}: ${before} → ${now} instructions, ${percent}`)
  }
  const names = counted.map(([name]) => name)
  for (const name of Object.keys(baseline)) {
    if (!names.includes(name)) wrong.push(`${name}: it is in the baseline only`)
  }
  return wrong
}

/** Prints what long queues cost; what is wrong with it. */
function checkGrowth(growth) {
  const head = [String(FEW).padStart(10), String(MANY).padStart(9), 'ratio'.padStart(9)]
  console.log(`${'by tasks queued'.padEnd(34)}${head.join('')}`)
  return growth.flatMap(([name, few, many]) => {
    const ratio = many / few
    const columns = [few.toFixed(0).padStart(10), many.toFixed(0).padStart(9), ratio.toFixed(2).padStart(9)]
    console.log(`${name.padEnd(34)}${columns.join('')}`)
    return ratio > GROWTH ? [`${name}: ${ratio.toFixed(2)} times as much with ${MANY} queued as with ${FEW}`] : []
  })
}
