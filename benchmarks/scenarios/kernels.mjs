// Kernels beside what Node brings and what npm offers: the same work, as a batch of independent tasks, because that
// is what a pool is for. Where another tool is faster, it shows.
import assert from 'node:assert/strict'
import crypto, { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import os from 'node:os'
import process from 'node:process'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { hash as argon2, verify as argon2Verify } from '@node-rs/argon2'
import fuzzysort from 'fuzzysort'
import * as wasm from 'hash-wasm'
import { Matrix } from 'ml-matrix'
import Papa from 'papaparse'
import { compare } from './harness.mjs'
import { bytes, csv, floats, paths, text } from './inputs.mjs'
import { WorkerPool } from './subjects.mjs'

const FFT = createRequire(import.meta.url)('fft.js')
const gzip = promisify(zlib.gzip)
const brotli = promisify(zlib.brotliCompress)

const MIB = 2 ** 20
const BATCH = 4 * os.availableParallelism()
const repetitions = process.argv.includes('--quick') ? 3 : 9

/** The same call `BATCH` times, all at once. */
function batch(call) {
  return Promise.all(Array.from({ length: BATCH }, call))
}

/** Checks every output of a batch. */
function each(check) {
  return (outputs) => {
    assert.equal(outputs.length, BATCH)
    for (const output of outputs) check(output)
  }
}

function close(actual, expected, tolerance) {
  assert.equal(actual.length, expected.length)
  for (let i = 0; i < actual.length; i++) assert.ok(Math.abs(actual[i] - expected[i]) <= tolerance, `at ${i}`)
}

/** All comparisons, one after the other. */
export async function kernels() {
  const pool = new WorkerPool({ name: 'bench' })
  const measured = []
  const add = async (scenario) => measured.push(await compare({ repetitions, warmups: 1, ...scenario }))
  for (const scenario of [hashes, compression, passwords, matrices, transforms, tables, searches]) {
    await scenario(pool.kernels, add)
  }
  await pool.close()
  return { measured, floors: [] }
}

async function hashes(native, add) {
  // Shared memory: every contender reads it where it is.
  const data = new Uint8Array(new SharedArrayBuffer(4 * MIB))
  data.set(bytes(data.length))
  const expect = (digest) => each((output) => assert.equal(output, digest))
  const sha256 = createHash('sha256').update(data).digest('hex')
  const blake3 = await wasm.blake3(data)
  await add({
    name: 'sha256 of 4 MiB',
    bytes: data.length * BATCH,
    contenders: [
      { name: 'threadmill', run: () => batch(() => native.sha256(data)), check: expect(sha256) },
      {
        name: 'node:crypto',
        run: () => batch(() => createHash('sha256').update(data).digest('hex')),
        check: expect(sha256),
      },
      { name: 'hash-wasm', run: () => batch(() => wasm.sha256(data)), check: expect(sha256) },
    ],
  })
  await add({
    name: 'blake3 of 4 MiB',
    bytes: data.length * BATCH,
    contenders: [
      { name: 'threadmill', run: () => batch(() => native.blake3(data)), check: expect(blake3) },
      { name: 'hash-wasm', run: () => batch(() => wasm.blake3(data)), check: expect(blake3) },
    ],
  })
}

async function compression(native, add) {
  const data = Buffer.from(text(MIB))
  const shared = new Uint8Array(new SharedArrayBuffer(data.length))
  shared.set(data)
  const restores = (restore) => each((output) => assert.ok(restore(output).equals(data)))
  await add({
    name: 'gzip of 1 MiB, level 6',
    bytes: data.length * BATCH,
    contenders: [
      {
        name: 'threadmill',
        run: () => batch(() => native.gzip(shared, { level: 6 })),
        check: restores(zlib.gunzipSync),
      },
      { name: 'node:zlib', run: () => batch(() => gzip(data, { level: 6 })), check: restores(zlib.gunzipSync) },
    ],
  })
  const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 }
  await add({
    name: 'brotli of 1 MiB, quality 5',
    bytes: data.length * BATCH,
    contenders: [
      {
        name: 'threadmill',
        run: () => batch(() => native.brotli(shared, { quality: 5 })),
        check: restores(zlib.brotliDecompressSync),
      },
      {
        name: 'node:zlib',
        run: () => batch(() => brotli(data, { params })),
        check: restores(zlib.brotliDecompressSync),
      },
    ],
  })
}

