// Stage: submit. Thread: owner env.
// What the kernels of this build take and give, as the binding tells it.

import type { KernelInfo, KernelSchema } from '..'
import { builtins } from './builtins'
import { OwnMap } from './collections'
import { ThreadmillError, wrongType } from './errors'
import { native } from './native-owner'
import { isObject, own } from './options'
import { uses } from './packs'

const { parse } = builtins

/** A kernel with its schema prepared for checking. */
export interface Kernel {
  /** Number in the binding. */
  readonly index: number
  readonly info: KernelInfo
  readonly options: ReadonlyMap<string, KernelSchema>
  readonly requiredOptions: readonly string[]
  /** Whether every number is a complete and valid input. */
  readonly takesAnyNumber: boolean
  /** Whether its input and its options are shown in no message. */
  readonly isSecret: boolean
}

function takesAnyNumber({ input, options }: KernelInfo): boolean {
  const isFree = input.type === 'number' && input.min === null && input.max === null && !input.integer
  for (const field of options) if (field.required) return false
  return isFree
}

let numbers: ReadonlyMap<string, number> | undefined
/** Those that have been asked for, by number. */
const kernels: Kernel[] = []

/** The number of each kernel, by name. */
export function kernelNumbers(): ReadonlyMap<string, number> {
  if (numbers === undefined) {
    uses('kernels')
    const made = new OwnMap<string, number>()
    const names = native.kernels()
    for (let number = 0; number < names.length; number++) made.set(names[number] as string, number)
    numbers = made
  }
  return numbers
}

/** The kernel with that number; read from the binding when it is first asked for. */
export function kernelAt(number: number): Kernel {
  kernels[number] ??= readKernel(number)
  return kernels[number]
}

function readKernel(index: number): Kernel {
  const info = parse(native.kernel(index)) as KernelInfo
  const options = new OwnMap<string, KernelSchema>()
  const requiredOptions: string[] = []
  for (const { name, required, schema } of info.options) {
    options.set(name, schema)
    if (required) requiredOptions[requiredOptions.length] = name
  }
  return {
    index,
    info,
    options,
    requiredOptions,
    takesAnyNumber: takesAnyNumber(info),
    isSecret: info.group === 'password',
  }
}

/** The kernel called `name`, if there is one. */
export function kernelNamed(name: string): Kernel | undefined {
  const number = kernelNumbers().get(name)
  return number === undefined ? undefined : kernelAt(number)
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) if (typeof member === 'object' && member !== null) deepFreeze(member)
  return Object.freeze(value)
}

/** Describes a kernel; `undefined` for a name that this build does not have. */
export function kernelInfo(name: string): KernelInfo | undefined {
  if (typeof name !== 'string') throw wrongType('name', 'a string', name)
  const info = kernelNamed(name)?.info
  // Frozen when it is first handed out, which most programs never ask for.
  return info === undefined || Object.isFrozen(info) ? info : deepFreeze(info)
}

/** The kernel called `name`. */
export function findKernel(name: unknown): Kernel {
  if (typeof name !== 'string') throw wrongType('options.kernel', 'the name of a kernel', name)
  const kernel = kernelNamed(name)
  if (kernel === undefined) {
    let known = ''
    kernelNumbers().forEach((_, other) => {
      known += `${known === '' ? '' : ', '}${other}`
    })
    throw new ThreadmillError('ERR_THREADMILL_UNKNOWN_KERNEL', `no kernel is called '${name}'; there are ${known}`)
  }
  return kernel
}

/** The kernel that the options of a call name. */
export function kernelOf(options: unknown): Kernel {
  if (!isObject(options)) throw wrongType('options', 'an object with a kernel, as this pool has no module', options)
  return findKernel(own(options, 'kernel'))
}
