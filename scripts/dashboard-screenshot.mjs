// `node scripts/dashboard-screenshot.mjs`: takes the picture of docs/dashboard.md, of the example at work, in Chromium.
import { spawn } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'
import { openPage, startBrowser } from '../__test__/dashboard/browser.mjs'
import { root } from './lib/files.mjs'

/** Seconds of work in the charts. */
const SHOWN = 75

const example = spawn(process.execPath, [path.join(root, 'examples/14-dashboard.mjs'), String(SHOWN + 60)])
try {
  const url = await new Promise((resolve, reject) => {
    example.on('exit', () => reject(new Error('the example has ended')))
    example.stdout.on('data', (text) => resolve(/open (\S+)/.exec(text)[1]))
  })
  const browser = await startBrowser()
  try {
    const { page, faults } = await openPage(browser, url, {
      colorScheme: 'light',
      viewport: { width: 1100, height: 760 },
    })
    await page.waitForTimeout(SHOWN * 1000)
    // A moment at which there is something to see.
    await page
      .getByText(/^upload #\d+[\d.]+ s$/)
      .first()
      .waitFor()
    await page.screenshot({ path: path.join(root, 'docs/images/dashboard.png') })
    if (faults.length > 0) throw new Error(faults.join('\n'))
  } finally {
    await browser.close()
  }
} finally {
  example.kill()
}
