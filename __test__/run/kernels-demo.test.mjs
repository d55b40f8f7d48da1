// The demonstration kernels through the public API, against plain JavaScript and published values.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'

const pool = new WorkerPool()
after(() => pool.close())
const { kernels } = pool

const outOfRange = { name: 'RangeError', code: 'ERR_THREADMILL_OUT_OF_RANGE' }
const wrongType = { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' }

describe('echo', () => {
  test('gives every number back', async () => {
    for (const number of [0, -0, 1.5, Number.MAX_VALUE, Number.MIN_VALUE, Number.NaN, Number.NEGATIVE_INFINITY]) {
      assert.ok(Object.is(await kernels.echo(number), number), String(number))
    }
  })

  test('takes numbers only', async () => {
    for (const wrong of ['1', 1n, null, undefined, {}, [1]]) await assert.rejects(kernels.echo(wrong), wrongType)
  })
})

describe('fib and tribonacci', () => {
  test('give the numbers of the sequences', async () => {
    const fibs = []
    for (let n = -2; n <= 40; n++) fibs.push(n <= 2 ? 1 : fibs.at(-1) + fibs.at(-2))
    for (let n = -2; n <= 32; n++) assert.equal(await kernels.fib(n), fibs[n + 2], `fib(${n})`)
    assert.equal(await kernels.fib(39), 63_245_986)

    const sums = []
    for (let n = -4; n <= 32; n++) sums.push(n <= 1 ? n : sums.at(-1) + sums.at(-2) + sums.at(-3))
    for (let n = -4; n <= 26; n++) assert.equal(await kernels.tribonacci(n), sums[n + 4], `tribonacci(${n})`)
    assert.equal(await kernels.tribonacci(32), 45_152_016)
  })

  test('take whole numbers up to 60', async () => {
    for (const name of ['fib', 'tribonacci']) {
      for (const wrong of [61, 1.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        await assert.rejects(kernels[name](wrong), outOfRange)
      }
      await assert.rejects(kernels[name]('10'), wrongType)
    }
  })

  test('stop when they are cancelled', async () => {
    for (const kernel of ['fib', 'tribonacci']) {
      const task = pool.addTask(60, { kernel })
      task.cancel()
      await assert.rejects(Promise.resolve(task), { code: 'ERR_THREADMILL_CANCELLED' })
    }
    // Workers that went on for hours would never be idle.
    await pool.whenIdle()
    const begun = pool.addTask(60, { kernel: 'tribonacci' })
    await new Promise((resolve) => begun.on('progress', resolve))
    begun.cancel()
    await assert.rejects(Promise.resolve(begun), { code: 'ERR_THREADMILL_CANCELLED' })
    await pool.whenIdle()
  })
})

describe('primesUpTo', () => {
  /** Trial division. */
  const isPrime = (n) => {
    for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false
    return n >= 2
  }

  test('gives all primes in order', async () => {
    for (const n of [0, 1, 2, 3, 4, 9, 10, 11, 120, 121, 122, 5000]) {
      const expected = Uint32Array.from({ length: n + 1 }, (_, index) => index).filter(isPrime)
      assert.deepEqual(await kernels.primesUpTo(n), expected, String(n))
    }
  })

  test('gives the published counts', async () => {
    const primes = await kernels.primesUpTo(17_000_000)
    assert.ok(primes instanceof Uint32Array)
    assert.equal(primes.length, 1_091_314)
    assert.ok(primes.every((prime, index) => index === 0 || prime > primes[index - 1]))
    assert.equal(primes[664_578], 9_999_991)
  })

  test('takes whole numbers from 0 to 2^32 - 1', async () => {
    for (const wrong of [-1, 0.5, 2 ** 32, Number.NaN]) await assert.rejects(kernels.primesUpTo(wrong), outOfRange)
    await assert.rejects(kernels.primesUpTo('10'), wrongType)
  })
})

describe('estimatePi', () => {
  /** The definition, term by term. */
  function estimate(decimals) {
    let sum = 3
    let sign = 1
    for (let k = 2; ; k += 2) {
      const term = 4 / (k * (k + 1) * (k + 2))
      if (term <= 10 ** -(decimals + 1)) return Number(sum.toFixed(decimals))
      sum += sign * term
      sign = -sign
    }
  }

  test('adds up the series in its order', async () => {
    for (let decimals = 0; decimals <= 18; decimals++) {
      assert.equal(await kernels.estimatePi(decimals), estimate(decimals), `${decimals} decimals`)
    }
    assert.equal(String(await kernels.estimatePi(5)), '3.14159')
    assert.equal(String(await kernels.estimatePi(10)), '3.1415926536')
  })

  test('gives the last digits of the plain sum for 25 decimals', async () => {
    assert.equal(String(await kernels.estimatePi(25)), '3.141592653589787')
  })

  test('takes whole numbers from 0 to 30', async () => {
    for (const wrong of [-1, 31, 0.5, Number.NaN]) await assert.rejects(kernels.estimatePi(wrong), outOfRange)
    await assert.rejects(kernels.estimatePi('5'), wrongType)
  })
})

describe('mandelbrot', () => {
  /** The definition with the arithmetic of the documentation. */
  function mandelbrot({ width, height, centerX = -0.5, centerY = 0, scale = 3.5, maxIterations = 256 }) {
    const counts = new Uint32Array(width * height)
    const step = scale / width
    const left = centerX - ((width - 1) / 2) * step
    const top = centerY + ((height - 1) / 2) * step
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const re = left + column * step
        const im = top - row * step
        let [x, y, count] = [0, 0, 0]
        while (count < maxIterations && x * x + y * y <= 4) {
          ;[x, y] = [x * x - y * y + re, 2 * x * y + im]
          count++
        }
        counts[row * width + column] = count
      }
    }
    return counts
  }

  test('gives the counts of the definition', async () => {
    for (const view of [
      { width: 1, height: 1 },
      { width: 200, height: 150 },
      { width: 3, height: 1000, scale: 0.01 },
      { width: 90, height: 60, centerX: -0.7436, centerY: 0.1318, scale: 0.01, maxIterations: 1000 },
      { width: 20, height: 20, maxIterations: 1 },
    ]) {
      assert.deepEqual(await kernels.mandelbrot(view), mandelbrot(view), JSON.stringify(view))
    }
  })

  test('takes views that make sense', async () => {
    for (const wrong of [
      { width: 0 },
      { width: 1.5 },
      { height: -1 },
      { width: 2 ** 14, height: 2 ** 14 + 1 },
      { centerX: Number.NaN },
      { centerY: Number.POSITIVE_INFINITY },
      { scale: 0 },
      { scale: -1 },
      { maxIterations: 0 },
      { maxIterations: 2 ** 32 },
    ]) {
      await assert.rejects(kernels.mandelbrot({ width: 2, height: 2, ...wrong }), outOfRange, JSON.stringify(wrong))
    }
    for (const wrong of [undefined, null, 1, {}, { width: 1 }, { width: '1', height: 1 }]) {
      await assert.rejects(kernels.mandelbrot(wrong), wrongType)
    }
  })
})
