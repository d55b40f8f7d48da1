// `npm run test:nodes [-- words]`: the JavaScript tests on every supported line of Node. The binaries come from npm
// (package node-<system>-<arch>) into a cache outside the tree.
import { existsSync, mkdirSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { root } from './lib/files.mjs'
import { npm, run } from './lib/process.mjs'
import { main, SetupError } from './setup.mjs'

const VERSIONS = ['20.20.2', '22.23.3', '24.21.0', '26.10.0']
const CACHE = path.join(os.tmpdir(), 'threadmill-nodes')

await main(async () => {
  const results = []
  for (const version of VERSIONS) {
    const node = await install(version)
    console.log(`\n== Node ${version}`)
    const env = { ...process.env, THREADMILL_TEST_NODE: node }
    const code = await run(process.execPath, ['scripts/test.mjs', '--js', ...process.argv.slice(2)], { cwd: root, env })
    results.push({ version, code })
  }
  console.log()
  for (const { version, code } of results) console.log(`Node ${version}: ${code === 0 ? 'passed' : 'FAILED'}`)
  return results.some(({ code }) => code !== 0) ? 1 : 0
})

/** @param {string} version */
async function install(version) {
  const system = process.platform === 'win32' ? 'win' : process.platform
  const name = `node-${system}-${process.arch}`
  const folder = path.join(CACHE, version)
  const binary = path.join(folder, 'node_modules', name, 'bin', system === 'win' ? 'node.exe' : 'node')
  if (existsSync(binary)) return binary
  mkdirSync(folder, { recursive: true })
  const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--save-exact', `${name}@${version}`]
  if ((await npm(args, { cwd: folder })) !== 0) throw new SetupError(`${name}@${version} could not be installed.`)
  return binary
}
