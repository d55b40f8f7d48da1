import assert from 'node:assert/strict'

function isPrime(number) {
  for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) return false
  return number > 1
}

test('counts the primes below 200000', () => {
  let count = 0
  for (let number = 0; number < 200_000; number++) if (isPrime(number)) count++
  assert.equal(count, 17_984)
})
