// Stage: all. Thread: main.
// `threadmill kernels`: what the kernels of this build take and give.

import process from 'node:process'
import type { KernelField, KernelInfo, KernelSchema } from '../..'
import { kernelAt, kernelNumbers } from '../kernels'
import { headings } from './terminal'

/** Prints them, by group. */
export function listKernels({ json }: { readonly json?: boolean }): void {
  const kernels = [...kernelNumbers().values()].map((number) => kernelAt(number).info)
  process.stdout.write(json ? `${JSON.stringify(kernels)}\n` : toTable(kernels, headings()))
}

/** One line for each kernel, and one for each option. */
export function toTable(kernels: readonly KernelInfo[], heading: (text: string) => string): string {
  const width = Math.max(...kernels.map(({ name }) => name.length)) + 2
  const blocks: string[] = []
  for (const group of new Set(kernels.map((kernel) => kernel.group))) {
    const lines = [heading(group)]
    for (const { name, summary, input, options, output } of kernels.filter((kernel) => kernel.group === group)) {
      lines.push(`  ${name.padEnd(width)}${summary.replace(/\.$/, '')}`)
      const indent = ' '.repeat(width + 2)
      lines.push(`${indent}${schemaText(input)} -> ${output}`)
      for (const option of options) lines.push(`${indent}--option ${option.name}=${schemaText(option.schema)}`)
    }
    blocks.push(lines.join('\n'))
  }
  return `${blocks.join('\n\n')}\n`
}

function schemaText(schema: KernelSchema): string {
  switch (schema.type) {
    case 'number':
      return numberText(schema)
    case 'text':
      return 'text or bytes'
    case 'typedArray':
      return schema.kinds.length > 3 ? 'typed array' : schema.kinds.join(' | ')
    case 'oneOf':
      return schema.values.join(' | ')
    case 'list':
      return `list of ${schemaText(schema.items)}`
    case 'object':
      return `{ ${schema.fields.map(fieldText).join(', ')} }`
    default:
      return schema.type
  }
}

function fieldText({ name, schema, required }: KernelField): string {
  return `${name}${required ? '' : '?'}: ${schemaText(schema)}`
}

/** Bounds that are those of the type say nothing. */
function numberText({ min, max, integer }: Extract<KernelSchema, { readonly type: 'number' }>): string {
  const kind = integer ? 'whole number' : 'number'
  const shown = (bound: number | null) => bound !== null && Math.abs(bound) < Number.MAX_SAFE_INTEGER
  const from = shown(min) && (min === 0 || Math.abs(min ?? 0) > 1e-300) ? ` from ${min}` : ''
  return `${kind}${from}${shown(max) ? ` to ${max}` : ''}`
}
