// What the benchmarks make of results. Nothing is measured, and no rival is needed.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { demand, distance, judge } from '../../benchmarks/floors.mjs'
import { CHARTS, chartsOf } from '../../benchmarks/lib/charts.mjs'
import { fill, partsOf } from '../../benchmarks/lib/document.mjs'
import { amount, digits } from '../../benchmarks/lib/format.mjs'
import { partContent } from '../../benchmarks/lib/parts.mjs'
import { mergeReports } from '../../benchmarks/lib/results.mjs'

const read = () => JSON.parse(readFileSync(new URL('result.json', import.meta.url), 'utf8'))
const onNode24 = (report) => ({ ...report, node: 'v24.1.0' })

test('a floor is held on one side of it, the edge included', () => {
  assert.equal(judge('tasks.number.1024', 20).passed, true)
  assert.equal(judge('tasks.number.1024', 19.9).passed, false)
  assert.equal(judge('latency.p50', 0.7).passed, true)
  assert.equal(judge('latency.p50', 0.71).passed, false)
  assert.equal(demand(judge('latency.p50', 1)), '≤ 0.7×')
  assert.equal(judge('nothing', 1), undefined)
})

test('a limit has a name', () => {
  assert.equal(distance('number', 1.2).value, 1.2)
  assert.throws(() => distance('nothing', 1), /no limit/)
})

test('figures have three digits', () => {
  assert.deepEqual([0, 0.01234, 1.006, 99.95, 1234.5].map(digits), ['0', '0.0123', '1.01', '100', '1,235'])
  assert.equal(amount(1_021_000, '/s'), '1.02 M/s')
  assert.equal(amount(37_800, '/s'), '37.8 k/s')
  assert.equal(amount(1500, 'µs'), '1.5 ms')
  assert.equal(amount(1.05, '×'), '1.05×')
})

test('a table has contenders down and columns across, of two workers, and bold where threadmill is behind', () => {
  const text = partContent('tasks', [read()], {})
  const rows = text.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
  assert.deepEqual(
    rows.map(([, ...cells]) => cells.slice(0, 2)),
    [
      ['', '1024 in flight'],
      ['---', '---'],
      ['threadmill', '1.02 M/s'],
      ['piscina', '37.8 k/s (27×)'],
      ['promises, no threads', '2.04 M/s (**0.5×**)'],
    ],
  )
})

test('contenders that differ from column to column are listed', () => {
  const text = partContent('kernels', [read()], {})
  assert.match(
    text,
    /\| sha256 \| threadmill \| 200 \/s \|\n\| {2}\| node:crypto \| 100 \/s \(2×\) \|\n\| gzip \| threadmill/,
  )
})

test('floors and limits stand side by side for each version of Node', () => {
  const reports = mergeReports([read(), onNode24(read())])
  assert.match(
    partContent('floors', reports, chartsOf(reports[0])),
    /\| {2}\| floor \| Node 20\.20\.2 \| Node 24\.1\.0 \|/,
  )
  assert.match(
    partContent('floors', reports, chartsOf(reports[0])),
    /\| number task, of promises \| ≥ 0\.7× \| \*\*0\.5×\*\* \| \*\*0\.5×\*\* \|/,
  )
  assert.match(partContent('limits', reports, {}), /\| promises over it \| 2× \| 2× \|/)
  assert.match(partContent('provenance', reports, {}), /`0123456789ab`.*Node 20\.20\.2 and 24\.1\.0/s)
})

test('another machine has a table of floors of its own, and the figures of scaling', () => {
  const reports = mergeReports([read()])
  const scaling = { ...read().scenarios.tasks, floors: [] }
  const others = [{ ...read(), parallelism: 16, scenarios: { ...read().scenarios, scaling } }]
  const text = partContent('other-machine', reports, {}, others)
  assert.match(text, /16 cores,/)
  assert.match(text, /\| ≥ 20× \|/)
  assert.match(partContent('scaling', reports, {}, others), /1\.02 M\/s/)
  assert.doesNotMatch(partContent('scaling', reports, {}), /1\.02 M\/s/)
})

test('scenarios of several runs are put together when they belong together', () => {
  const { scenarios, ...about } = read()
  const { tasks, ...others } = scenarios
  const [merged, ...more] = mergeReports([
    { ...about, scenarios: { tasks } },
    { ...about, scenarios: others },
  ])
  assert.deepEqual(merged, read())
  assert.deepEqual(more, [])
  assert.throws(() => mergeReports([read(), { ...read(), commit: 'another' }]), /commit is 0123.* and another/)
})

test('there is a chart for everything that was measured', () => {
  const charts = chartsOf(read())
  assert.deepEqual(Object.keys(charts), ['floors', 'tasks-number', 'kernels', 'scaling'])
  for (const { width, height, alt, option } of Object.values(charts)) {
    assert.ok(width > 0 && height > 0 && alt !== '')
    for (const { data } of option.series) for (const one of data) assert.ok(Number.isFinite(one.value ?? one))
  }
  const [bars] = charts['tasks-number'].option.series
  assert.deepEqual(
    bars.data.map(({ value }) => value),
    [1_021_000, 37_800, 2_042_000],
  )
  // Below the least of them: on a logarithmic axis a bar begins there.
  assert.equal(charts['tasks-number'].option.xAxis.min, 10_000)
})

test('only what is between the marks is replaced, and twice is once', () => {
  const page = 'a\n<!-- bench:one -->\nold\n<!-- /bench:one -->\nb\n<!-- bench:two -->\n<!-- /bench:two -->\nc $1\n'
  const filled = fill(page, (name) => `new ${name} $1`)
  assert.equal(
    filled,
    'a\n<!-- bench:one -->\n\nnew one $1\n\n<!-- /bench:one -->\nb\n<!-- bench:two -->\n\nnew two $1\n\n<!-- /bench:two -->\nc $1\n',
  )
  assert.equal(
    fill(filled, (name) => `new ${name} $1`),
    filled,
  )
  assert.equal(
    fill(page, (name) => (name === 'one' ? undefined : 'new')),
    page.replace('<!-- bench:two -->\n', '<!-- bench:two -->\n\nnew\n\n'),
  )
})

test('the page shows scenarios that there are', () => {
  const page = readFileSync(new URL('../../docs/performance.md', import.meta.url), 'utf8')
  const parts = partsOf(page)
  assert.equal(parts.length, page.match(/<!-- bench:/g).length)
  const scenarios = parts.filter((part) => !['provenance', 'floors', 'limits', 'other-machine'].includes(part))
  for (const name of [...scenarios, ...Object.values(CHARTS).map(({ scenario }) => scenario)]) {
    if (name === undefined) continue
    assert.ok(existsSync(new URL(`../../benchmarks/scenarios/${name}.mjs`, import.meta.url)), name)
    assert.ok(scenarios.includes(name), `${name} is not on the page`)
  }
})
