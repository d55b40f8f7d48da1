// What Node itself runs on the threads of libuv.
import { createHash, webcrypto } from 'node:crypto'
import { promisify } from 'node:util'
import zlib from 'node:zlib'

const gzip = promisify(zlib.gzip)
const gunzip = promisify(zlib.gunzip)
const brotliCompress = promisify(zlib.brotliCompress)

export const CRYPTO = 'node:crypto, async'
export const CRYPTO_SYNC = 'node:crypto, on the main thread'
export const ZLIB = 'node:zlib, async'

export const node = {
  /** On the threads of libuv, like everything of `subtle`; it copies its input. */
  sha256: async (bytes) => Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex'),
  sha256Sync: (bytes) => createHash('sha256').update(bytes).digest('hex'),
  gzip: (bytes, level) => gzip(bytes, { level }),
  gunzip: (bytes) => gunzip(bytes),
  brotli: (bytes, quality) => brotliCompress(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: quality } }),
}
