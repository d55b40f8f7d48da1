// Stage: all. Thread: any env.
// Finds the addon. The loader in native/ tries one place after the other and finds out about the C library; that takes longer
// than to load the addon, and where only one can be meant it is not asked.

import { existsSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'

/** What is added to platform and processor in the names of addons. */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  darwin: [''],
  linux: ['-gnu', '-musl'],
  win32: ['-msvc'],
}

let known: string | undefined

/** Says which file it is, before it is loaded. */
export function setAddonFile(file: string | undefined): void {
  known = file
}

/** The exports of the addon. @throws what the loader throws */
export function loadAddon(): unknown {
  if (known !== undefined) return require(known)
  const file = onlyAddon()
  if (file !== undefined) {
    try {
      return require(file)
    } catch {
      // The loader says what is wrong.
    }
  }
  return require('#native')
}

/** The file of the addon, or the folder of its package; `undefined` when the loader has to choose. */
function onlyAddon(): string | undefined {
  // They tell the loader what to take.
  for (const name in process.env) if (name.startsWith('NAPI_RS_')) return undefined
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
