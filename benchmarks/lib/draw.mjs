// Draws charts, as SVG for a light and a dark ground.
import * as echarts from 'echarts'
import { GROUND, INK, LINE, MUTED } from './charts.mjs'

/** The other colours are the same on both. */
const DARK = { [GROUND]: '#0d1117', [INK]: '#e6edf3', [MUTED]: '#9198a1', [LINE]: '#3d444d' }

const rules = Object.entries(DARK).flatMap(([light, dark]) =>
  ['fill', 'stroke'].map((property) => `[${property}="${light}"]{${property}:${dark}}`),
)
const STYLE = `<style>@media (prefers-color-scheme:dark){${rules.join('')}}</style>`

/**
 * @param {import('./charts.mjs').Chart} chart
 * @returns {string} SVG
 */
export function draw({ width, height, option }) {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height })
  chart.setOption(option)
  const svg = chart.renderToSVGString({ useViewBox: true })
  chart.dispose()
  return `${svg.replace(/>/, `>${STYLE}`)}\n`
}
