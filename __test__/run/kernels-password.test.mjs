// The password kernels through the public API, against hashes that the reference implementations published.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { until } from '../helpers/pool.mjs'

const pool = new WorkerPool()
after(() => pool.close())
const { kernels } = pool

const small = { memoryCost: 64, timeCost: 1 }
const salt = new TextEncoder().encode('somesalt')

describe('argon2', () => {
  // test.c of phc-winner-argon2, the reference implementation.
  const published = [
    '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc',
    '$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8',
    '$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY',
  ]

  test('published hashes verify', async () => {
    for (const hash of published) {
      assert.equal(await kernels.argon2Verify({ password: 'password', hash }), true, hash)
      assert.equal(await kernels.argon2Verify({ password: 'Password', hash }), false, hash)
    }
  })

  test('published hashes are made again from their salt', async () => {
    const first = { memoryCost: 65_536, timeCost: 2, parallelism: 1, salt }
    assert.equal(await kernels.argon2Hash('password', first), published[0])
    const second = { memoryCost: 256, timeCost: 2, parallelism: 2, salt: salt.buffer }
    assert.equal(await kernels.argon2Hash('password', second), published[1])
  })

  test('hashes have the documented defaults and a random salt', async () => {
    const [one, two] = await Promise.all([kernels.argon2Hash('x'), kernels.argon2Hash('x')])
    assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    assert.notEqual(one, two)
    assert.equal(await kernels.argon2Verify({ password: 'x', hash: one }), true)
    assert.equal(await kernels.argon2Verify({ password: 'X', hash: one }), false)
  })

  test('a password is a string or its UTF-8 bytes, also in shared memory', async () => {
    const text = 'Grüße 世界'
    const bytes = new TextEncoder().encode(text)
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
    shared.set(bytes)
    const hash = await kernels.argon2Hash(text, { ...small, salt })
    assert.equal(await kernels.argon2Hash(bytes, { ...small, salt }), hash)
    assert.equal(await kernels.argon2Hash(shared, { ...small, salt }), hash)
    assert.equal(await kernels.argon2Verify({ password: shared, hash }), true)
    const empty = await kernels.argon2Hash('', small)
    assert.equal(await kernels.argon2Verify({ password: '', hash: empty }), true)
  })

  test('hashLength sets the bytes of the output', async () => {
    for (const hashLength of [10, 32, 64]) {
      const hash = await kernels.argon2Hash('x', { ...small, hashLength })
      assert.equal(Buffer.from(hash.split('$').at(-1), 'base64').length, hashLength)
      assert.equal(await kernels.argon2Verify({ password: 'x', hash }), true)
    }
  })

  test('options outside their range are rejected', async () => {
    const bad = [
      { memoryCost: 7 },
      { memoryCost: 2 ** 22 + 1 },
      { memoryCost: 15, parallelism: 2 },
      { timeCost: 0 },
      { timeCost: 1.5 },
      { parallelism: 0 },
      { hashLength: 9 },
      { hashLength: 65 },
    ]
    for (const options of bad) {
      await assert.rejects(
        kernels.argon2Hash('x', options),
        { code: 'ERR_THREADMILL_OUT_OF_RANGE' },
        JSON.stringify(options),
      )
    }
    for (const length of [0, 7, 49]) {
      const options = { ...small, salt: new Uint8Array(length) }
      await assert.rejects(kernels.argon2Hash('x', options), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' }, `${length}`)
    }
  })

  test('strings that are no hash are rejected, and so are costs that nobody should pay', async () => {
    const digest = published[2].split('$').at(-1)
    const bad = [
      '',
      'x',
      '$2b$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234',
      '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ',
      `$argon2id$v=20$m=256,t=2,p=1$c29tZXNhbHQ$${digest}`,
      `$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$${digest}`,
      `$argon2id$v=19$m=256,t=70000,p=1$c29tZXNhbHQ$${digest}`,
    ]
    for (const hash of bad) {
      await assert.rejects(kernels.argon2Verify({ password: 'x', hash }), { code: 'ERR_THREADMILL_INVALID_HASH' }, hash)
    }
  })
})

describe('bcrypt', () => {
  // From the tests of jBCrypt and of crypt_blowfish.
  const published = [
    ['', '$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.'],
    ['a', '$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe'],
    ['abc', '$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i'],
    ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
    [Uint8Array.of(0xa3), '$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq'],
  ]

  test('published hashes verify', async () => {
    for (const [password, hash] of published) {
      assert.equal(await kernels.bcryptVerify({ password, hash }), true, hash)
      assert.equal(await kernels.bcryptVerify({ password: 'other', hash }), false, hash)
    }
  })

  test('hashes verify, have the cost that was asked for, and a random salt', async () => {
    for (const cost of [4, 6]) {
      const [one, two] = await Promise.all([kernels.bcryptHash('pass', { cost }), kernels.bcryptHash('pass', { cost })])
      assert.match(one, new RegExp(`^\\$2b\\$0${cost}\\$[./A-Za-z0-9]{53}$`))
      assert.notEqual(one, two)
      assert.equal(await kernels.bcryptVerify({ password: 'pass', hash: one }), true)
      assert.equal(await kernels.bcryptVerify({ password: 'Pass', hash: one }), false)
    }
    assert.match(await kernels.bcryptHash('pass'), /^\$2b\$12\$/)
  })

  test('a password has 72 bytes at most', async () => {
    const longest = 'ü'.repeat(36)
    const hash = await kernels.bcryptHash(longest, { cost: 4 })
    assert.equal(await kernels.bcryptVerify({ password: longest, hash }), true)
    const refused = { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' }
    await assert.rejects(kernels.bcryptHash(`${longest}x`, { cost: 4 }), refused)
    await assert.rejects(kernels.bcryptVerify({ password: `${longest}x`, hash }), refused)
  })

  test('costs outside 4 to 31 are rejected', async () => {
    for (const cost of [3, 32, 4.5]) await assert.rejects(kernels.bcryptHash('x', { cost }), RangeError)
  })

  test('strings that are no hash are rejected', async () => {
    const digits = published[0][1].slice(7)
    for (const hash of ['', 'x', `$2x$06$${digits}`, `$2b$32$${digits}`, `$2b$6$${digits}`, `$2b$06$${digits}.`]) {
      await assert.rejects(kernels.bcryptVerify({ password: '', hash }), { code: 'ERR_THREADMILL_INVALID_HASH' }, hash)
    }
  })

  test('a cost that takes a day is cancelled between rounds', async () => {
    const reason = new Error('enough')
    const single = new WorkerPool({ threads: 1 })
    try {
      const task = single.addTask('x', { kernel: 'bcryptHash', cost: 31 })
      await until(() => task.worker !== undefined)
      task.cancel(reason)
      await assert.rejects(Promise.resolve(task), (error) => error === reason)
      // The only worker is free again, or this would never be answered.
      assert.equal(await single.kernels.crc32('123456789'), 0xcbf43926)
    } finally {
      await single.close()
    }
  })

  test('inputs of another shape are rejected', async () => {
    for (const input of [undefined, 'x', {}, { password: 'x' }, { hash: 'x' }, { password: 1, hash: 'x' }]) {
      await assert.rejects(kernels.bcryptVerify(input), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
      await assert.rejects(kernels.argon2Verify(input), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
    }
  })
})

test('no message contains what was given', async () => {
  const secret = 'hunter2-5ecret'
  const calls = [
    () => kernels.argon2Hash({ password: secret }),
    () => kernels.argon2Hash([secret]),
    () => kernels.argon2Verify(secret),
    () => kernels.argon2Verify({ password: 'x', hash: [secret] }),
    () => kernels.bcryptVerify('x', secret),
    () => kernels.bcryptVerify({ password: secret }),
    () => kernels.bcryptHash(secret, { cost: secret }),
    () => pool.run({ [secret]: secret }, { kernel: 'argon2Hash' }),
  ]
  for (const call of calls) {
    const error = await (async () => call())().catch((reason) => reason)
    assert.equal(error.code, 'ERR_THREADMILL_INVALID_ARG_TYPE')
    assert.doesNotMatch(`${error.stack} ${error.message}`, new RegExp(secret))
  }
  // Only theirs are silent.
  await assert.rejects(async () => kernels.crc32({ shown: 1 }), /got \{ shown: 1 \}/)
})
