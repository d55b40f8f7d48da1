// The tests of what moves, where the addon does not move memory itself: as on other platforms and runtimes.
process.env.THREADMILL_MOVES = 'off'
await import('./moves.test.mjs')
await import('./posted.test.mjs')
await import('./ahead.test.mjs')
