// Results as options of ECharts; it draws them elsewhere, so that this needs no package.
import { amount } from './format.mjs'
import { contendersOf, groupsOf, resultIn } from './results.mjs'

/** Colours on a light ground; draw.mjs knows those for a dark one. */
export const INK = '#1f2328'
export const MUTED = '#59636e'
export const LINE = '#d1d9e0'
export const GROUND = '#ffffff'
/** These can be told apart on both grounds. */
const SERIES = ['#2f81f7', '#e3742f', '#2da44e', '#a371f7', '#bf8700', '#d6409f']
const HELD = '#2da44e'
const FAILED = '#d1242f'

const WIDTH = 860
const text = { color: INK, fontFamily: 'sans-serif' }

/**
 * @typedef {object} Chart
 * @property {number} width px
 * @property {number} height px
 * @property {object} option for ECharts
 * @property {string} alt what it shows; the figures are in the table beside it
 */

/** What is drawn: name of the file, and what of which scenario. */
export const CHARTS = {
  floors: { draw: floorsChart },
  'tasks-number': { scenario: 'tasks', groups: ['number'], title: 'Number tasks' },
  'tasks-small-object': { scenario: 'tasks', groups: ['small object'], title: 'Tasks with a small object' },
  'tasks-map-and-date': {
    scenario: 'tasks',
    groups: ['map and date'],
    title: 'Tasks with a map, a date and an object that is there three times',
  },
  'tasks-class-and-cycle': {
    scenario: 'tasks',
    groups: ['class and cycle'],
    title: 'Tasks with an instance of a class, a pattern, bytes, and itself',
  },
  'tasks-error-and-cycle': {
    scenario: 'tasks',
    groups: ['error and cycle'],
    title: 'Tasks with an instance of a class, a pattern, an error with a cause, and itself',
  },
  'tasks-v8-object': { scenario: 'tasks', groups: ['V8 object'], title: "Tasks with an object for V8's serialiser" },
  'bytes-64-kib-moved': { scenario: 'bytes', groups: ['64 KiB moved'], title: '64 KiB moved there and back' },
  'bytes-1-mib-moved': { scenario: 'bytes', groups: ['1 MiB moved'], title: '1 MiB moved there and back' },
  latency: { scenario: 'latency', groups: ['task, 2 workers'], title: 'Latency of a task, one in flight' },
  makespan: { scenario: 'makespan', groups: ['even'], title: 'Even tasks: makespan over ideal', linear: true },
  skewed: {
    scenario: 'skewed',
    groups: ['skewed'],
    title: 'Skewed tasks: makespan over the lower bound',
    linear: true,
  },
  calls: { scenario: 'calls', groups: ['echo of a number'], title: 'Kernel calls' },
  kernels: { draw: aheadChart, scenario: 'kernels', title: 'Kernels: how far threadmill is ahead' },
  scaling: { draw: scalingChart, scenario: 'scaling', title: 'Scaling of tasks of 2 ms, over one worker' },
}

/**
 * All charts that there are results for.
 *
 * @returns {Record<string, Chart>}
 */
export function chartsOf(report) {
  const charts = {}
  for (const [file, about] of Object.entries(CHARTS)) {
    const scenario = report.scenarios[about.scenario]
    if (about.scenario !== undefined && scenario === undefined) continue
    const chart = (about.draw ?? groupChart)(about, scenario ?? report)
    if (chart !== undefined) charts[file] = chart
  }
  return charts
}

/** Contenders down, a bar for each column. */
function groupChart({ title, groups, linear = false }, scenario) {
  const known = groupsOf(scenario)
  const measurements = groups.flatMap((group) => known.get(group) ?? [])
  if (measurements.length === 0) return undefined
  const names = contendersOf(measurements)
  const [{ unit, better }] = measurements
  return bars({
    title: `${title} (${better} is better)`,
    names,
    unit,
    linear,
    series: measurements.map((measured) => ({
      name: measured.column,
      values: names.map((name) => resultIn(measured, name)?.median),
    })),
  })
}

