// Compiled, never loaded: the implementation satisfies the contract in function.d.ts.

import type * as contract from '../../function'
import type * as implementation from './index'
import type * as lazily from './lazily'

type Satisfies<Contract, _Implementation extends Contract> = true

type Classes = 'FunctionPool' | 'FunctionThread' | 'TaskPool'
type Plain = { [Name in Exclude<keyof typeof contract, Classes>]: (typeof contract)[Name] }

/** Every export of the contract exists with a fitting type. */
export type ExportsMatch = Satisfies<Plain & Record<Classes, unknown>, typeof implementation>

/** Every one is an export of the package too. */
export type LazyExportsMatch = Satisfies<{ [Name in keyof typeof implementation]: unknown }, typeof lazily>

/** Every public member exists with a fitting type. */
export type TaskPoolMatches = Satisfies<contract.TaskPool, implementation.TaskPool>
export type FunctionThreadMatches = Satisfies<
  Omit<contract.FunctionThread, 'on' | 'once'>,
  implementation.FunctionThread
>
export type FunctionPoolMatches = Satisfies<Omit<contract.FunctionPool, 'on' | 'once'>, implementation.FunctionPool>
