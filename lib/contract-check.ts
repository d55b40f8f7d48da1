// Compiled, never loaded: the implementation satisfies the contract in index.d.ts.

import type * as contract from '..'
import type * as functionContract from '../function'
import type * as metricsContract from '../metrics'
import type * as implementation from './index'
import type * as metrics from './metrics/index'

type Satisfies<Contract, _Implementation extends Contract> = true

/** Every export of the contract exists with a fitting type; see function/contract-check.ts for those that come from there. */
export type ExportsMatch = Satisfies<
  { [Name in Exclude<keyof typeof contract, 'WorkerPool' | keyof typeof functionContract>]: (typeof contract)[Name] },
  typeof implementation
>

/** Every public member of the pool exists with a fitting type. */
export type PoolMatches = Satisfies<contract.WorkerPool, implementation.WorkerPool>

/** The same for threadmill/metrics. */
export type MetricsMatch = Satisfies<typeof metricsContract, typeof metrics>
