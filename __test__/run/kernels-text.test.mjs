// The text kernels through the public API, against RegExp, plain JavaScript and tables written by hand.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'

const pool = new WorkerPool()
after(() => pool.close())
const { kernels } = pool

const wrongType = { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' }
const outOfRange = { name: 'RangeError', code: 'ERR_THREADMILL_OUT_OF_RANGE' }
const wrongValue = { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' }

const utf8 = new TextEncoder()

/** Numbers that look random and are the same in every run. */
function numbers(seed) {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
}

/** A text of `length` items out of `alphabet`. */
function randomText(seed, length, alphabet) {
  const next = numbers(seed)
  return Array.from({ length }, () => alphabet[next(alphabet.length)]).join('')
}

/** A view of the bytes in shared memory. */
function shared(bytes) {
  const view = new Uint8Array(new SharedArrayBuffer(bytes.length))
  view.set(bytes)
  return view
}

describe('regexFind and regexCount', () => {
  /** What RegExp finds. */
  const matches = (text, pattern, flags) =>
    Array.from(text.matchAll(new RegExp(pattern, `g${flags}`)), (match) => ({
      start: match.index,
      end: match.index + match[0].length,
    }))

  // Patterns that mean the same to both engines, on texts without carriage returns. A RegExp may find an empty match
  // right behind another match, so none of them can match both nothing and something.
  const patterns = [
    ['a', ''],
    ['ab|a|b+', ''],
    ['[^a]+', 'u'],
    ['a[ \\n]+b', ''],
    ['^a[^\\n]*$', 'm'],
    ['^$', 'm'],
    ['^', 'm'],
    ['$', 'm'],
    ['^', ''],
    ['$', ''],
    ['a.b', 'su'],
    ['a.b', 'u'],
    ['AB', 'i'],
    ['(a+)(b+)', ''],
    ['a+?', ''],
    ['é|😀', 'u'],
    ['', 'u'],
  ]

  test('find what RegExp finds, in UTF-16 code units', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const text = randomText(seed, 2000, ['a', 'b', 'A', ' ', '\n', 'é', '😀', '世'])
      for (const [pattern, flags] of patterns) {
        const expected = matches(text, pattern, flags)
        assert.deepEqual(await kernels.regexFind({ text, pattern, flags }), expected, `/${pattern}/${flags}`)
        assert.equal(await kernels.regexCount({ text, pattern, flags }), expected.length, `/${pattern}/${flags}`)
      }
    }
  })

  test('count in a big text what RegExp counts, with and without matches across lines', async () => {
    const text = randomText(7, 300_000, ['word', 'a', 'b ', '\n', 'é'])
    for (const pattern of ['word', 'wo+rd[ab]', '^a', '[ \\n]+', 'nothing']) {
      const expected = matches(text, pattern, 'm')
      assert.equal(await kernels.regexCount({ text, pattern, flags: 'm' }), expected.length, pattern)
      assert.deepEqual(await kernels.regexFind({ text, pattern, flags: 'm' }), expected, pattern)
    }
  })

  test('give byte offsets for bytes of any content, in any memory', async () => {
    const text = 'aé😀x é世x'
    const bytes = utf8.encode(text)
    const expected = [
      { start: 7, end: 8 },
      { start: 14, end: 15 },
    ]
    for (const input of [bytes, bytes.buffer, Buffer.from(bytes), new DataView(bytes.buffer), shared(bytes)]) {
      assert.deepEqual(await kernels.regexFind({ text: input, pattern: 'x' }), expected)
      assert.equal(await kernels.regexCount({ text: input, pattern: 'x' }), 2)
    }
    const broken = Uint8Array.of(0xff, 0x61, 0x80, 0xff)
    assert.deepEqual(await kernels.regexFind({ text: broken, pattern: '(?-u:\\xff)' }), [
      { start: 0, end: 1 },
      { start: 3, end: 4 },
    ])
  })

  test('limit cuts the result', async () => {
    const text = 'a\n'.repeat(10)
    for (const limit of [0, 1, 9, 10, 11, 2 ** 32 - 1]) {
      const found = await kernels.regexFind({ text, pattern: 'a' }, { limit })
      assert.equal(found.length, Math.min(limit, 10))
    }
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 32]) {
      await assert.rejects(kernels.regexFind({ text, pattern: 'a' }, { limit: wrong }), outOfRange)
    }
  })

  test('empty texts and patterns', async () => {
    assert.deepEqual(await kernels.regexFind({ text: '', pattern: '' }), [{ start: 0, end: 0 }])
    assert.deepEqual(await kernels.regexFind({ text: '', pattern: 'a' }), [])
    assert.equal(await kernels.regexCount({ text: new Uint8Array(0), pattern: '^$' }), 1)
  })

  test('patterns that are not valid, or too large, say why', async () => {
    for (const [pattern, message] of [
      ['(a', /unclosed group \(at character 1\)/],
      ['a(?=b)', /look-around/],
      ['(a)\\1', /backreferences/],
      ['(\\w{1000}){1000}', /too large/],
      ['a'.repeat(300_000), /too large/],
    ]) {
      for (const kernel of [kernels.regexFind, kernels.regexCount]) {
        await assert.rejects(kernel.call(kernels, { text: 'a', pattern }), {
          name: 'ThreadmillError',
          code: 'ERR_THREADMILL_INVALID_PATTERN',
          message,
        })
      }
    }
  })

  test('wrong arguments are refused', async () => {
    await assert.rejects(kernels.regexCount({ text: 'a', pattern: 'a', flags: 'y' }), wrongValue)
    for (const wrong of [undefined, 'a', {}, { text: 'a' }, { text: 1, pattern: 'a' }, { text: 'a', pattern: /a/ }]) {
      await assert.rejects(kernels.regexFind(wrong), wrongType)
      await assert.rejects(kernels.regexCount(wrong), wrongType)
    }
  })
})

