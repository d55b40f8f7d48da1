// `npm run docs`: looks for links that lead nowhere in all Markdown files, builds the site into target/docs, and looks for them
// there.
//
// TypeDoc has a folder of packages of its own, because it runs on another TypeScript than the one that compiles lib/, and
// nobody else needs the two.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { filesBelow, fingerprint, root } from '../lib/files.mjs'
import { brokenLinks } from '../lib/links.mjs'
import { npm, run } from '../lib/process.mjs'
import { main, SetupError } from '../setup.mjs'

const here = path.join(root, 'scripts/docs')
const site = path.join(root, 'target/docs')
const rustdoc = path.join(root, 'target/doc')

await main(async () => {
  checkLinks(root, markdownFiles(), 'Markdown files')
  await installPackages()
  rmSync(site, { recursive: true, force: true })
  await buildGuides()
  await buildCore()
  const files = filesBelow(['target/docs']).filter((file) => file.endsWith('.html'))
  const pages = files.map((file) => file.slice('target/docs/'.length))
  checkLinks(site, pages, 'pages in target/docs')
})

async function installPackages() {
  const stamp = path.join(here, 'node_modules/.threadmill-lock')
  const wanted = fingerprint(['scripts/docs/package-lock.json'], [process.platform, process.arch])
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  console.error('docs: installing packages (npm ci in scripts/docs)')
  const code = await npm(['ci', '--no-audit', '--no-fund'], { cwd: here, stdio: ['ignore', 2, 2] })
  if (code !== 0) throw new SetupError('npm ci in scripts/docs failed, see above.')
  writeFileSync(stamp, wanted)
}

/** The API and the guides. A warning fails it: a link that TypeDoc cannot resolve is one. */
async function buildGuides() {
  console.error('docs: API and guides (typedoc)')
  const typedoc = path.join(here, 'node_modules/typedoc/bin/typedoc')
  const code = await run(process.execPath, [
    typedoc,
    '--options',
    path.join(here, 'typedoc.json'),
    '--logLevel',
    'Warn',
  ])
  if (code !== 0) throw new SetupError('the site was not built, see above.')
}

async function buildCore() {
  console.error('docs: core (cargo doc)')
  // Without pages of packages that were built at another time.
  rmSync(rustdoc, { recursive: true, force: true })
  const env = { ...process.env, RUSTDOCFLAGS: '-D warnings', CARGO_TARGET_DIR: path.join(root, 'target') }
  const code = await run('cargo', ['doc', '--quiet', '--locked', '-p', 'threadmill-core', '--no-deps'], {
    cwd: root,
    env,
  })
  if (code !== 0) throw new SetupError('the documentation of the core was not built, see above.')
  cpSync(rustdoc, path.join(site, 'rust'), { recursive: true, filter: (file) => path.basename(file) !== '.lock' })
  // Where pages of rustdoc lead back to.
  const start =
    '<!doctype html><meta http-equiv="refresh" content="0; url=threadmill_core/index.html"><title>threadmill_core</title>'
  writeFileSync(
    path.join(site, 'rust/index.html'),
    `${start}\n<a href="threadmill_core/index.html">threadmill_core</a>\n`,
  )
}

/** @throws SetupError when a link leads nowhere */
function checkLinks(folder, files, what) {
  const broken = brokenLinks(folder, files)
  for (const line of broken) console.error(`broken link: ${line}`)
  if (broken.length > 0) throw new SetupError(`${broken.length} links lead nowhere, see above.`)
  console.error(`docs: every link of ${files.length} ${what} leads somewhere`)
}

/** Those of the repository. */
function markdownFiles() {
  const git = ['ls-files', '--cached', '--others', '--exclude-standard', '*.md']
  const { status, stdout } = spawnSync('git', git, { cwd: root, encoding: 'utf8' })
  if (status !== 0)
    throw new SetupError('git does not list the Markdown files; the links are checked in a checkout only.')
  return stdout.split('\n').filter((file) => file !== '' && existsSync(path.join(root, file)))
}
