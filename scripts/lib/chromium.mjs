// Finds the Chromium that the dashboard is tested in, and installs it where that can be done unasked.
import { accessSync, constants } from 'node:fs'
import process from 'node:process'
import { installPackage } from './apt.mjs'

/** Where systems put it; THREADMILL_CHROMIUM names another place. */
const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

/** Path of the program; `undefined` when there is none. */
export function findChromium() {
  const given = process.env.THREADMILL_CHROMIUM
  const places = given ? [given] : PLACES
  return places.find((place) => {
    try {
      accessSync(place, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Installs Chromium if it is missing and can be; where it cannot, the test says what to install. */
export function installChromium() {
  if (findChromium() === undefined) installPackage('chromium')
}
