// Writes the generated parts of docs/performance.md, and the charts that they show.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { chartsOf } from './charts.mjs'
import { fill, partsOf } from './document.mjs'
import { draw } from './draw.mjs'
import { partContent } from './parts.mjs'
import { mergeReports } from './results.mjs'

const PAGE = new URL('../../docs/performance.md', import.meta.url)
const IMAGES = new URL('../../docs/images/performance/', import.meta.url)
/** What files of a machine with more cores are for: parts, and the chart of one. */
const OF_OTHERS = ['other-machine', 'scaling']

/**
 * @param {string[]} files that --json has written. Scenarios may come from several of them; versions of Node too: the first
 * one is the one whose tables and charts are shown, the others are beside it where the floors are. Those of a machine with
 * another number of cores than the first file's have a table of floors of their own, and the figures of scaling; without any,
 * those stay as they are
 */
export async function publish(files) {
  const all = files.map((file) => JSON.parse(readFileSync(file, 'utf8')))
  const isFirst = ({ parallelism }) => parallelism === all[0].parallelism
  const reports = mergeReports(all.filter(isFirst))
  const others = mergeReports(all.filter((report) => !isFirst(report)))
  const charts = chartsOf(reports[0])
  if (others.length > 0) charts.scaling = chartsOf(others[0]).scaling
  const staying = others.length > 0 ? [] : OF_OTHERS
  const page = readFileSync(PAGE, 'utf8')
  const text = fill(page, (name) => (staying.includes(name) ? undefined : partContent(name, reports, charts, others)))
  for (const name of staying) delete charts[name]
  mkdirSync(IMAGES, { recursive: true })
  for (const file of readdirSync(IMAGES)) {
    if (!staying.some((name) => file === `${name}.svg`)) rmSync(new URL(file, IMAGES))
  }
  for (const [name, chart] of Object.entries(charts)) writeFileSync(new URL(`${name}.svg`, IMAGES), draw(chart))
  writeFileSync(PAGE, text)
  console.log(`docs/performance.md: ${partsOf(text).length} parts, ${Object.keys(charts).length} charts`)
}
