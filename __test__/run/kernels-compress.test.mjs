// The compression kernels through the public API, against node:zlib, a plain LZ4 decoder and frames written by hand.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import zlib from 'node:zlib'
import { WorkerPool } from 'threadmill'

const pool = new WorkerPool()
after(() => pool.close())
const { kernels } = pool

/** Words in an order that repeats itself only by accident; the same in every run. */
function prose(length) {
  const words = ['pool ', 'worker ', 'task ', 'kernel ', 'steal ', 'settle\n', 'and ', 'the ']
  let seed = 0x9e3779b9
  let text = ''
  while (text.length < length) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    text += words[seed >>> 29]
  }
  return Buffer.from(text.slice(0, length))
}

/** Bytes that do not compress. */
function noise(length) {
  let seed = 0x2545f491
  return Buffer.alloc(length).map(() => {
    seed ^= seed << 13
    seed ^= seed >>> 17
    seed ^= seed << 5
    return seed & 255
  })
}

/** Reads one LZ4 frame with independent blocks, as the format describes it; checksums are skipped. */
function readLz4(frame) {
  const input = Buffer.from(frame)
  assert.equal(input.readUInt32LE(0), 0x184d2204)
  const flags = input[4]
  assert.equal(flags >> 6, 1, 'version')
  assert.ok(flags & 0x20, 'independent blocks')
  let at = 6
  const size = flags & 8 ? Number(input.readBigUInt64LE(at)) : undefined
  at += (flags & 8 ? 8 : 0) + (flags & 1 ? 4 : 0) + 1
  const output = []
  for (;;) {
    const header = input.readUInt32LE(at)
    at += 4
    if (header === 0) break
    const length = header & 0x7fffffff
    const block = input.subarray(at, at + length)
    output.push(header >>> 31 ? block : readLz4Block(block))
    at += length + (flags & 16 ? 4 : 0)
  }
  assert.equal(at + (flags & 4 ? 4 : 0), input.length, 'nothing follows the frame')
  const bytes = Buffer.concat(output)
  if (size !== undefined) assert.equal(bytes.length, size)
  return bytes
}

function readLz4Block(block) {
  const output = []
  let at = 0
  const long = (start) => {
    let length = start
    if (start === 15) {
      let byte
      do {
        byte = block[at++]
        length += byte
      } while (byte === 255)
    }
    return length
  }
  while (at < block.length) {
    const token = block[at++]
    const literals = long(token >> 4)
    for (let index = 0; index < literals; index++) output.push(block[at++])
    if (at >= block.length) break
    const offset = block.readUInt16LE(at)
    at += 2
    const match = long(token & 15) + 4
    for (let index = 0; index < match; index++) output.push(output[output.length - offset])
  }
  return Buffer.from(output)
}

const inputs = {
  empty: Buffer.alloc(0),
  'one byte': Buffer.from('a'),
  prose: prose(300_000),
  noise: noise(200_000),
  zeros: Buffer.alloc(1_000_000),
}

const pairs = {
  gzip: { unpack: 'gunzip', read: zlib.gunzipSync, write: zlib.gzipSync },
  // Node.js has Zstandard since 22.15; before that only the frames by hand and the round trip speak.
  zstd: { unpack: 'unzstd', read: zlib.zstdDecompressSync, write: zlib.zstdCompressSync },
  brotli: {
    unpack: 'unbrotli',
    read: zlib.brotliDecompressSync,
    write: (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } }),
    options: { quality: 5 },
  },
  lz4: { unpack: 'unlz4', read: readLz4 },
}