describe('fuzzyTopK', () => {
  const isSubsequence = (query, candidate) => {
    let at = 0
    for (const letter of candidate) if (letter === query[at]) at++
    return at === query.length
  }

  test('gives all that match, the best first, ties by index', async () => {
    const next = numbers(3)
    const candidates = Array.from({ length: 10_000 }, (_, index) =>
      randomText(index + 1, next(12), ['a', 'b', 'c', '_', '/']),
    )
    for (const query of ['a', 'abc', 'c_a', 'aaaa']) {
      const all = await kernels.fuzzyTopK({ query, candidates, k: candidates.length })
      const expected = candidates.flatMap((candidate, index) => (isSubsequence(query, candidate) ? [index] : []))
      assert.deepEqual(
        all.map(({ index }) => index).sort((a, b) => a - b),
        expected,
      )
      for (let at = 1; at < all.length; at++) {
        const [a, b] = [all[at - 1], all[at]]
        assert.ok(a.score > b.score || (a.score === b.score && a.index < b.index))
      }
      for (const k of [0, 1, 10, 500]) {
        assert.deepEqual(await kernels.fuzzyTopK({ query, candidates, k }), all.slice(0, k))
      }
    }
  })

  test('prefers the whole, the beginning and the starts of words', async () => {
    const order = async (query, candidates) =>
      (await kernels.fuzzyTopK({ query, candidates, k: 10 })).map(({ index }) => candidates[index])
    assert.deepEqual(await order('fb', ['prelude', 'xfxbx', 'fb']), ['fb', 'xfxbx'])
    assert.deepEqual(await order('foo', ['xfoo', 'foobar', 'foo']), ['foo', 'foobar', 'xfoo'])
    assert.deepEqual(await order('ab', ['xaxbx', 'x_a_b']), ['x_a_b', 'xaxbx'])
    assert.deepEqual(await order('AB', ['ab', 'xAB']), ['xAB'])
    assert.deepEqual(await order('a b', ['ab', 'a b']), ['a b'])
    assert.deepEqual(await order('é😀', ['😀é', 'é-😀']), ['é-😀'])
  })

  test('an empty query matches everything, an empty list nothing', async () => {
    assert.deepEqual(await kernels.fuzzyTopK({ query: '', candidates: ['b', 'a'], k: 5 }), [
      { index: 0, score: 0 },
      { index: 1, score: 0 },
    ])
    assert.deepEqual(await kernels.fuzzyTopK({ query: 'a', candidates: [], k: 5 }), [])
  })

  test('wrong arguments are refused', async () => {
    const call = (input) => kernels.fuzzyTopK({ query: 'a', candidates: ['a'], k: 1, ...input })
    await assert.rejects(call({ query: 'a'.repeat(1025) }), wrongValue)
    for (const k of [-1, 0.5, Number.NaN, 2 ** 32]) await assert.rejects(call({ k }), outOfRange)
    for (const wrong of [{ query: 1 }, { candidates: 'a' }, { candidates: ['a', 1] }, { k: '1' }, { k: undefined }]) {
      await assert.rejects(call(wrong), wrongType)
    }
  })
})

