// Figures as text.

/** Three digits or so. */
export function digits(value) {
  if (value === 0) return '0'
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))
}

/** A figure with its unit; rates with a prefix. */
export function amount(value, unit) {
  if (unit === '/s') {
    if (value >= 1e6) return `${digits(value / 1e6)} M/s`
    return value >= 1e4 ? `${digits(value / 1e3)} k/s` : `${digits(value)} /s`
  }
  if (unit === 'µs' && value >= 1000) return `${digits(value / 1000)} ms`
  return unit === '×' ? `${digits(value)}×` : `${digits(value)} ${unit}`.trim()
}

/** `1 worker`, `2 workers` */
export function workersText(count) {
  return count === 1 ? '1 worker' : `${count} workers`
}
