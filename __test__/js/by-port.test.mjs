// The tests of what moves, where the addon does not move memory itself, nor calls the engine's serializer: as on other
// platforms and runtimes.
process.env.THREADMILL_MOVES = 'off'
await import('./moves.test.mjs')
await import('./groups.test.mjs')
await import('./posted.test.mjs')
await import('./ahead.test.mjs')
await import('./clone.test.mjs')
await import('../sharing/passes.test.mjs')
await import('../payload/codec.test.mjs')
await import('../payload/instances.test.mjs')
