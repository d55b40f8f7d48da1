// Inputs that are the same in every run.

/** Numbers from 0 to below 1 by mulberry32. */
export function random(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Random numbers, 8 bytes each. */
export function floats(length, seed = 1) {
  const next = random(seed)
  return Float64Array.from({ length }, next)
}

/** Random bytes; nothing can compress them. */
export function bytes(length, seed = 2) {
  const next = random(seed)
  const out = new Uint8Array(length)
  for (let i = 0; i < length; i++) out[i] = next() * 256
  return out
}

const WORDS = 'pool worker thread task kernel queue steal park wake settle promise buffer transfer share clone'.split(
  ' ',
)

/** Text of words, about as compressible as prose. */
export function text(length, seed = 3) {
  const next = random(seed)
  let out = ''
  while (out.length < length) out += `${WORDS[Math.floor(next() * WORDS.length)]}${Math.floor(next() * 100)} `
  return out.slice(0, length)
}

/** Rows of a number, a word and a fraction, with a header. */
export function csv(rows, seed = 4) {
  const next = random(seed)
  const lines = ['id,word,value']
  for (let i = 0; i < rows; i++) lines.push(`${i},${WORDS[Math.floor(next() * WORDS.length)]},${next().toFixed(6)}`)
  return `${lines.join('\n')}\n`
}

/** Paths of files, to search in. */
export function paths(count, seed = 5) {
  const next = random(seed)
  const word = () => WORDS[Math.floor(next() * WORDS.length)]
  return Array.from({ length: count }, (_, index) => `src/${word()}/${word()}-${word()}-${index}.ts`)
}
