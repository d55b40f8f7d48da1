// Entry module of 02-messages.mjs: adds up the series of Nilakantha and tells how far it is.

const TERMS_PER_STEP = 3

let digits = 2
let tasks = 0

export function workerEntrypoint(steps, client) {
  tasks++
  let sum = 3
  for (let step = 1; step <= steps; step++) {
    const last = step * TERMS_PER_STEP
    for (let term = last - TERMS_PER_STEP + 1; term <= last; term++) {
      const even = 2 * term
      sum += (term % 2 === 1 ? 4 : -4) / (even * (even + 1) * (even + 2))
    }
    client.postMessageToPool('step', { step, estimate: sum.toFixed(digits) })
  }
  return sum.toFixed(digits)
}

workerEntrypoint.onWorkerStart = (client) => {
  client.onMessage('settings', (settings) => {
    digits = settings.digits
  })
}

workerEntrypoint.onWorkerExit = (client) => {
  client.postMessageToPool('goodbye', tasks)
}
