// A module with state and functions that take a while. Nothing in it knows of threads.

/** Calls of `add` so far. */
export let state = 0

export const getState = () => state

export function add(a, b) {
  state++
  return a + b
}

/** Fibonacci numbers, 1 for every n up to 2, the slow way. */
export function fib(n) {
  return n <= 2 ? 1 : fib(n - 1) + fib(n - 2)
}

/** As `fib`, but every number is the sum of three: 0, 1, 0, 1, 2, 3 from n = 0 on. */
export function tribonacci(n) {
  return n <= 1 ? n : tribonacci(n - 1) + tribonacci(n - 2) + tribonacci(n - 3)
}

export function factorial(n) {
  return n <= 1 ? 1 : n * factorial(n - 1)
}

export function isPrime(n) {
  if (n < 2) return false
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false
  return true
}

export function getRandomFromArray(array) {
  return array[Math.floor(Math.random() * array.length)]
}

/** That many random primes below `maximum`; the same one may come twice. */
export function generatePrimes(quota, maximum = 1_000_000) {
  const primes = findPrimesUpTo(maximum - 1)
  return Array.from({ length: quota }, () => getRandomFromArray(primes))
}

/** All primes up to n, ascending, by the sieve of Eratosthenes. */
export function findPrimesUpTo(n) {
  const isComposite = new Uint8Array(Math.max(n, 0) + 1)
  const primes = []
  for (let number = 2; number <= n; number++) {
    if (isComposite[number] === 1) continue
    primes.push(number)
    for (let multiple = number * number; multiple <= n; multiple += number) isComposite[multiple] = 1
  }
  return primes
}

/** Pi by the series of Nilakantha, to that many decimals as far as a double has them. */
export function estimatePi(decimals) {
  const limit = 10 ** -(decimals + 1)
  let [pi, sign] = [3, 1]
  for (let k = 2; ; k += 2) {
    const term = 4 / (k * (k + 1) * (k + 2))
    if (term <= limit) return Number(pi.toFixed(decimals))
    pi += sign * term
    sign = -sign
  }
}
