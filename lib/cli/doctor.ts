// Stage: all. Thread: main.
// `threadmill doctor`: what threadmill finds on this machine, and what is in its way.
//
// D1. It works where the addon does not load, and says why.

import { existsSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import type { PoolStats } from '../..'
import { EXIT_FAILED } from './failure'
import { display } from './file-path'
import { headings } from './terminal'
import { PACKAGE_ROOT, version } from './version'

/** What the doctor found. */
export interface Findings {
  readonly threadmill: string
  readonly node: string
  readonly v8: string
  readonly napi: string
  readonly platform: string
  readonly addon: Addon
  readonly cores: Cores
  /** Why the native lane has its size, in words; `null` when the addon does not load. */
  readonly why: string | null
  readonly permissions: Permissions
  readonly checks: readonly Check[]
}

interface Addon {
  /** The file that was loaded. */
  readonly file: string | null
  readonly origin: 'built here' | 'prebuilt' | 'named by NAPI_RS_NATIVE_LIBRARY_PATH' | null
  /** Version of the package that it was built for. */
  readonly version: string | null
}

interface Cores {
  readonly cpus: number
  /** What Node takes for the parallelism of this process. */
  readonly available: number
  /** CPUs in the affinity mask; `null` when the addon does not load. */
  readonly affinity: number | null
  /** cgroup quota in cores. */
  readonly quota: number | null
  /** Native workers of a pool whose size nobody chose. */
  readonly threads: number | null
}

interface Permissions {
  /** Whether Node's permission model is on. */
  readonly on: boolean
  /** Flags that would have to be added. */
  readonly missing: readonly string[]
}

interface Check {
  readonly name: string
  readonly ok: boolean
  /** What went wrong, or what to do. */
  readonly message: string | null
}

type Sizing = PoolStats['sizing']
type Package = typeof import('../index')

/** Runs the command; gives its exit code. */
export async function doctor({ json }: { readonly json?: boolean }): Promise<number> {
  const findings = await examine()
  process.stdout.write(json ? `${JSON.stringify(findings)}\n` : toText(findings, headings()))
  return findings.checks.every(({ ok }) => ok) ? 0 : EXIT_FAILED
}

async function examine(): Promise<Findings> {
  const permissions = readPermissions()
  const checks: Check[] = []
  let sizing: Sizing | undefined
  let addon: Addon = { file: null, origin: null, version: null }
  const loaded = attempt(() => ({
    package: require('../index') as Package,
    native: (require('../native-owner') as typeof import('../native-owner')).native,
    file: (require('../addon') as typeof import('../addon')).addonFile(),
  }))
  checks.push(checkOf('the addon loads', loaded.error))
  if (loaded.value !== undefined) {
    const { native, file } = loaded.value
    addon = { file: file ?? null, origin: originOf(file), version: native.version() }
    checks.push({
      name: 'addon and package have the same version',
      ok: addon.version === version(),
      message:
        addon.version === version() ? null : `addon ${addon.version}, package ${version()}: build or install again`,
    })
    const pools = await tryPools(loaded.value.package, (found) => {
      sizing = found
    })
    checks.push(...pools)
  }
  return {
    threadmill: version(),
    node: process.versions.node,
    v8: process.versions.v8,
    napi: process.versions.napi ?? 'none',
    platform: `${process.platform} ${process.arch} (${os.type()} ${os.release()})`,
    addon,
    cores: coresOf(sizing),
    why: sizing === undefined ? null : explainSizing(sizing),
    permissions,
    checks,
  }
}

/** What the package is for: a kernel, and a task in a worker. */
async function tryPools({ WorkerPool }: Package, onSizing: (sizing: Sizing) => void): Promise<Check[]> {
  const kernel = await attemptAsync(async () => {
    const pool = new WorkerPool({ name: 'doctor' })
    onSizing(pool.stats().sizing)
    await pool.kernels.crc32('threadmill')
    await pool.close()
  })
  const task = await attemptAsync(async () => {
    const pool = new WorkerPool('data:text/javascript,export default (n) => n + 1', { maxWorkers: 1 })
    try {
      const output: unknown = await pool.run(1)
      if (output !== 2) throw new Error(`1 + 1 was ${output}`)
    } finally {
      await pool.destroy()
    }
  })
  return [checkOf('a kernel runs', kernel), checkOf('a task runs in a worker', task)]
}

/** In a checkout the addon is built; in an installed package, which has no Rust, it came with it. */
function originOf(file: string | undefined): Addon['origin'] {
  if (process.env.NAPI_RS_NATIVE_LIBRARY_PATH) return 'named by NAPI_RS_NATIVE_LIBRARY_PATH'
  const isOwn = file !== undefined && path.dirname(file) === path.join(PACKAGE_ROOT, 'native')
  return isOwn && existsSync(path.join(PACKAGE_ROOT, 'Cargo.toml')) ? 'built here' : 'prebuilt'
}

function coresOf(sizing: Sizing | undefined): Cores {
  return {
    cpus: sizing?.cpus ?? os.cpus().length,
    available: os.availableParallelism(),
    affinity: sizing?.affinity ?? null,
    quota: sizing?.quota ?? null,
    threads: sizing?.threads ?? null,
  }
}

/** Why the native lane has that many workers. */
export function explainSizing({ threads, source, cpus, affinity, quota }: Sizing): string {
  const workers = `${threads} native worker${threads === 1 ? '' : 's'}`
  switch (source) {
    case 'option':
      return `${workers}: the option threads says so`
    case 'affinity':
      return `${workers}: the affinity mask of this process has ${affinity} of ${cpus} CPUs`
    case 'cgroup':
      return `${workers}: the cgroup of this process has a quota of ${quota} CPUs, of ${cpus}`
    default:
      return `${workers}: one for each CPU that is online`
  }
}

/** `process.permission` exists only while the model is on; its types are newer than Node 20. */
function readPermissions(): Permissions {
  const { permission } = process as { readonly permission?: { has(scope: string, reference?: string): boolean } }
  if (permission === undefined) return { on: false, missing: [] }
  const missing: string[] = []
  if (!permission.has('fs.read', PACKAGE_ROOT)) missing.push(`--allow-fs-read=${PACKAGE_ROOT}/*`)
  if (!permission.has('worker')) missing.push('--allow-worker')
  // Older versions of Node do not tell; the attempt does.
  if (isDisabled(attempt(() => require('../native')).error)) missing.push('--allow-addons')
  return { on: true, missing }
}

/** Without a code: the loader gives each attempt the one before as its cause, and keeps only what they say. */
function isDisabled(error: unknown): boolean {
  return /addons is disabled/.test(rootOf(error)?.message ?? '')
}

/** What the first attempt met, which was for the file that should be there. */
function rootOf(error: unknown): { readonly message?: string } | undefined {
  const { cause } = (error ?? {}) as { readonly cause?: unknown }
  return cause === undefined || cause === null ? (error as { readonly message?: string } | undefined) : rootOf(cause)
}

interface Attempt<Value> {
  readonly value?: Value
  readonly error?: unknown
}

function attempt<Value>(action: () => Value): Attempt<Value> {
  try {
    return { value: action() }
  } catch (error) {
    return { error: error ?? 'failed' }
  }
}

/** What it rejects with. */
function attemptAsync(action: () => Promise<void>): Promise<unknown> {
  return action().then(
    () => undefined,
    (error: unknown) => error ?? 'failed',
  )
}

function checkOf(name: string, error: unknown): Check {
  const message = error === undefined ? null : (rootOf(error)?.message ?? String(error))
  return { name, ok: error === undefined, message }
}

function toText(findings: Findings, heading: (text: string) => string): string {
  const { addon, cores, why, permissions, checks } = findings
  const row = (name: string, value: string) => `  ${name.padEnd(14)}${value}`
  const lines = [
    heading('Versions'),
    row('threadmill', findings.threadmill),
    row('Node', findings.node),
    row('V8', findings.v8),
    row('Node-API', findings.napi),
    row('platform', findings.platform),
    '',
    heading('Addon'),
    row('file', addon.file === null ? 'not loaded' : display(addon.file)),
    ...(addon.origin === null ? [] : [row('origin', addon.origin)]),
    ...(addon.version === null ? [] : [row('built for', addon.version)]),
    '',
    heading('Cores'),
    row('CPUs', `${cores.cpus}`),
    row('available', `${cores.available}`),
    ...(cores.affinity === null ? [] : [row('affinity', `${cores.affinity}`)]),
    row('cgroup quota', cores.quota === null ? 'none' : `${cores.quota}`),
    ...(why === null ? [] : [row('pool size', why)]),
    '',
    heading('Permissions'),
    row('model', permissions.on ? 'on' : 'off'),
    ...(permissions.missing.length === 0 ? [] : [row('missing', display(permissions.missing.join(' ')))]),
    '',
    heading('Checks'),
    ...checks.map(
      ({ name, ok, message }) => `  ${ok ? 'ok' : 'FAILED'}  ${name}${message === null ? '' : `: ${display(message)}`}`,
    ),
  ]
  return `${lines.join('\n')}\n`
}
