// Stage: submit. Thread: owner env.
// What the kernels of this build take and give, as the binding tells it.

import type { KernelInfo, KernelSchema } from '..'
import { ThreadmillError, wrongType } from './errors'
import { native } from './native'
import { own } from './options'

/** A kernel with its schema prepared for checking. */
export interface Kernel {
  /** Number in the binding. */
  readonly index: number
  readonly info: KernelInfo
  readonly options: ReadonlyMap<string, KernelSchema>
  readonly requiredOptions: readonly string[]
  /** Whether every number is a complete and valid input. */
  readonly takesAnyNumber: boolean
}

function takesAnyNumber({ input, options }: KernelInfo): boolean {
  const isFree = input.type === 'number' && input.min === null && input.max === null && !input.integer
  return isFree && !options.some((field) => field.required)
}

let registry: ReadonlyMap<string, Kernel> | undefined

/** All kernels by name; read from the binding on first use. */
export function kernelRegistry(): ReadonlyMap<string, Kernel> {
  if (registry === undefined) {
    const infos = JSON.parse(native.kernels()) as KernelInfo[]
    registry = new Map(
      infos.map((info, index) => [
        info.name,
        {
          index,
          info,
          options: new Map(info.options.map((field) => [field.name, field.schema])),
          requiredOptions: info.options.filter((field) => field.required).map((field) => field.name),
          takesAnyNumber: takesAnyNumber(info),
        },
      ]),
    )
  }
  return registry
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) if (typeof member === 'object' && member !== null) deepFreeze(member)
  return Object.freeze(value)
}

/** Describes a kernel; `undefined` for a name that this build does not have. */
export function kernelInfo(name: string): KernelInfo | undefined {
  if (typeof name !== 'string') throw wrongType('name', 'a string', name)
  const info = kernelRegistry().get(name)?.info
  // Frozen when it is first handed out, which most programs never ask for.
  return info === undefined || Object.isFrozen(info) ? info : deepFreeze(info)
}

/** The kernel called `name`. */
export function findKernel(name: unknown): Kernel {
  if (typeof name !== 'string') throw wrongType('options.kernel', 'the name of a kernel', name)
  const kernel = kernelRegistry().get(name)
  if (kernel === undefined) {
    const known = [...kernelRegistry().keys()].join(', ')
    throw new ThreadmillError('ERR_THREADMILL_UNKNOWN_KERNEL', `no kernel is called '${name}'; there are ${known}`)
  }
  return kernel
}

/** The kernel that the options of a call name. */
export function kernelOf(options: unknown): Kernel {
  if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object with a kernel', options)
  return findKernel(own(options, 'kernel'))
}
