// Stage: all. `threadmill trace view`: what the picture shows, and what is no trace.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { occupy, rejection } from '../helpers/pool.mjs'
import { elements, parseXml } from '../helpers/xml.mjs'
import { temporaryFolder } from '../main-job/helpers.mjs'
import { threadmill } from './helpers.mjs'

const M = (name, args, tid = 1, pid = 1) => ({ name, ph: 'M', ts: 0, pid, tid, args })
const task = (name, tid, from, to, pid = 1) => [
  { name, ph: 'B', cat: 'task', ts: from, pid, tid },
  { name, ph: 'E', cat: 'task', ts: to, pid, tid },
]

/** The picture of some events, which come in on standard input. */
async function view(traceEvents) {
  const { code, stdout, stderr } = await threadmill(['trace', 'view', '-'], { input: JSON.stringify({ traceEvents }) })
  assert.deepEqual([code, stderr], [0, ''])
  return picture(stdout)
}

function picture(text) {
  const svg = parseXml(text)
  assert.equal(svg.name, 'svg')
  assert.equal(svg.attributes.xmlns, 'http://www.w3.org/2000/svg')
  const isOf = (kind) => (element) =>
    element.attributes.class?.split(' ').includes(kind) && !element.attributes.class.startsWith('key')
  const all = (kind) => elements(svg, isOf(kind))
  const texts = elements(svg, ({ name }) => name === 'text').map(({ text: content }) => content)
  const numbers = elements(svg).flatMap(({ name, attributes }) =>
    ['x', 'y', 'width', 'height']
      .filter((key) => key in attributes && name !== 'svg')
      .map((key) => Number(attributes[key])),
  )
  assert.ok(numbers.every(Number.isFinite))
  const count = (kind) => all(kind).reduce((sum, { attributes }) => sum + Number(attributes['data-count']), 0)
  return { svg, all, texts, count, style: elements(svg, ({ name }) => name === 'style')[0].text }
}

test('a real trace: every slice is drawn, on the lane of its worker', async (t) => {
  const pool = new WorkerPool('data:text/javascript,export default (n) => n', {
    name: 'real',
    maxWorkers: 2,
    threads: 1,
  })
  t.after(() => pool.destroy())
  pool.trace.start()
  const held = await occupy(pool)
  const late = pool.addTask(1, { kernel: 'fib' })
  const cancelled = rejection(late)
  late.cancel()
  await cancelled
  await Promise.all(Array.from({ length: 30 }, (_, n) => pool.run(n)))
  await held.release()
  await pool.kernels.sha256('x')
  const trace = pool.trace.stop()
  const folder = temporaryFolder(t)
  const [input, output] = ['trace.json', 'out.svg'].map((name) => path.join(folder, name))
  writeFileSync(input, JSON.stringify(trace))
  const { code, stdout, stderr } = await threadmill(['trace', 'view', input, '-o', output])
  assert.deepEqual([code, stdout, stderr], [0, '', ''])
  const { count, all, texts, style } = picture(readFileSync(output, 'utf8'))
  const begins = trace.traceEvents.filter(({ ph, cat }) => ph === 'B' && cat === 'task')
  assert.equal(count('task'), begins.length)
  assert.equal(begins.length, 32)
  assert.equal(all('cancel').length, 2)
  assert.equal(all('queue').length, 1)
  for (const name of ['Timeline', 'threadmill real', 'main', 'native 0', 'js 0', 'entry', 'fib', 'sha256']) {
    assert.ok(texts.includes(name), `${name} is not among ${texts}`)
  }
  assert.match(style, /@media \(prefers-color-scheme: dark\)/)
  const again = await threadmill(['trace', 'view', '-'], { input: JSON.stringify(trace) })
  assert.equal(again.stdout, readFileSync(output, 'utf8'), 'the same on standard output')
})

test('places and widths are those of the times', async () => {
  const events = [
    M('process_name', { name: 'pool' }),
    M('thread_name', { name: 'native 0' }, 2),
    M('thread_name', { name: 'native 1' }, 3),
    ...task('a', 2, 1000, 1500),
    ...task('b', 3, 1250, 2000),
    { name: 'waiting tasks', ph: 'C', ts: 1000, pid: 1, tid: 1, args: { native: 3, js: 1 } },
  ]
  const { all, texts } = await view(events)
  const [a, b] = all('task').map(({ attributes }) => attributes)
  const [width, lane] = [Number(b.width) / 0.75, all('lane')[0].attributes]
  assert.equal(Number(lane.width), width)
  assert.deepEqual([Number(a.x), Number(a.width)], [Number(lane.x), width / 2])
  assert.equal(Number(b.x), Number(lane.x) + width / 4)
  assert.ok(Number(b.y) > Number(a.y))
  assert.notEqual(a.class, b.class, 'a colour for each name')
  assert.ok(texts.includes('50 %, 1 task') && texts.includes('75 %, 1 task'), String(texts))
  assert.ok(texts.includes('4 at most'))
  const figures = texts.find((text) => text.includes('in all'))
  assert.equal(
    figures,
    '1 ms in all  ·  2 tasks  ·  run time 750 µs (median), 750 µs (longest)  ·  4 waiting at most  ·  0 stolen  ·  0 given up  ·  0 crashed',
  )
})

test('a hundred thousand tasks make a small picture, and none is left out', async () => {
  const events = Array.from({ length: 100_000 }, (_, n) => task(`k${n % 3}`, 2, n * 10, n * 10 + 8)).flat()
  const { all, count, svg } = await view(events)
  assert.equal(count('task'), 100_000)
  assert.ok(all('task').length < 4000, `${all('task').length} shapes`)
  assert.ok(elements(svg).length < 10_000)
})