/** How many times the first contender is ahead of each other one. */
function aheadChart({ title }, scenario) {
  const rows = scenario.measurements.flatMap(({ column, results }) =>
    results.slice(1).map(({ name, ahead }) => [`${column}: ${name}`, ahead.median]),
  )
  const values = rows.map(([, value]) => value)
  return bars({
    title: `${title} (above 1: faster)`,
    names: rows.map(([name]) => name),
    unit: '×',
    series: [{ name: 'ahead', values }],
    origin: 1,
  })
}

/** Every floor: how far on the right side of it the value is. */
function floorsChart(_, { scenarios }) {
  const floors = Object.values(scenarios).flatMap((scenario) => scenario.floors)
  const margin = ({ better, value, limit }) => (better === 'higher' ? value / limit : limit / value)
  return bars({
    title: 'Floors: how many times better than demanded (left of 1: not held)',
    names: floors.map(({ what }) => what),
    unit: '×',
    series: [
      { name: 'margin', values: floors.map(margin), colours: floors.map(({ passed }) => (passed ? HELD : FAILED)) },
    ],
    origin: 1,
  })
}

/** Speed over that of one worker, by workers. */
function scalingChart({ title }, { measurements }) {
  const labels = measurements[0].results.map(({ name }) => name)
  const workers = labels.map((label) => Number.parseInt(label, 10))
  const speedUps = measurements.map(({ column, results }) => ({
    name: column,
    data: results.map(({ ahead }) => 1 / ahead.median),
  }))
  const series = [{ name: 'ideal', data: workers, lineStyle: { type: 'dashed' } }, ...speedUps]
  return {
    width: WIDTH,
    height: 360,
    alt: title,
    option: {
      ...frame(title, series.length > 1),
      grid: { left: 60, right: 30, top: 80, bottom: 40 },
      xAxis: { type: 'category', data: labels, ...axis() },
      yAxis: { type: 'value', ...axis((value) => amount(value, '×')) },
      series: series.map((line) => ({ type: 'line', symbolSize: 7, ...line })),
    },
  }
}

/** Horizontal bars, of which the first is on top. */
function bars({ title, names, series, unit, linear = false, origin }) {
  const many = series.length > 1
  const row = 14 * series.length + 12
  const values = series.flatMap((one) => one.values).filter((value) => value !== undefined)
  const least = Math.min(...values, origin ?? Number.POSITIVE_INFINITY)
  const left = 20 + 6.2 * Math.max(...names.map(({ length }) => length))
  const top = many ? 76 : 50
  const show = ({ value }) => (value === undefined || value === null ? '' : amount(value, unit))
  return {
    width: WIDTH,
    height: top + 36 + row * names.length,
    alt: title,
    option: {
      ...frame(title, many),
      grid: { left, right: 70, top, bottom: 36 },
      yAxis: { type: 'category', data: names, inverse: true, ...axis(), axisTick: { show: false } },
      xAxis: {
        // Bars have to begin somewhere: on a logarithmic axis that is a power of ten below all of them.
        ...(linear ? { type: 'value', min: 0 } : { type: 'log', min: 10 ** Math.floor(Math.log10(least * 0.99)) }),
        ...axis((value) => amount(value, unit)),
      },
      series: series.map((one, at) => ({
        type: 'bar',
        name: one.name,
        barMaxWidth: 13,
        data: one.values.map((value, index) => ({
          value,
          itemStyle: { color: one.colours?.[index] ?? SERIES[at % SERIES.length] },
        })),
        label: { show: true, position: 'right', formatter: show, color: MUTED, fontSize: 11 },
        ...(origin !== undefined && {
          markLine: {
            silent: true,
            symbol: 'none',
            label: { show: false },
            lineStyle: { color: INK, type: 'solid' },
            data: [{ xAxis: origin }],
          },
        }),
      })),
    },
  }
}

function frame(title, hasLegend) {
  return {
    animation: false,
    backgroundColor: GROUND,
    color: SERIES,
    textStyle: text,
    title: { text: title, left: 12, top: 10, textStyle: { ...text, fontSize: 15 } },
    ...(hasLegend && { legend: { left: 12, top: 38, itemGap: 20, textStyle: { ...text, fontSize: 12 } } }),
  }
}

function axis(formatter) {
  return {
    axisLabel: { color: INK, fontSize: 11, ...(formatter && { formatter }) },
    axisLine: { lineStyle: { color: LINE } },
    splitLine: { lineStyle: { color: LINE } },
  }
}
