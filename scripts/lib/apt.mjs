// Installs packages of the system where that can be done unasked: on Debian, as root.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'

/**
 * Installs a package with apt-get. Elsewhere it does nothing, and whoever needs the package says what is missing.
 *
 * @param {string} name
 */
export function installPackage(name) {
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) return
  console.error(`setup: installing ${name} (apt-get)`)
  const options = { stdio: ['ignore', 2, 2], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  spawnSync('apt-get', ['update'], options)
  spawnSync('apt-get', ['install', '-y', '--no-install-recommends', name], options)
}
