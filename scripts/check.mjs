// `npm run check`: everything that CI gates on, in its order; goes on after a failure and lists the results.
import { printFailures } from './lib/failures-reporter.mjs'
import { root } from './lib/files.mjs'
import { npm } from './lib/process.mjs'
import { main } from './setup.mjs'

const STEPS = ['test', 'lint', 'bench:instructions', 'test:types', 'test:docs', 'docs', 'test:package']

await main(async () => {
  const results = []
  for (const step of STEPS) {
    console.log(`\n== npm run ${step}`)
    const start = performance.now()
    const code = await npm(['run', '--silent', step], { cwd: root })
    results.push({ step, code, seconds: (performance.now() - start) / 1000 })
  }
  console.log()
  for (const { step, code, seconds } of results) {
    console.log(`${code === 0 ? 'passed' : 'FAILED'}  ${step} (${seconds.toFixed(1)} s)`)
  }
  // Last of all, where a log that is cut still has it.
  printFailures()
  return results.some(({ code }) => code !== 0) ? 1 : 0
})
