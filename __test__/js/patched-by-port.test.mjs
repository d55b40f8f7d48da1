// The tests of patched.test.mjs where the engine's serializer cannot be called, but only Node's classes around it.
import process from 'node:process'

process.env.THREADMILL_MOVES = 'off'
await import('./patched.test.mjs')
