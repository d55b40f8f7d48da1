// npm runs this after `npm install` and `npm ci` in a checkout, for a git dependency, and before packing.
import process from 'node:process'
import { buildJs, buildNative, main, markPackagesInstalled } from './setup.mjs'

await main(async () => {
  // Set by setup.mjs, which builds by itself, and where the package is published, which must not ship this binary.
  if (process.env.THREADMILL_SKIP_BUILD) return
  if (process.env.npm_command === 'ci' || process.env.npm_command === 'install') markPackagesInstalled()
  await buildNative()
  await buildJs()
})
