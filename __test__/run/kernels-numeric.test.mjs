// The numeric kernels through the public API, against plain JavaScript and published values.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'

const pool = new WorkerPool()
after(() => pool.close())
const { kernels } = pool

/** Mulberry32: numbers from 0 (included) to 1, the same in every run. */
function generator(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function randoms(Class, length, seed = 1) {
  const random = generator(seed)
  const big = Class === BigInt64Array || Class === BigUint64Array
  return Class.from({ length }, () => {
    const value = random() * 2 ** 40 - 2 ** 39
    return big ? BigInt(Math.trunc(value)) * 1023n : value / 2 ** 24
  })
}

function shared(array) {
  const copy = new array.constructor(new SharedArrayBuffer(array.byteLength))
  copy.set(array)
  return copy
}

/** Equal elements, with NaN equal to NaN and -0 unlike 0. */
function same(actual, expected) {
  assert.equal(actual.constructor, expected.constructor)
  assert.equal(actual.length, expected.length)
  const at = expected.findIndex((value, index) => !Object.is(actual[index], value))
  assert.equal(at, -1, `element ${at} is ${actual[at]}, expected ${expected[at]}`)
}

function near(actual, expected, tolerance) {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not within ${tolerance} of ${expected}`)
}

const classes = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
]

describe('sort', () => {
  for (const Class of classes) {
    for (const length of [0, 1, 1000, 200_000]) {
      test(`orders ${length} elements of ${Class.name} as TypedArray.prototype.sort does`, async () => {
        const input = randoms(Class, length)
        const before = input.slice()
        const expected = input.slice().sort()
        same(await kernels.sort(input), expected)
        same(input, before)
        same(await kernels.sort(input, { descending: true }), expected.reverse())
      })
    }
  }

  test('puts -0 before 0 and NaN last', async () => {
    const input = Float64Array.of(NaN, 1, 0, -0, Infinity, -1, -Infinity, NaN, -0)
    same(await kernels.sort(input), input.slice().sort())
    same(await kernels.sort(input, { descending: true }), input.slice().sort().reverse())
    const singles = Float32Array.from(input)
    same(await kernels.sort(singles), singles.slice().sort())
  })

  test('takes a NaN with its sign bit set as any other', async () => {
    const bits = BigUint64Array.of(0xfff8000000000000n, 0xbff0000000000000n, 0x3ff0000000000000n)
    same(await kernels.sort(new Float64Array(bits.buffer)), Float64Array.of(-1, 1, NaN))
  })

  test('takes Float16Array', { skip: typeof Float16Array === 'undefined' }, async () => {
    const input = Float16Array.of(1.5, NaN, -0, 0, -2, Infinity, 65504, 6e-8)
    same(await kernels.sort(input), input.slice().sort())
  })

  test('works in the memory of a transferred buffer', async () => {
    const input = randoms(Float64Array, 100_000)
    const expected = input.slice().sort()
    const promise = kernels.sort(input, { transfer: [input.buffer] })
    assert.equal(input.length, 0)
    same(await promise, expected)
  })

  test('sorts the part of a buffer that a view shows', async () => {
    const whole = Int16Array.of(9, 3, 1, 2, -9)
    same(await kernels.sort(whole.subarray(1, 4)), Int16Array.of(1, 2, 3))
  })

  test('leaves shared memory as it is', async () => {
    const input = shared(Int32Array.of(3, 1, 2))
    same(await kernels.sort(input), Int32Array.of(1, 2, 3))
    assert.deepEqual([...input], [3, 1, 2])
  })

  test('rejects with the reason of an aborted signal', async () => {
    const controller = new AbortController()
    const promise = kernels.sort(randoms(Float64Array, 1_000_000), { signal: controller.signal })
    const reason = new Error('no longer needed')
    controller.abort(reason)
    await assert.rejects(promise, (error) => error === reason)
  })

  test('rejects other values and options', async () => {
    const wrongType = { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' }
    await assert.rejects(kernels.sort([3, 1, 2]), wrongType)
    await assert.rejects(kernels.sort('abc'), wrongType)
    await assert.rejects(kernels.sort(Int8Array.of(1), { descending: 1 }), wrongType)
  })
})

describe('argsort', () => {
  for (const Class of classes) {
    test(`orders ${Class.name}, ties by ascending index both ways`, async () => {
      // Few different values, so that there are many ties.
      const input = Class.from(randoms(Int8Array, 100_000), (value) =>
        Class === BigInt64Array || Class === BigUint64Array ? BigInt(value) : value,
      )
      const order = Uint32Array.from(input.keys())
      const compare = (a, b) => (input[a] < input[b] ? -1 : input[a] > input[b] ? 1 : 0)
      same(await kernels.argsort(input), Uint32Array.from([...order].sort((a, b) => compare(a, b) || a - b)))
      same(
        await kernels.argsort(input, { descending: true }),
        Uint32Array.from([...order].sort((a, b) => compare(b, a) || a - b)),
      )
    })
  }

  test('puts -0 before 0 and NaN last', async () => {
    same(await kernels.argsort(Float32Array.of(NaN, 0, -0, NaN, -1)), Uint32Array.of(4, 2, 1, 0, 3))
    same(
      await kernels.argsort(Float32Array.of(NaN, 0, -0, NaN, -1), { descending: true }),
      Uint32Array.of(0, 3, 1, 2, 4),
    )
  })

  test('takes empty and shared inputs', async () => {
    same(await kernels.argsort(new Float64Array(0)), new Uint32Array(0))
    same(await kernels.argsort(shared(BigInt64Array.of(5n, -5n))), Uint32Array.of(1, 0))
  })
})

describe('stats', () => {
  test('describes a known sample', async () => {
    const result = await kernels.stats(Float64Array.of(2, 4, 4, 4, 5, 5, 7, 9), { quantiles: [0.5, 0, 1] })
    assert.deepEqual(result, {
      count: 8,
      sum: 40,
      mean: 5,
      variance: 4,
      sampleVariance: 32 / 7,
      min: 2,
      max: 9,
      quantiles: [4.5, 2, 9],
    })
  })

  test('agrees with a plain computation on many numbers', async () => {
    const input = randoms(Float64Array, 300_001, 7)
    const fractions = [0.99, 0.5, 0.25, 0, 1, 0.123]
    const result = await kernels.stats(input, { quantiles: fractions })
    const mean = input.reduce((sum, value) => sum + value, 0) / input.length
    const squares = input.reduce((sum, value) => sum + (value - mean) ** 2, 0)
    near(result.mean, mean, 1e-7)
    near(result.variance / (squares / input.length), 1, 1e-10)
    near(result.sampleVariance / (squares / (input.length - 1)), 1, 1e-10)
    const sorted = input.slice().sort()
    assert.equal(result.min, sorted[0])
    assert.equal(result.max, sorted.at(-1))
    for (const [at, fraction] of fractions.entries()) {
      const position = (input.length - 1) * fraction
      const low = sorted[Math.floor(position)]
      const high = sorted[Math.ceil(position)]
      near(result.quantiles[at], low + (high - low) * (position % 1), 1e-8)
    }
  })

  test('does not lose small terms of a sum', async () => {
    const input = Float64Array.from({ length: 30_000 }, (_, at) => [1e16, 1, -1e16][at % 3])
    assert.equal((await kernels.stats(input)).sum, 10_000)
  })

  test('gives NaN where there is nothing to say', async () => {
    assert.deepEqual(await kernels.stats(new Float32Array(0), { quantiles: [0.5] }), {
      count: 0,
      sum: 0,
      mean: NaN,
      variance: NaN,
      sampleVariance: NaN,
      min: NaN,
      max: NaN,
      quantiles: [NaN],
    })
    const single = await kernels.stats(Uint8Array.of(3))
    assert.equal(single.variance, 0)
    assert.equal(single.sampleVariance, NaN)
    assert.deepEqual(single.quantiles, [])
  })

  test('lets one NaN spread to everything but the count', async () => {
    assert.deepEqual(await kernels.stats(Float64Array.of(1, NaN, 3), { quantiles: [0] }), {
      count: 3,
      sum: NaN,
      mean: NaN,
      variance: NaN,
      sampleVariance: NaN,
      min: NaN,
      max: NaN,
      quantiles: [NaN],
    })
  })

  test('takes bigints and shared memory', async () => {
    const { sum, min, quantiles } = await kernels.stats(shared(BigInt64Array.of(-3n, 1n, 2n ** 40n)), {
      quantiles: [0.5],
    })
    assert.deepEqual([sum, min, quantiles], [2 ** 40 - 2, -3, [1]])
  })

  test('rejects quantiles outside of 0 to 1', async () => {
    await assert.rejects(kernels.stats(Uint8Array.of(1), { quantiles: [1.5] }), {
      name: 'RangeError',
      code: 'ERR_THREADMILL_OUT_OF_RANGE',
    })
    await assert.rejects(kernels.stats(Uint8Array.of(1), { quantiles: 0.5 }), {
      name: 'TypeError',
      code: 'ERR_THREADMILL_INVALID_ARG_TYPE',
    })
  })
})

describe('histogram', () => {
  test('gives the examples in the documentation of numpy.histogram', async () => {
    const first = await kernels.histogram(Uint8Array.of(1, 2, 1), { bins: 3, min: 0, max: 3 })
    same(first.counts, Uint32Array.of(0, 2, 1))
    same(first.edges, Float64Array.of(0, 1, 2, 3))
    const second = await kernels.histogram(Int32Array.of(0, 1, 2, 3), { bins: 4, min: 0, max: 4 })
    same(second.counts, Uint32Array.of(1, 1, 1, 1))
  })

  test('has ten bins over the finite numbers by default', async () => {
    const { counts, edges } = await kernels.histogram(Float64Array.of(0, 10, NaN, Infinity, 5, 10))
    same(counts, Uint32Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 2))
    same(edges, Float64Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
  })

  test('counts as the edges say on many numbers', async () => {
    const input = randoms(Float32Array, 300_000, 11)
    for (const bins of [1, 3, 1000]) {
      const { counts, edges } = await kernels.histogram(input, { bins, min: -20_000, max: 20_000 })
      assert.equal(edges.length, bins + 1)
      const expected = new Uint32Array(bins)
      for (const value of input) {
        if (value < edges[0] || value > edges[bins]) continue
        let bin = Math.min(bins - 1, Math.max(0, Math.floor(((value + 20_000) / 40_000) * bins)))
        while (bin > 0 && value < edges[bin]) bin--
        while (bin < bins - 1 && value >= edges[bin + 1]) bin++
        expected[bin]++
      }
      same(counts, expected)
    }
  })

  test('widens the range around equal numbers', async () => {
    const { counts, edges } = await kernels.histogram(Int8Array.of(5, 5), { bins: 2 })
    same(counts, Uint32Array.of(0, 2))
    same(edges, Float64Array.of(4.5, 5, 5.5))
  })

  test('takes empty and shared inputs', async () => {
    const { counts, edges } = await kernels.histogram(new Float64Array(0), { bins: 1 })
    same(counts, Uint32Array.of(0))
    same(edges, Float64Array.of(0, 1))
    same((await kernels.histogram(shared(Uint16Array.of(1, 2, 3, 4)), { bins: 2 })).counts, Uint32Array.of(2, 2))
  })

  test('rejects impossible options', async () => {
    const outOfRange = { name: 'RangeError', code: 'ERR_THREADMILL_OUT_OF_RANGE' }
    await assert.rejects(kernels.histogram(Uint8Array.of(1), { bins: 0 }), outOfRange)
    await assert.rejects(kernels.histogram(Uint8Array.of(1), { bins: 2 ** 24 + 1 }), outOfRange)
    // The schema cannot see this one: the kernel itself rejects.
    await assert.rejects(kernels.histogram(Uint8Array.of(1), { min: 2, max: 1 }), { code: outOfRange.code })
  })
})

describe('matmul', () => {
  function naive(a, b, m, k, n) {
    const c = new a.constructor(m * n)
    for (let row = 0; row < m; row++) {
      for (let depth = 0; depth < k; depth++) {
        for (let column = 0; column < n; column++) c[row * n + column] += a[row * k + depth] * b[depth * n + column]
      }
    }
    return c
  }

  for (const Class of [Float32Array, Float64Array]) {
    for (const [m, k, n] of [
      [2, 3, 2],
      [1, 500, 1],
      [130, 70, 90],
      [150, 300, 40],
    ]) {
      test(`multiplies ${m} by ${k} with ${k} by ${n} in ${Class.name}`, async () => {
        // Small whole numbers: every order of additions gives the same.
        const random = generator(m + k + n)
        const fill = (length) => Class.from({ length }, () => Math.floor(random() * 21) - 10)
        const [a, b] = [fill(m * k), fill(k * n)]
        same(await kernels.matmul({ a, b, m, k, n }), naive(a, b, m, k, n))
      })
    }
  }

  test('gives zeros for an empty sum', async () => {
    const empty = new Float64Array(0)
    same(await kernels.matmul({ a: empty, b: empty, m: 2, k: 0, n: 2 }), new Float64Array(4))
  })

  test('reads shared memory', async () => {
    const product = await kernels.matmul({
      a: shared(Float32Array.of(1, 2)),
      b: shared(Float32Array.of(3, 4)),
      m: 1,
      k: 2,
      n: 1,
    })
    same(product, Float32Array.of(11))
  })

  test('rejects factors that do not fit', async () => {
    const a = Float64Array.of(1, 2)
    await assert.rejects(kernels.matmul({ a, b: a, m: 2, k: 2, n: 1 }), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
    await assert.rejects(kernels.matmul({ a, b: Float32Array.of(1, 2), m: 1, k: 2, n: 1 }), {
      code: 'ERR_THREADMILL_INVALID_ARG_TYPE',
    })
    await assert.rejects(kernels.matmul({ a, b: a, m: 1, k: 2 }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
    const empty = new Float64Array(0)
    await assert.rejects(kernels.matmul({ a: empty, b: empty, m: 2 ** 20, k: 0, n: 2 ** 20 }), {
      code: 'ERR_THREADMILL_OUT_OF_RANGE',
    })
  })
})

describe('fft', () => {
  function element(re, im, k) {
    const n = re.length
    let [sumRe, sumIm] = [0, 0]
    for (let j = 0; j < n; j++) {
      const angle = (-2 * Math.PI * ((j * k) % n)) / n
      sumRe += re[j] * Math.cos(angle) - im[j] * Math.sin(angle)
      sumIm += re[j] * Math.sin(angle) + im[j] * Math.cos(angle)
    }
    return [sumRe, sumIm]
  }
  const unit = (length, seed) => randoms(Float64Array, length, seed).map((value) => value / 2 ** 15)

  for (const length of [1, 2, 3, 8, 15, 97, 1000]) {
    test(`follows the definition for ${length} samples`, async () => {
      const [re, im] = [unit(length, 3), unit(length, 4)]
      const result = await kernels.fft({ re, im })
      for (let k = 0; k < length; k++) {
        const [expectedRe, expectedIm] = element(re, im, k)
        near(result.re[k], expectedRe, 1e-10)
        near(result.im[k], expectedIm, 1e-10)
      }
    })
  }

  // A power of two, a length with divisors, a prime: the three ways of cutting long transforms.
  for (const length of [2 ** 17, 70_000, 65_537]) {
    test(`follows the definition for ${length} samples, and back`, async () => {
      const [re, im] = [unit(length, 5), unit(length, 6)]
      const result = await kernels.fft({ re, im })
      for (const k of [0, 1, 1234, length - 1]) {
        const [expectedRe, expectedIm] = element(re, im, k)
        near(result.re[k], expectedRe, 1e-8)
        near(result.im[k], expectedIm, 1e-8)
      }
      const back = await kernels.ifft(result)
      assert.ok(back.re.every((value, at) => Math.abs(value - re[at]) < 1e-11))
      assert.ok(back.im.every((value, at) => Math.abs(value - im[at]) < 1e-11))
    })
  }

  test('takes real samples and keeps Float32Array', async () => {
    const { re, im } = await kernels.fft({ re: Float32Array.of(1, 2, 3, 4) })
    assert.deepEqual([...re], [10, -2, -2, -2])
    assert.deepEqual(
      Array.from(im, (value) => value + 0),
      [0, 2, 0, -2],
    )
    assert.equal(re.constructor, Float32Array)
    assert.equal(im.constructor, Float32Array)
  })

  test('works in the memory of transferred buffers', async () => {
    const [re, im] = [Float64Array.of(1, 0, 0, 0), new Float64Array(4)]
    const promise = kernels.fft({ re, im }, { transfer: [re.buffer, im.buffer] })
    assert.equal(re.length, 0)
    const result = await promise
    assert.deepEqual([...result.re], [1, 1, 1, 1])
  })

  test('takes empty and shared inputs', async () => {
    assert.equal((await kernels.fft({ re: new Float64Array(0) })).re.length, 0)
    assert.deepEqual([...(await kernels.ifft({ re: shared(Float64Array.of(2, 0)) })).re], [1, 1])
  })

  test('rejects parts that do not fit', async () => {
    const re = Float64Array.of(1, 2)
    await assert.rejects(kernels.fft({ re, im: Float64Array.of(1) }), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
    await assert.rejects(kernels.fft({ re, im: Float32Array.of(1, 2) }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
    await assert.rejects(kernels.fft({ re: Int8Array.of(1) }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  })
})

describe('topK', () => {
  const small = { matrix: Float32Array.of(3, 4, 1, 0, -1, 0, 6, 8), dim: 2, query: Float32Array.of(3, 4) }

  test('ranks by each metric', async () => {
    const dot = await kernels.topK({ ...small, k: 3, metric: 'dot' })
    same(dot.indices, Uint32Array.of(3, 0, 1))
    same(dot.scores, Float32Array.of(50, 25, 3))
    for (const metric of [undefined, 'cosine']) {
      const cosine = await kernels.topK({ ...small, k: 3, metric })
      same(cosine.indices, Uint32Array.of(0, 3, 1))
      same(cosine.scores, Float32Array.of(1, 1, 0.6))
    }
    const euclidean = await kernels.topK({ ...small, k: 10, metric: 'euclidean' })
    same(euclidean.indices, Uint32Array.of(0, 1, 3, 2))
    same(euclidean.scores, Float32Array.of(0, Math.sqrt(20), 5, Math.sqrt(32)))
  })

  test('gives a prefix of the full order, ties by index', async () => {
    const [rows, dim] = [20_000, 20]
    const random = generator(13)
    const matrix = Float32Array.from({ length: rows * dim }, () => Math.floor(random() * 7) - 3)
    const query = Float32Array.from({ length: dim }, () => Math.floor(random() * 7) - 3)
    const scores = Array.from({ length: rows }, (_, row) =>
      query.reduce((sum, value, at) => sum + value * matrix[row * dim + at], 0),
    )
    const order = [...scores.keys()].sort((a, b) => scores[b] - scores[a] || a - b)
    for (const k of [1, 100, 5000, rows, rows + 1]) {
      const found = await kernels.topK({ matrix, dim, query, k, metric: 'dot' })
      same(found.indices, Uint32Array.from(order.slice(0, k)))
      same(
        found.scores,
        Float32Array.from(order.slice(0, k), (row) => scores[row]),
      )
    }
  })

  test('puts NaN last and scores zero vectors 0', async () => {
    const matrix = Float32Array.of(NaN, 0, 0, 0, -1, 0, 1, 0)
    const { indices, scores } = await kernels.topK({ matrix, dim: 2, query: Float32Array.of(1, 0), k: 4 })
    same(indices, Uint32Array.of(3, 1, 2, 0))
    same(scores, Float32Array.of(1, 0, -1, NaN))
  })

  test('takes empty and shared matrices', async () => {
    const empty = await kernels.topK({ ...small, matrix: new Float32Array(0), k: 1 })
    assert.equal(empty.indices.length, 0)
    const found = await kernels.topK({ ...small, matrix: shared(small.matrix), k: 1, metric: 'dot' })
    same(found.indices, Uint32Array.of(3))
  })

  test('rejects shapes that do not fit', async () => {
    await assert.rejects(kernels.topK({ ...small, dim: 3, query: new Float32Array(3), k: 1 }), {
      code: 'ERR_THREADMILL_INVALID_ARG_VALUE',
    })
    await assert.rejects(kernels.topK({ ...small, query: new Float32Array(3), k: 1 }), {
      code: 'ERR_THREADMILL_INVALID_ARG_VALUE',
    })
    await assert.rejects(kernels.topK({ ...small, k: 0 }), { name: 'RangeError', code: 'ERR_THREADMILL_OUT_OF_RANGE' })
    await assert.rejects(kernels.topK({ ...small, k: 1, metric: 'manhattan' }), {
      code: 'ERR_THREADMILL_INVALID_ARG_VALUE',
    })
  })
})
