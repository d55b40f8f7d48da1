// What stands in the generated parts of docs/performance.md.
import { CHARTS } from './charts.mjs'
import { floorsTable, limitsTable, provenanceText, scenarioTables } from './tables.mjs'

/**
 * @param {string} name of the part: `provenance`, `floors`, `limits`, `other-machine` or a scenario
 * @param {object[]} reports by version of Node; the first one is shown in full
 * @param {Record<string, import('./charts.mjs').Chart>} charts
 * @param {object[]} others the same of a machine with another number of cores
 */
export function partContent(name, reports, charts, others = []) {
  if (name === 'provenance') return provenanceText(reports)
  if (name === 'limits') return limitsTable(reports)
  if (name === 'floors') return [image('floors', charts), floorsTable(reports)].join('\n\n')
  if (name === 'other-machine') return [provenanceText(others), floorsTable(others)].join('\n\n')
  const [{ scenarios }] = name === 'scaling' && others.length > 0 ? others : reports
  const scenario = scenarios[name]
  if (scenario === undefined) throw new Error(`the page shows ${name}, of which there is no result`)
  const images = Object.keys(charts).filter((file) => CHARTS[file].scenario === name)
  return [...images.map((file) => image(file, charts)), scenarioTables(scenario)].join('\n\n')
}

function image(file, charts) {
  return `![${charts[file].alt}](images/performance/${file}.svg)`
}
