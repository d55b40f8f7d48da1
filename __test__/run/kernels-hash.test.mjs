// The hash kernels through the public API, against node:crypto, plain JavaScript and published vectors.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { WorkerPool } from 'threadmill'

const pool = new WorkerPool()
after(() => pool.close())
const { kernels } = pool

/** The input of the published BLAKE3 vectors. */
const pattern = (length) => Uint8Array.from({ length }, (_, index) => index % 251)

/** CRC-32 bit by bit. */
function crc32(bytes, initial = 0) {
  let crc = ~initial
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ~crc >>> 0
}

const inputs = [0, 1, 63, 64, 127, 128, 1000, 65_537, 1_100_003].map(pattern)

for (const name of ['sha256', 'sha512']) {
  describe(name, () => {
    test('gives the digest of node:crypto for bytes of every length', async () => {
      for (const input of inputs) {
        const expected = createHash(name).update(input).digest('hex')
        assert.equal(await kernels[name](input), expected, `${input.length} bytes`)
      }
    })

    test('takes a string as UTF-8, and lone surrogates as U+FFFD', async () => {
      for (const text of ['', 'abc', 'Grüße, 世界 🧵', 'a\ud800b']) {
        assert.equal(await kernels[name](text), createHash(name).update(text).digest('hex'))
      }
    })

    test('gives the encoding that is asked for', async () => {
      const digest = createHash(name).update('abc').digest()
      assert.equal(await kernels[name]('abc', { encoding: 'hex' }), digest.toString('hex'))
      assert.equal(await kernels[name]('abc', { encoding: 'base64' }), digest.toString('base64'))
      const buffer = await kernels[name]('abc', { encoding: 'buffer' })
      assert.equal(buffer.constructor, Uint8Array)
      assert.deepEqual(buffer, new Uint8Array(digest))
    })
  })
}

describe('blake3', () => {
  test('gives the published digests', async () => {
    // test_vectors.json of the BLAKE3 repository, first 32 bytes.
    const published = {
      0: 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
      1024: '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7',
      1025: 'd00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444',
      102400: 'bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085',
    }
    for (const [length, digest] of Object.entries(published)) {
      assert.equal(await kernels.blake3(pattern(Number(length))), digest)
    }
  })
})

describe('xxh3', () => {
  test('gives the published hashes as bigints', async () => {
    assert.equal(await kernels.xxh3(''), 0x2d06800538d394c2n)
    assert.equal(await kernels.xxh3('abc'), 0x78af5f94892f3950n)
  })

  test('uses the seed', async () => {
    assert.equal(await kernels.xxh3('abc', { seed: 0 }), 0x78af5f94892f3950n)
    const seeds = [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]
    const hashes = await Promise.all(seeds.map((seed) => kernels.xxh3('abc', { seed })))
    assert.equal(new Set(hashes).size, seeds.length)
    for (const seed of [-1, 0.5, 2 ** 53, Number.NaN]) {
      await assert.rejects(kernels.xxh3('abc', { seed }), { code: /^ERR_THREADMILL_(OUT_OF_RANGE|INVALID_ARG)/ })
    }
  })
})

describe('crc32', () => {
  test('gives the checksum of gzip as a number', async () => {
    assert.equal(await kernels.crc32('123456789'), 0xcbf43926)
    for (const input of inputs) assert.equal(await kernels.crc32(input), crc32(input), `${input.length} bytes`)
  })

  test('goes on from an earlier checksum', async () => {
    const [head, tail] = [pattern(70_000).subarray(0, 30_000), pattern(70_000).subarray(30_000)]
    const initial = await kernels.crc32(head)
    assert.equal(await kernels.crc32(tail, { initial }), crc32(pattern(70_000)))
  })
})

describe('all hashes', () => {
  const names = ['sha256', 'sha512', 'blake3', 'xxh3', 'crc32']

  test('take every kind of memory as its bytes', async () => {
    const bytes = pattern(300_000)
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length + 5)).subarray(5)
    shared.set(bytes)
    const moved = Uint8Array.from(bytes)
    for (const name of names) {
      const expected = await kernels[name](bytes)
      assert.equal(await kernels[name](shared), expected)
      assert.equal(await kernels[name](bytes.buffer), expected)
      assert.equal(await kernels[name](new DataView(bytes.buffer)), expected)
      assert.equal(await kernels[name](new Float64Array(bytes.buffer)), expected)
      assert.equal(await kernels[name](Buffer.from(bytes)), expected)
    }
    const expected = await kernels.sha256(bytes)
    assert.equal(await kernels.sha256(moved, { transfer: [moved.buffer] }), expected)
    assert.equal(moved.byteLength, 0)
  })

  test('reject other inputs and encodings', async () => {
    for (const name of names) {
      for (const input of [undefined, null, 7, {}, [1, 2]]) {
        await assert.rejects(kernels[name](input), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
      }
    }
    await assert.rejects(kernels.sha256('', { encoding: 'utf8' }), { code: /^ERR_THREADMILL_INVALID_ARG_/ })
  })
})

describe('hashFile', () => {
  let folder
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'threadmill-hash-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  test('hashes a file like its contents, with every algorithm', async () => {
    for (const input of inputs) {
      const path = join(folder, `${input.length}.bin`)
      writeFileSync(path, input)
      for (const algorithm of ['sha256', 'sha512', 'blake3', 'xxh3', 'crc32']) {
        assert.equal(await kernels.hashFile({ path, algorithm }), await kernels[algorithm](input), algorithm)
      }
    }
  })

  test('takes file URLs, names beyond ASCII, and the encoding', async () => {
    const path = join(folder, 'Größe 世界.txt')
    writeFileSync(path, 'abc')
    const digest = createHash('sha512').update('abc').digest()
    const input = { path: pathToFileURL(path), algorithm: 'sha512' }
    assert.equal(await kernels.hashFile(input), digest.toString('hex'))
    assert.deepEqual(
      await kernels.hashFile({ path, algorithm: 'sha512' }, { encoding: 'buffer' }),
      new Uint8Array(digest),
    )
    assert.equal(
      await kernels.hashFile({ path, algorithm: 'sha512' }, { encoding: 'base64' }),
      digest.toString('base64'),
    )
  })

  test('gives what the system says as the cause', async () => {
    const path = join(folder, 'missing')
    await assert.rejects(kernels.hashFile({ path, algorithm: 'sha256' }), (error) => {
      assert.equal(error.code, 'ERR_THREADMILL_IO')
      assert.equal(error.cause.code, 'ENOENT')
      assert.equal(error.cause.path, path)
      return true
    })
    await assert.rejects(kernels.hashFile({ path: folder, algorithm: 'sha256' }), (error) => {
      assert.equal(error.code, 'ERR_THREADMILL_IO')
      assert.equal(error.cause.code, 'EISDIR')
      return true
    })
  })

  test('refuses special files at once', { skip: process.platform === 'win32' }, async (t) => {
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    const socket = join(folder, 's')
    const server = createServer().listen(socket)
    await once(server, 'listening')
    t.after(() => server.close())
    for (const path of [fifo, '/dev/zero', socket]) {
      await assert.rejects(kernels.hashFile({ path, algorithm: 'crc32' }), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
    }
  })

  test('rejects inputs without a path or a known algorithm', async () => {
    for (const input of [
      undefined,
      'x',
      {},
      { path: 'x' },
      { path: 7, algorithm: 'crc32' },
      { path: 'x', algorithm: 'md5' },
    ]) {
      await assert.rejects(kernels.hashFile(input), { code: /^ERR_THREADMILL_INVALID_ARG_/ })
    }
  })
})
