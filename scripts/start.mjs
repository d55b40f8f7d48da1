// `npm start [-- dir]`: sets up, then looks for duplicate files below a folder and into its text files.
import path from 'node:path'
import process from 'node:process'
import { root } from './lib/files.mjs'
import { run } from './lib/process.mjs'
import { main, setup } from './setup.mjs'

await main(async () => {
  await setup()
  const program = path.join(root, 'dist/cli/dupes.js')
  // npm changes to the root; a relative folder is meant from where the user called.
  const cwd = process.env.npm_lifecycle_event === 'start' ? process.env.INIT_CWD : process.cwd()
  return run(process.execPath, [program, ...process.argv.slice(2)], { cwd })
})