test('several pools, and the number of records that were lost', async () => {
  const events = [
    M('process_name', { name: 'one' }),
    M('threadmill', { lost: 7 }),
    ...task('a', 2, 0, 1),
    M('process_name', { name: 'two' }, 1, 2),
    M('threadmill', { lost: 5 }, 1, 2),
    ...task('a', 2, 5, 6, 2),
  ]
  const { texts, all } = await view(events)
  assert.ok(texts.includes('one') && texts.includes('two'))
  assert.ok(texts.includes('12 records were overwritten: what they told is missing.'))
  assert.equal(all('task').length, 2)
})

test('names cannot break the picture', async () => {
  const name = '<script>&"\'\u0000\u001b[2J\ud800\ufffe\uffff]]>'
  const { texts, svg } = await view([
    M('process_name', { name }),
    M('thread_name', { name }, 2),
    ...task(name, 2, 0, 1),
  ])
  assert.deepEqual(
    elements(svg, ({ name: tag }) => tag === 'script'),
    [],
  )
  assert.ok(texts.some((text) => text.startsWith('<script>&"')))
  assert.doesNotMatch(JSON.stringify(svg), /[\ufffe\uffff]/)
})

test('traces of other programs: their outermost slices, and lists without an object around', async () => {
  const events = [
    { name: 'outer', ph: 'X', ts: 0, dur: 100, pid: 9, tid: 'main' },
    { name: 'open', ph: 'B', ts: 150, pid: 9, tid: 'main' },
    { name: 'inner', ph: 'X', ts: 160, dur: 10, pid: 9, tid: 'main' },
    { name: 'stray', ph: 'E', ts: 170, pid: 9, tid: 'other' },
    { name: 'flow', ph: 's', ts: 200, pid: 9, tid: 'main', id: 1 },
  ]
  const { code, stdout } = await threadmill(['trace', 'view', '-'], { input: JSON.stringify(events) })
  assert.equal(code, 0)
  const { all, texts } = picture(stdout)
  assert.deepEqual(
    all('task').map(({ children: [title] }) => title.text),
    ['outer, 100 µs', 'open, 50 µs'],
  )
  assert.ok(texts.includes('process 9') && texts.includes('thread main'))
})

test('the longest and the shortest times, and counters without measure', async () => {
  const most = Number.MAX_SAFE_INTEGER
  for (const [from, to] of [
    [-most, most],
    [most - 1, most],
    [0, Number.MIN_VALUE],
  ]) {
    const counter = {
      name: 'waiting tasks',
      ph: 'C',
      ts: from,
      pid: 1,
      tid: 1,
      args: { native: 1e308, js: 1e308, main: 2 },
    }
    const { texts, all } = await view([...task('a', 2, from, to), counter])
    assert.equal(all('task').length, 1)
    assert.ok(texts.includes('2 at most'), String(texts))
    assert.doesNotMatch(String(texts), /NaN|Infinity/)
  }
})

for (const [what, text, message] of [
  ['no JSON', '{', /: not JSON: /],
  ['no trace', '{"events":[]}', /: not a trace: it has no list traceEvents\n$/],
  ['null', 'null', /: not a trace: it has no list traceEvents\n$/],
  ['no event', '{"traceEvents":[{"ph":"M"},5]}', /: not a trace: traceEvents\[1\] is no event\n$/],
  ['a time that is none', '{"traceEvents":[{"ph":"B","ts":"1"}]}', /: not a trace: traceEvents\[0\] is no event\n$/],
  [
    'a time far away',
    '[{"ph":"i","ts":-1e308},{"ph":"i","ts":1e308}]',
    /: not a trace: traceEvents\[0\] is no event\n$/,
  ],
  ['a time without an end', '[{"ph":"X","dur":1e308}]', /: not a trace: traceEvents\[0\] is no event\n$/],
  ['no events', '{"traceEvents":[]}', /: the trace is empty\n$/],
]) {
  test(`1: ${what}`, async (t) => {
    const folder = temporaryFolder(t)
    const file = path.join(folder, 'in.json')
    writeFileSync(file, text)
    const { code, stdout, stderr } = await threadmill(['trace', 'view', file])
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, message)
    assert.match(stderr, /^threadmill: .*in\.json: [^\n]*\n$/)
  })
}

test('1: files that cannot be read or written', async (t) => {
  const folder = temporaryFolder(t)
  const missing = await threadmill(['trace', 'view', path.join(folder, 'missing.json')])
  assert.deepEqual([missing.code, missing.stdout], [1, ''])
  assert.match(missing.stderr, /missing\.json: no such file or folder\n$/)
  const input = JSON.stringify(task('a', 1, 0, 1))
  const unwritable = await threadmill(['trace', 'view', '-', '-o', path.join(folder, 'no', 'out.svg')], { input })
  assert.deepEqual([unwritable.code, unwritable.stdout], [1, ''])
  assert.match(unwritable.stderr, /out\.svg: no such file or folder\n$/)
})

for (const args of [
  ['trace', 'view'],
  ['trace', 'view', 'a', 'b'],
  ['trace', 'bogus'],
  ['trace'],
  ['trace', 'view', 'a', '--wrong'],
]) {
  test(`2: ${args.join(' ')}`, async () => {
    const { code, stdout, stderr } = await threadmill(args)
    assert.deepEqual([code, stdout], [2, ''])
    assert.notEqual(stderr, '')
  })
}