describe('csvParse', () => {
  test('gives columns of numbers and of strings', async () => {
    const { columns, rows } = await kernels.csvParse('name,size,zip\nä,1,007\n"b,""c""",-2.5e3,123\n,,\n')
    assert.equal(rows, 3)
    assert.deepEqual(Object.keys(columns), ['name', 'size', 'zip'])
    assert.deepEqual(columns.name, ['ä', 'b,"c"', ''])
    assert.deepEqual(columns.size, Float64Array.of(1, -2500, Number.NaN))
    assert.deepEqual(columns.zip, ['007', '123', ''])
  })

  test('takes any delimiter, line end and memory, and skips a byte order mark', async () => {
    const expected = { columns: { a: Float64Array.of(1, 3), b: ['x', 'y\r\nz'] }, rows: 2 }
    const text = '\ufeffa;b\r\n1;x\r\n\r\n3;"y\r\nz"\r\n'
    const bytes = utf8.encode(text)
    for (const input of [text, bytes, bytes.buffer, shared(bytes)]) {
      assert.deepEqual(await kernels.csvParse(input, { delimiter: ';' }), expected)
    }
    assert.deepEqual((await kernels.csvParse('a\r1\r2')).columns, { a: Float64Array.of(1, 2) })
  })

  test('names columns', async () => {
    const names = async (text, options) => Object.keys((await kernels.csvParse(text, options)).columns)
    assert.deepEqual(await names('a,a,b,a\n'), ['a', 'a_2', 'b', 'a_3'])
    assert.deepEqual(await names('a,a,a_2\n'), ['a', 'a_3', 'a_2'])
    assert.deepEqual(await names(',x,\n'), ['column1', 'x', 'column3'])
    assert.deepEqual(await names('a,b\n', { header: false }), ['column1', 'column2'])
    assert.deepEqual(await names('__proto__,constructor\n1,2\n'), ['__proto__', 'constructor'])
    const rows = (await kernels.csvParse('a,b\n1,2', { header: false })).rows
    assert.equal(rows, 2)
  })

  test('strings stay strings where that is asked for', async () => {
    const { columns } = await kernels.csvParse('a,b\n1,\n', { types: 'string' })
    assert.deepEqual(columns, { a: ['1'], b: [''] })
  })

  test('numbers are those of JSON that lose nothing', async () => {
    for (const cell of ['0', '-0', '12', '-3.25', '1e3', '1.5E-7', '9007199254740992', '0.1']) {
      const { a } = (await kernels.csvParse(`a\n${cell}\n`)).columns
      assert.ok(a instanceof Float64Array && Object.is(a[0], JSON.parse(cell)), cell)
    }
    for (const cell of ['007', '+1', ' 1', '.5', '1.', '1_0', '0x1', 'NaN', 'Infinity', '1e999', '9007199254740993']) {
      assert.deepEqual((await kernels.csvParse(`a\n${cell}\n`)).columns, { a: [cell] })
    }
  })

  test('empty tables', async () => {
    for (const text of ['', '\n\n', new Uint8Array(0)]) {
      assert.deepEqual(await kernels.csvParse(text), { columns: {}, rows: 0 })
    }
    assert.deepEqual(await kernels.csvParse('a,b\n'), {
      columns: { a: new Float64Array(0), b: new Float64Array(0) },
      rows: 0,
    })
  })

  test('reads back what plain JavaScript writes', async () => {
    const next = numbers(11)
    const quote = (cell) => (/[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)
    const texts = Array.from(
      { length: 20_000 },
      (_, index) =>
        // Never empty: a lone empty cell would be an empty line.
        `x${randomText(index + 1, next(8), ['a', '"', ',', '\n', '\r', 'é', '😀', ' '])}`,
    )
    const values = texts.map((_, index) => index / 8)
    // Numbers first, so that the column has to be read again.
    const mixed = texts.map((text, index) => (index < 10_000 ? String(index) : text))
    const lines = texts.map((text, index) => [text, String(values[index]), mixed[index]].map(quote).join(','))
    const table = await kernels.csvParse(`text,value,mixed\n${lines.join('\n')}\n`)
    assert.equal(table.rows, texts.length)
    assert.deepEqual(table.columns.text, texts)
    assert.deepEqual(table.columns.value, Float64Array.from(values))
    assert.deepEqual(table.columns.mixed, mixed)
  })

  test('malformed tables name the line', async () => {
    for (const [text, message] of [
      ['a,b\n1,2\n3\n', /line 3: a row of 1 cells, where the first has 2/],
      ['a,b\n1,2,3\n', /line 2: a row of 3 cells/],
      ['a\n"b\nc\n', /line 2: .* does not end/],
      ['a\n"b"c\n', /line 2: text after the end of a quoted cell/],
      ['a\nb"c"\n', /line 2: a quote inside a cell/],
      [Uint8Array.of(0x61, 0x0a, 0xff), /line 2: not valid UTF-8/],
    ]) {
      await assert.rejects(kernels.csvParse(text), {
        name: 'ThreadmillError',
        code: 'ERR_THREADMILL_INVALID_CSV',
        message,
      })
    }
  })

  test('wrong arguments are refused', async () => {
    for (const delimiter of ['', '::', 'é', '"', '\n']) {
      await assert.rejects(kernels.csvParse('a', { delimiter }), wrongValue)
    }
    await assert.rejects(kernels.csvParse('a', { types: 'number' }), wrongValue)
    await assert.rejects(kernels.csvParse('a', { header: 1 }), wrongType)
    await assert.rejects(kernels.csvParse(1), wrongType)
  })
})
