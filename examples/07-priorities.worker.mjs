// Entry module of 07-priorities.mjs: waits for the gate, or does as if it worked.

import { workerData as gate } from 'node:worker_threads'

export function workerEntrypoint({ hold, name, cost = 0 }) {
  if (hold) Atomics.wait(gate, 0, 0)
  const end = performance.now() + cost
  while (performance.now() < end);
  return name
}
