// Stage: submit. Thread: any that submits.
// `pool.kernels` and `client.kernels`: one method per kernel of this build.

import type { Kernels } from '..'
import { builtins } from './builtins'
import { type Kernel, kernelAt, kernelNumbers } from './kernels'
import { rejected } from './promise'

const { assign, freeze } = builtins

type KernelMethod = (input: unknown, options?: object) => Promise<unknown>

/** How calls get in. */
export interface KernelCaller {
  submit(kernel: Kernel, input: unknown, options: object | undefined): Promise<unknown>
  /** As `submit` without options, for a number that needs no check. */
  submitPlain(kernel: Kernel, input: number): Promise<unknown>
}

/** The methods; own keys are their names. `caller` gives what is submitted to. */
export function kernelMethods(caller: () => KernelCaller): Kernels {
  const methods: Record<string, KernelMethod> = {}
  kernelNumbers().forEach((number, name) => {
    let kernel: Kernel | undefined
    // The computed key gives the function its name for stack traces.
    const named: Record<string, KernelMethod> = {
      [name]: (input, options) => {
        try {
          kernel ??= kernelAt(number)
          return options === undefined && typeof input === 'number' && kernel.takesAnyNumber
            ? caller().submitPlain(kernel, input)
            : caller().submit(kernel, input, options)
        } catch (error) {
          return rejected(error)
        }
      },
    }
    assign(methods, named)
  })
  return freeze(methods) as unknown as Kernels
}
