// A headless Chromium, and what is wrong with a page that it has open.
import { chromium } from 'playwright-core'
import { findChromium } from '../../scripts/lib/chromium.mjs'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Starts the system's Chromium with a fresh profile, which ends with it. */
export function startBrowser() {
  const executablePath = findChromium()
  if (executablePath === undefined) {
    throw new Error(
      'the dashboard is tested in Chromium, and there is none: install it (Debian: apt-get install chromium),\n' +
        'or name one in THREADMILL_CHROMIUM',
    )
  }
  return chromium.launch({ executablePath, args: FLAGS, headless: true })
}

/** Opens a page of its own; `faults` collects errors, messages of the console and requests to elsewhere or in vain. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options })
  const page = await context.newPage()
  const faults = []
  const { origin } = new URL(url)
  page.on('console', (message) => faults.push(`console ${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => faults.push(`error: ${error.stack}`))
  page.on('dialog', (dialog) => faults.push(`dialog: ${dialog.message()}`))
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) faults.push(`request: ${request.url()}`)
  })
  page.on('response', (response) => {
    if (response.status() >= 400) faults.push(`${response.status()}: ${response.url()}`)
  })
  await page.goto(url)
  await page.locator('#connection[data-state=live]').waitFor()
  return { page, faults, context }
}
