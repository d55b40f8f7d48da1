// Compiled, never loaded: the implementation satisfies the contract in dashboard.d.ts.

import type * as contract from '../../dashboard'
import type * as implementation from './index'
import type { DashboardServer } from './serve'
import type { snapshot } from './snapshot'

type Satisfies<Contract, _Implementation extends Contract> = true

/** Every export of the contract exists with a fitting type. */
export type ExportsMatch = Satisfies<
  { [Name in keyof typeof contract]: (typeof contract)[Name] },
  typeof implementation
>

/** Every public member exists with a fitting type. */
export type DashboardMatches = Satisfies<contract.Dashboard, DashboardServer>

/** What is sent is what the contract says. */
export type DataMatches = Satisfies<contract.DashboardData, ReturnType<typeof snapshot>>
