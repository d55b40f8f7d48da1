// Kernels beside what Node brings and what npm offers: the same work, as a batch of independent tasks, because that
// is what a pool is for. Where another tool is faster, it shows.
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { createRequire } from 'node:module'
import os from 'node:os'
import zlib from 'node:zlib'
import { hash as argon2, verify as argon2Verify } from '@node-rs/argon2'
import fuzzysort from 'fuzzysort'
import * as wasm from 'hash-wasm'
import { Matrix } from 'ml-matrix'
import Papa from 'papaparse'
import { rates } from '../lib/harness.mjs'
import { bytes, csv, floats, paths, text } from '../lib/inputs.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { mode } from '../lib/plan.mjs'
import { runSync, WorkerPool } from '../lib/subjects.mjs'
import { ASYNC_TASK, asyncTask } from '../rivals/async-task.mjs'
import { CRYPTO, CRYPTO_SYNC, node, ZLIB } from '../rivals/node.mjs'

export const title = 'Kernels beside node:crypto, node:zlib and npm packages'

const FFT = createRequire(import.meta.url)('fft.js')
const DIRECT = 'the kernel, called on the main thread'

const MIB = 2 ** 20
const BATCH = 4 * os.availableParallelism()

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

export async function measure() {
  const outcome = new Outcome()
  const pool = new WorkerPool({ name: 'bench' })
  const add = async ({ name, contenders }) => {
    const about = { id: name, name: `${name}, ${BATCH} at once`, group: 'kernels', column: name }
    outcome.add(await rates({ ...about, least: BATCH, most: BATCH, contenders }))
  }
  const all = [hashes, compression, passwords, matrices, transforms, tables, searches]
  for (const scenario of mode === 'full' ? all : [hashes, compression]) await scenario(pool.kernels, add)
  await pool.close()
  return outcome
}

async function hashes(native, add) {
  const data = bytes(4 * MIB)
  // Shared memory is read where it is; subtle has to be given other.
  const shared = new Uint8Array(new SharedArrayBuffer(data.length))
  shared.set(data)
  const expect = (digest) => each((output) => assert.equal(output, digest))
  const sha256 = expect(node.sha256Sync(data))
  const blake3 = expect(await wasm.blake3(data))
  await add({
    name: 'sha256 of 4 MiB',
    contenders: [
      { name: 'threadmill', run: () => batch(() => native.sha256(shared)), check: sha256 },
      { name: DIRECT, run: () => batch(() => runSync('sha256', shared)), check: sha256 },
      { name: ASYNC_TASK, run: () => batch(() => asyncTask().sha256(data)), check: sha256 },
      { name: CRYPTO, run: () => batch(() => node.sha256(data)), check: sha256 },
      { name: CRYPTO_SYNC, run: () => batch(() => node.sha256Sync(shared)), check: sha256 },
      { name: 'hash-wasm', run: () => batch(() => wasm.sha256(data)), check: sha256 },
    ],
  })
  await add({
    name: 'blake3 of 4 MiB',
    contenders: [
      { name: 'threadmill', run: () => batch(() => native.blake3(shared)), check: blake3 },
      { name: 'hash-wasm', run: () => batch(() => wasm.blake3(data)), check: blake3 },
    ],
  })
}

async function compression(native, add) {
  const data = Buffer.from(text(MIB))
  const shared = new Uint8Array(new SharedArrayBuffer(data.length))
  shared.set(data)
  const restores = (restore) => each((output) => assert.ok(restore(output).equals(data)))
  const compare = (name, restore, ours, theirs) => {
    const check = restores(restore)
    const contenders = [
      { name: 'threadmill', run: () => batch(ours), check },
      { name: ZLIB, run: () => batch(theirs), check },
    ]
    return add({ name, contenders })
  }
  await compare(
    'gzip of 1 MiB, level 6',
    zlib.gunzipSync,
    () => native.gzip(shared, { level: 6 }),
    () => node.gzip(data, 6),
  )
  const zipped = zlib.gzipSync(data)
  await compare(
    'gunzip to 1 MiB',
    (output) => Buffer.from(output.buffer, output.byteOffset, output.byteLength),
    () => native.gunzip(zipped),
    () => node.gunzip(zipped),
  )
  await compare(
    'brotli of 1 MiB, quality 5',
    zlib.brotliDecompressSync,
    () => native.brotli(shared, { quality: 5 }),
    () => node.brotli(data, 5),
  )
}

async function passwords(native, add) {
  const password = 'correct horse battery staple'
  const settings = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
  const hashed = await argon2(password, settings)
  assert.ok(await argon2Verify(hashed, password))
  const accepts = each((output) => assert.equal(output, true))
  await add({
    name: 'argon2id, 19 MiB, 2 passes: verify',
    contenders: [
      { name: 'threadmill', run: () => batch(() => native.argon2Verify({ password, hash: hashed })), check: accepts },
      { name: '@node-rs/argon2', run: () => batch(() => argon2Verify(hashed, password)), check: accepts },
    ],
  })
  const bcrypt = await wasm.bcrypt({ password, salt: crypto.randomBytes(16), costFactor: 10, outputType: 'encoded' })
  await add({
    name: 'bcrypt, cost 10: verify',
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
