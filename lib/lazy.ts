// Stage: all. Thread: any.
// Modules that only pools with an entry module need: loading them takes about as long as all the others together, so they
// are loaded with the first such pool.

let loaded: typeof import('./lane-parts') | undefined

/** What a JS lane is made of. */
export function laneParts(): typeof import('./lane-parts') {
  loaded ??= require('./lane-parts') as typeof import('./lane-parts')
  return loaded
}
