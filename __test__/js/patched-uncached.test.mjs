// The tests of patched.test.mjs where workers are given no code, and so read it themselves.
import process from 'node:process'

process.env.THREADMILL_CODE_CACHE = 'off'
await import('./patched.test.mjs')
