// Stage: all. Thread: any env.
// Finds the addon. The loader in native/ tries one place after the other and finds out about the C library; that takes longer
// than to load the addon, and where only one can be meant it is not asked.

import path from 'node:path'
import process from 'node:process'
import { isInstance, ThreadmillError } from './errors'

/** What is added to platform and processor in the names of addons. */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  darwin: [''],
  linux: ['-gnu', '-musl'],
  win32: ['-msvc'],
}

/** The file that it was loaded from. */
let known: string | undefined
/** What it is, where that is known from the start. */
let given: object | undefined

/** Says what it is, and its file. */
export function setAddon(file: string, addon: object): void {
  known = file
  given = addon
}

/** The exports of the addon, which nobody else has in this thread. @throws ThreadmillError `ERR_THREADMILL_NOT_SUPPORTED` */
export function loadAddon(): unknown {
  return claimed(given ?? findAddon())
}

function findAddon(): object {
  const file = onlyAddon()
  let refusal: unknown
  if (file !== undefined) {
    try {
      const addon = require(file)
      known = fileOf(addon) ?? file
      return addon
    } catch (error) {
      refusal = error
    }
  }
  try {
    const addon = require('../native/index.js')
    known = fileOf(addon)
    return addon
  } catch (error) {
    throw cannotLoad(refusal ?? firstCause(error), error)
  }
}

/** The loader tells what it tried last; what it tried first is what should have been there. */
function firstCause(error: unknown): unknown {
  let first = error
  while (isInstance(first, Error) && first.cause instanceof Error) first = first.cause
  return first
}

/** The loader blames npm for whatever goes wrong. */
function cannotLoad(reason: unknown, cause: unknown): ThreadmillError {
  const [said = ''] = String(isInstance(reason, Error) ? reason.message : reason).split('\n')
  const why = /^Cannot find module '(\.\/)?threadmill/.test(said)
    ? 'none is installed: optional dependencies were left out, or node_modules comes from another platform'
    : said
  const message = `the addon of threadmill for ${process.platform}-${process.arch} cannot be loaded: ${why}`
  return new ThreadmillError('ERR_THREADMILL_NOT_SUPPORTED', message, { cause })
}

/** Some who call themselves `require` have no cache. */
function fileOf(addon: object): string | undefined {
  const { cache } = require as { cache?: NodeJS.Require['cache'] }
  return Object.keys(cache ?? {}).find((name) => cache?.[name]?.exports === addon && /\.node$/.test(name))
}

/** The file that the addon was loaded from, if that is known. */
export function addonFile(): string | undefined {
  return known
}

/** Test runners load modules again and again in one thread, but addons once; and one of these serves one of us. */
function claimed(addon: object): object {
  if (!Object.hasOwn(addon, CLAIMED)) {
    Object.defineProperty(addon, CLAIMED, { value: true })
    return addon
  }
  if (known === undefined) return addon
  const another = { exports: {} }
  process.dlopen(another, path.toNamespacedPath(known))
  return another.exports
}

const CLAIMED = Symbol.for('threadmill.claimed')

/** The file of the addon, or the folder of its package; `undefined` when the loader has to choose. */
function onlyAddon(): string | undefined {
  // They tell the loader what to take.
  for (const name in process.env) if (name.startsWith('NAPI_RS_')) return undefined
  const { existsSync } = require('node:fs') as typeof import('node:fs')
  const { platform, arch } = process
  const names = (VARIANTS[platform] ?? []).map((variant) => `${platform}-${arch}${variant}`)
  const built = names.map((name) => path.join(__dirname, '..', 'native', `threadmill.${name}.node`))
  const installed = names.map((name) => path.join(__dirname, '..', '..', `threadmill-${name}`))
  try {
    const there = [...built, ...installed].filter((file) => existsSync(file))
    return there.length === 1 ? there[0] : undefined
  } catch {
    // The permission model does not let us look everywhere.
    return undefined
  }
}
