// Stage: all. Thread: main.
// Numbers as the report and the progress show them; never by locale, so that output compares.

const NUMBER = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** 12345 → '12,345'. */
export function formatCount(value: number): string {
  return NUMBER.format(value)
}

/** '1 file', '2 files'. */
export function formatNoun(value: number, noun: string): string {
  return `${formatCount(value)} ${noun}${value === 1 ? '' : 's'}`
}

/** 12345678 → '12.3 MB'; powers of 1000. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  // 999.95 would round to '1000.0'.
  while (value >= 999.95 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${UNITS[unit]}`
}

/** Seconds with two digits behind the point. */
export function formatSeconds(seconds: number): string {
  return `${seconds.toFixed(2)} s`
}
