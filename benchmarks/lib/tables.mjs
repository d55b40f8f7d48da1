// Results as Markdown.
import { demand } from '../floors.mjs'
import { amount, digits } from './format.mjs'
import { contendersOf, groupsOf, resultIn } from './results.mjs'

function table(header, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}

/** A result, and how far the first contender is ahead of it; bold where it is behind. */
function cell(measured, contender) {
  const result = resultIn(measured, contender)
  if (result === undefined) return ''
  const value = amount(result.median, measured.unit)
  if (contender === measured.results[0].name) return value
  // Nothing at all is behind without end, which JSON cannot say.
  if (!Number.isFinite(result.ahead.median)) return value
  const ahead = `${digits(result.ahead.median)}×`
  return `${value} (${result.ahead.median < 1 ? `**${ahead}**` : ahead})`
}

/** Contenders down, columns across; or, where each column has contenders of its own, everything down. */
function groupTable(measurements) {
  const names = contendersOf(measurements)
  const filled = measurements.reduce((sum, { results }) => sum + results.length, 0)
  if (filled >= 0.8 * names.length * measurements.length) {
    const header = ['', ...measurements.map(({ column }) => column)]
    return table(
      header,
      names.map((name) => [name, ...measurements.map((measured) => cell(measured, name))]),
    )
  }
  const rows = measurements.flatMap((measured) =>
    measured.results.map(({ name }, index) => [index === 0 ? measured.column : '', name, cell(measured, name)]),
  )
  return table(['', '', ''], rows)
}

/** All tables of a scenario. */
export function scenarioTables(scenario) {
  const groups = groupsOf(scenario)
  return [...groups]
    .map(([group, measurements]) => (groups.size > 1 ? `**${group}**\n\n` : '') + groupTable(measurements))
    .join('\n\n')
}

/** Every floor, on each version of Node. */
export function floorsTable(reports) {
  return acrossNodes(
    reports,
    'floors',
    ['floor'],
    (floor) => [demand(floor)],
    ({ passed, value, unit }) => {
      const text = `${digits(value)}${unit}`
      return passed ? text : `**${text}**`
    },
  )
}

/** The distance to every limit, on each version of Node. */
export function limitsTable(reports) {
  return acrossNodes(
    reports,
    'limits',
    [],
    () => [],
    ({ value, unit }) => `${digits(value)}${unit}`,
  )
}

function acrossNodes(reports, key, titles, more, show) {
  const all = reports.map(({ scenarios }) => Object.values(scenarios).flatMap((scenario) => scenario[key]))
  const rows = all[0].map((entry) => [
    entry.what,
    ...more(entry),
    ...all.map((entries) => {
      const found = entries.find(({ id }) => id === entry.id)
      return found === undefined ? '' : show(found)
    }),
  ])
  return table(['', ...titles, ...reports.map(({ node }) => `Node ${node.replace('v', '')}`)], rows)
}

/** Where the figures come from. */
export function provenanceText(reports) {
  const [{ commit, modified, rustc, cpu, parallelism, system, mode, date, rivals }] = reports
  const names = ['piscina', 'tinypool', 'workerpool', 'poolifier', 'jest-worker'].map(
    (name) => `${name} ${rivals[name]}`,
  )
  const nodes = reports.map(({ node }) => node.replace('v', '')).join(' and ')
  return [
    `Measured on ${date.slice(0, 10)} at commit \`${commit.slice(0, 12)}\`${modified ? ' with changes' : ''}: ${parallelism} cores,`,
    `${cpu}, ${system}; Node ${nodes}; ${rustc.split(' (')[0]}; ${names.join(', ')}; the ${mode} selection.`,
  ].join('\n')
}
