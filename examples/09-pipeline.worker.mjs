// Entry module of 09-pipeline.mjs: the two stages that are no kernels.

const SAMPLES = 1440

/** Stands for a download: a temperature for every minute of a day, always the same for the same date. */
export function measure(date) {
  let seed = Date.parse(date) / 86_400_000
  const rows = ['minute,celsius']
  for (let minute = 0; minute < SAMPLES; minute++) {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    const noise = seed / 2_147_483_648 - 0.5
    rows.push(`${minute},${(10 - 8 * Math.cos((minute / SAMPLES) * 2 * Math.PI) + noise).toFixed(2)}`)
  }
  return `${rows.join('\n')}\n`
}

export function judge({ count, min, max, mean, quantiles: [median] }) {
  const round = (value) => value.toFixed(1)
  return `${count} samples from ${round(min)} to ${round(max)} °C, mean ${round(mean)}, median ${round(median)}`
}

export default measure