for (const [pack, { unpack, read, write, options }] of Object.entries(pairs)) {
  describe(`${pack} and ${unpack}`, () => {
    test('give back what was compressed', async () => {
      for (const [name, input] of Object.entries(inputs)) {
        const packed = await kernels[pack](input, options)
        assert.equal(packed.constructor, Uint8Array)
        assert.ok(packed.length < input.length * 1.02 + 64, name)
        const output = await kernels[unpack](packed)
        assert.equal(output.constructor, Uint8Array)
        assert.ok(input.equals(output), name)
      }
      assert.ok((await kernels[pack](inputs.prose, options)).length < inputs.prose.length / 2)
    })

    test('agree with another implementation in both directions', { skip: !read }, async () => {
      for (const [name, input] of Object.entries(inputs)) {
        assert.ok(input.equals(read(await kernels[pack](input, options))), name)
        if (write) assert.ok(input.equals(await kernels[unpack](write(input))), name)
      }
    })

    test('take strings as UTF-8, and shared memory', async () => {
      const text = 'Grüße, 世界 🧵'
      const packed = await kernels[pack](text)
      assert.equal(Buffer.from(await kernels[unpack](packed)).toString(), text)
      const shared = new Uint8Array(new SharedArrayBuffer(inputs.prose.length))
      shared.set(inputs.prose)
      const small = await kernels[pack](shared, options)
      const sharedSmall = new Uint8Array(new SharedArrayBuffer(small.length))
      sharedSmall.set(small)
      assert.ok(inputs.prose.equals(await kernels[unpack](sharedSmall)))
    })

    test('reject truncated data, noise and the empty input as corrupt', async () => {
      const packed = await kernels[pack](inputs.prose.subarray(0, 5000), options)
      const cuts = [0, 1, 5, packed.length >> 1, packed.length - 1].map((end) => packed.subarray(0, end))
      for (const bad of [...cuts, inputs.noise.subarray(0, 1000)]) {
        await assert.rejects(kernels[unpack](bad), { code: 'ERR_THREADMILL_CORRUPT_DATA' }, `${bad.length} bytes`)
      }
    })

    test('stop at maxOutputLength', async () => {
      const packed = await kernels[pack](Buffer.alloc(100_000), options)
      assert.equal((await kernels[unpack](packed, { maxOutputLength: 100_000 })).length, 100_000)
      for (const maxOutputLength of [1, 99_999]) {
        await assert.rejects(kernels[unpack](packed, { maxOutputLength }), { code: 'ERR_THREADMILL_OUTPUT_TOO_LARGE' })
      }
      for (const maxOutputLength of [0, -1, 1.5, Number.NaN]) {
        await assert.rejects(kernels[unpack](packed, { maxOutputLength }), RangeError)
      }
    })

    test('reject values that are no bytes', async () => {
      for (const input of [undefined, 7, {}]) {
        await assert.rejects(kernels[pack](input), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
        await assert.rejects(kernels[unpack](input), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
      }
      await assert.rejects(kernels[unpack]('text'), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
    })
  })
}

describe('gzip', () => {
  test('has the levels of zlib', async () => {
    for (let level = 0; level <= 9; level++) {
      const packed = await kernels.gzip(inputs.prose, { level })
      assert.ok(inputs.prose.equals(zlib.gunzipSync(packed)))
      assert.equal(packed.length > inputs.prose.length, level === 0)
    }
    for (const level of [-1, 10, 1.5]) await assert.rejects(kernels.gzip('', { level }), RangeError)
  })
})

describe('gunzip', () => {
  test('treats what follows a member as zlib.gunzipSync does', async () => {
    const [one, two] = [zlib.gzipSync('abc'), zlib.gzipSync('def')]
    const tails = {
      'another member': two,
      zeros: Buffer.alloc(10),
      'a zero and a member': Buffer.concat([Buffer.alloc(1), two]),
      'other bytes': Buffer.from('garbage trailing data'),
      'one byte': Buffer.from('g'),
      'half a magic number': Buffer.from([0x1f]),
      'a false magic number': Buffer.concat([Buffer.from([0x1f, 0x8b, 0xff, 0xff]), Buffer.alloc(50)]),
      'a truncated member': two.subarray(0, -6),
    }
    for (const [name, tail] of Object.entries(tails)) {
      const input = Buffer.concat([one, tail])
      let expected
      try {
        expected = zlib.gunzipSync(input)
      } catch {
        await assert.rejects(kernels.gunzip(input), { code: 'ERR_THREADMILL_CORRUPT_DATA' }, name)
        continue
      }
      assert.ok(expected.equals(await kernels.gunzip(input)), name)
    }
  })
})

describe('zstd', () => {
  test('has the levels of the reference implementation', async () => {
    for (const level of [-7, -1, 0, 1, 3, 10, 19]) {
      assert.ok(inputs.prose.equals(await kernels.unzstd(await kernels.zstd(inputs.prose, { level }))), `${level}`)
    }
    for (const level of [-8, 20, 0.5]) await assert.rejects(kernels.zstd('', { level }), RangeError)
  })

  test('reads frames one after the other, and goes over skippable ones', async () => {
    // RFC 8878: magic, single segment with one byte of size 3, last raw block of 3 bytes.
    const byHand = Buffer.from('28b52ffd2003190000616263', 'hex')
    assert.equal(Buffer.from(await kernels.unzstd(byHand)).toString(), 'abc')
    const skippable = Buffer.from('502a4d18020000000909', 'hex')
    const frames = Buffer.concat([byHand, skippable, await kernels.zstd('def')])
    assert.equal(Buffer.from(await kernels.unzstd(frames)).toString(), 'abcdef')
    const garbage = Buffer.concat([byHand, Buffer.from('garbage')])
    await assert.rejects(kernels.unzstd(garbage), { code: 'ERR_THREADMILL_CORRUPT_DATA' })
  })
})

describe('brotli', () => {
  test('has the qualities and windows of the format', async () => {
    const input = inputs.prose.subarray(0, 50_000)
    for (const quality of [0, 1, 4, 9, 10, 11]) {
      const packed = await kernels.brotli(input, { quality })
      assert.ok(input.equals(zlib.brotliDecompressSync(packed)), `${quality}`)
    }
    for (const lgwin of [10, 16, 24]) {
      assert.ok(input.equals(zlib.brotliDecompressSync(await kernels.brotli(input, { quality: 4, lgwin }))), `${lgwin}`)
    }
    await assert.rejects(kernels.brotli('', { quality: 12 }), RangeError)
    await assert.rejects(kernels.brotli('', { lgwin: 25 }), RangeError)
  })

  test('compresses best by default', async () => {
    const input = inputs.prose.subarray(0, 20_000)
    assert.deepEqual(await kernels.brotli(input), await kernels.brotli(input, { quality: 11, lgwin: 22 }))
  })

  test('ignores what follows the stream, as node:zlib does', async () => {
    const input = Buffer.concat([zlib.brotliCompressSync('hello'), Buffer.from('garbage')])
    assert.equal(zlib.brotliDecompressSync(input).toString(), 'hello')
    assert.equal(Buffer.from(await kernels.unbrotli(input)).toString(), 'hello')
  })
})

describe('lz4', () => {
  test('reads frames one after the other, and goes over skippable ones', async () => {
    // No checksums and no size; an empty block, one of three bytes as they are, the end mark.
    const byHand = Buffer.from('04224d18604082000000800300008061626300000000', 'hex')
    assert.equal(Buffer.from(await kernels.unlz4(byHand)).toString(), 'abc')
    const skippable = Buffer.from('5f2a4d18020000000909', 'hex')
    const frames = Buffer.concat([byHand, skippable, await kernels.lz4('def')])
    assert.equal(Buffer.from(await kernels.unlz4(frames)).toString(), 'abcdef')
    const garbage = Buffer.concat([byHand, Buffer.from('garbage')])
    await assert.rejects(kernels.unlz4(garbage), { code: 'ERR_THREADMILL_CORRUPT_DATA' })
  })

  test('finds a changed byte by the checksum of the contents', async () => {
    const packed = await kernels.lz4(inputs.noise)
    packed[packed.length >> 1] ^= 1
    await assert.rejects(kernels.unlz4(packed), { code: 'ERR_THREADMILL_CORRUPT_DATA' })
  })
})