async function passwords(native, add) {
  const password = 'correct horse battery staple'
  const settings = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
  const hashed = await argon2(password, settings)
  assert.ok(await argon2Verify(hashed, password))
  const accepts = each((output) => assert.equal(output, true))
  await add({
    name: 'argon2id, 19 MiB, 2 passes: verify',
    operations: BATCH,
    contenders: [
      { name: 'threadmill', run: () => batch(() => native.argon2Verify({ password, hash: hashed })), check: accepts },
      { name: '@node-rs/argon2', run: () => batch(() => argon2Verify(hashed, password)), check: accepts },
    ],
  })
  const bcrypt = await wasm.bcrypt({ password, salt: crypto.randomBytes(16), costFactor: 10, outputType: 'encoded' })
  await add({
    name: 'bcrypt, cost 10: verify',
    operations: BATCH,
    contenders: [
      { name: 'threadmill', run: () => batch(() => native.bcryptVerify({ password, hash: bcrypt })), check: accepts },
      { name: 'hash-wasm', run: () => batch(() => wasm.bcryptVerify({ password, hash: bcrypt })), check: accepts },
    ],
  })
}

async function matrices(native, add) {
  const n = 256
  const a = floats(n * n, 6)
  const b = floats(n * n, 7)
  const rows = (data) => Matrix.from1DArray(n, n, data)
  const left = rows(a)
  const right = rows(b)
  const expected = left.mmul(right).to1DArray()
  await add({
    name: 'product of 256 × 256 matrices',
    operations: BATCH,
    contenders: [
      {
        name: 'threadmill',
        run: () => batch(() => native.matmul({ a, b, m: n, k: n, n })),
        check: each((output) => close(output, expected, 1e-9)),
      },
      {
        name: 'ml-matrix',
        run: () => batch(() => left.mmul(right)),
        check: each((output) => close(output.to1DArray(), expected, 0)),
      },
    ],
  })
}

async function transforms(native, add) {
  const n = 65_536
  const re = floats(n, 8)
  const fft = new FFT(n)
  const run = () => {
    const out = fft.createComplexArray()
    fft.realTransform(out, re)
    fft.completeSpectrum(out)
    return out
  }
  const expected = run()
  const parts = (offset) => Float64Array.from({ length: n }, (_, index) => expected[2 * index + offset])
  const [real, imaginary] = [parts(0), parts(1)]
  await add({
    name: 'fft of 65,536 points',
    operations: BATCH,
    contenders: [
      {
        name: 'threadmill',
        run: () => batch(() => native.fft({ re })),
        check: each((output) => {
          close(output.re, real, 1e-6)
          close(output.im, imaginary, 1e-6)
        }),
      },
      { name: 'fft.js', run: () => batch(run), check: each((output) => close(output, expected, 0)) },
    ],
  })
}

async function tables(native, add) {
  const rows = 20_000
  const source = csv(rows)
  const parsed = Papa.parse(source, { header: true, skipEmptyLines: true }).data
  assert.equal(parsed.length, rows)
  const ids = parsed.map((row) => row.id)
  await add({
    name: 'CSV of 20,000 rows',
    bytes: source.length * BATCH,
    contenders: [
      {
        name: 'threadmill',
        run: () => batch(() => native.csvParse(source)),
        check: each((output) => {
          assert.deepEqual(Object.keys(output.columns), ['id', 'word', 'value'])
          assert.deepEqual(Array.from(output.columns.id, String), ids)
        }),
      },
      {
        name: 'papaparse',
        run: () => batch(() => Papa.parse(source, { header: true, skipEmptyLines: true })),
        check: each((output) => assert.deepEqual(output.data, parsed)),
      },
    ],
  })
}

async function searches(native, add) {
  const candidates = paths(20_000)
  const query = 'poolwake'
  const k = 20
  // The two rank by rules of their own; both must give matches only, the best first.
  const matches = (candidate) => {
    let at = -1
    return [...query].every((letter) => {
      at = candidate.indexOf(letter, at + 1)
      return at >= 0
    })
  }
  assert.ok(candidates.filter(matches).length >= k)
  const checkOrder = (scores) =>
    assert.deepEqual(
      scores,
      [...scores].sort((a, b) => b - a),
    )
  await add({
    name: 'fuzzy search in 20,000 paths',
    operations: BATCH,
    contenders: [
      {
        name: 'threadmill',
        run: () => batch(() => native.fuzzyTopK({ query, candidates, k })),
        check: each((output) => {
          assert.equal(output.length, k)
          assert.ok(output.every(({ index }) => matches(candidates[index])))
          checkOrder(output.map(({ score }) => score))
        }),
      },
      {
        name: 'fuzzysort',
        run: () => batch(() => fuzzysort.go(query, candidates, { limit: k })),
        check: each((output) => {
          assert.equal(output.length, k)
          assert.ok(output.every(({ target }) => matches(target)))
          checkOrder(output.map(({ score }) => score))
        }),
      },
    ],
  })
}
