// `npm run test:runtimes [-- words]`: the smoke test of __test__/runtimes/ under Bun and Deno. The binaries come from npm
// (the packages for one system of `bun` and `deno`) into a cache outside the tree.
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { DENO_FLAGS } from '../__test__/runtimes/runtime.mjs'
import { root } from './lib/files.mjs'
import { npm, run } from './lib/process.mjs'
import { main, SetupError, setup } from './setup.mjs'

const CACHE = path.join(os.tmpdir(), 'threadmill-runtimes')
const SMOKE = '__test__/runtimes/smoke.mjs'
/** Limit of one runtime, ms: nothing may hang. */
const LIMIT = 5 * 60_000

const exe = process.platform === 'win32' ? '.exe' : ''
const RUNTIMES = [
  { name: 'Bun', version: '1.4.5', scope: '@oven', system: bunSystem(), binary: `bin/bun${exe}`, args: [] },
  {
    name: 'Deno',
    version: '2.9.6',
    scope: '@deno',
    system: denoSystem(),
    binary: `deno${exe}`,
    // The checks of processes start programs; those get no more than the flags that the documentation names.
    args: ['run', ...DENO_FLAGS, '--allow-run'],
  },
]

await main(async () => {
  await setup()
  const results = []
  for (const runtime of RUNTIMES) {
    const binary = await install(runtime)
    console.log(`\n== ${runtime.name} ${runtime.version}`)
    const args = [...runtime.args, SMOKE, ...process.argv.slice(2)]
    // Nothing of these runtimes goes to the user's folders or to the network.
    const quiet = { NO_COLOR: '1', DO_NOT_TRACK: '1', DENO_NO_UPDATE_CHECK: '1', DENO_DIR: path.join(CACHE, 'deno') }
    const env = { ...process.env, ...quiet }
    const code = await run(binary, args, { cwd: root, env, timeout: LIMIT, killSignal: 'SIGKILL' })
    results.push({ ...runtime, code })
  }
  console.log()
  for (const { name, version, code } of results) console.log(`${name} ${version}: ${code === 0 ? 'passed' : 'FAILED'}`)
  return results.some(({ code }) => code !== 0) ? 1 : 0
})

/** The binary of a runtime. */
async function install({ version, scope, system, binary }) {
  const name = `${scope}/${system}`
  const folder = path.join(CACHE, `${system}-${version}`)
  const file = path.join(folder, 'node_modules', name, binary)
  if (existsSync(file)) return file
  mkdirSync(folder, { recursive: true })
  const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--save-exact', `${name}@${version}`]
  if ((await npm(args, { cwd: folder })) !== 0) throw new SetupError(`${name}@${version} could not be installed.`)
  return file
}

function bunSystem() {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const arch = process.arch === 'arm64' ? 'aarch64' : process.arch
  // The other build ends with an illegal instruction on a processor without AVX2.
  const baseline = arch === 'x64' && lacksAvx2() ? '-baseline' : ''
  return `bun-${system}-${arch}${isMusl() ? '-musl' : ''}${baseline}`
}

function denoSystem() {
  return `${process.platform}-${process.arch}${process.platform === 'linux' ? '-glibc' : ''}`
}

function lacksAvx2() {
  return process.platform === 'linux' && !/\bavx2\b/.test(readFileSync('/proc/cpuinfo', 'utf8'))
}

function isMusl() {
  return process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined
}
