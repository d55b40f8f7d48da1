// Entry module of 03-affinity.mjs: every worker has a cache of its own.

const cache = new Map()

export function workerEntrypoint(key, client) {
  const loaded = !cache.has(key)
  // Stands for what is worth keeping: a parsed file, a compiled grammar, a connection.
  if (loaded) cache.set(key, `everything about ${key}`)
  return { key, loaded, worker: client.id }
}
