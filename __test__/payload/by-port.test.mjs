// How values are written and read where the engine's functions cannot be called (see also js/by-port.test.mjs).
import process from 'node:process'

process.env.THREADMILL_MOVES = 'off'
for (const name of ['alone', 'errors', 'flat', 'reason', 'texts']) await import(`./${name}.test.mjs`)
