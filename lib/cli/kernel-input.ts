// Stage: before submit. Thread: main.
// Inputs and options of kernels from files and words, as their schemas say.
//
// The contents of a file are the whole input of most kernels. Of inputs that are objects they are the field that can only
// come from a file: a text, a list of strings by lines, or the path of the file itself; the other fields are given as
// options. Where there is no such field, the contents are the object, as JSON.

import { Buffer, isUtf8 } from 'node:buffer'
import type { KernelField, KernelInfo, KernelSchema } from '../..'
import { CliError } from './failure'

/** Options of the kernel, and fields of its input, from `key=value`. */
export interface GivenOptions {
  readonly options: Readonly<Record<string, unknown>>
  readonly fields: Readonly<Record<string, unknown>>
}

/** Reads `key=value`; ranges are left to the kernel. */
export function readOptions(info: KernelInfo, given: ReadonlyMap<string, string>): GivenOptions {
  const content = contentField(info)
  const inputFields = fieldsOf(info).filter((field) => field !== content)
  const options: Record<string, unknown> = {}
  const fields: Record<string, unknown> = {}
  for (const [name, text] of given) {
    const option = info.options.find((field) => field.name === name)
    const field = option ?? inputFields.find((candidate) => candidate.name === name)
    if (field === undefined) {
      const names = [...info.options, ...inputFields].map((known) => known.name).join(', ')
      throw new CliError(`${info.name} has no option '${name}'; it has ${names || 'none'}`)
    }
    Object.assign(option === undefined ? fields : options, { [name]: fromText(name, field.schema, text) })
  }
  return { options, fields }
}

/** Whether the fields that were given are all of the input. */
export function isWholeInput(info: KernelInfo, { fields }: GivenOptions): boolean {
  const all = fieldsOf(info)
  return all.length > 0 && all.every((field) => !field.required || Object.hasOwn(fields, field.name))
}

/** Whether the input names the file, so that nobody has to read it here. */
export function takesPath(info: KernelInfo): boolean {
  return contentField(info)?.name === 'path'
}

/** The input of a call. */
export function createInput(info: KernelInfo, { fields }: GivenOptions, contents: Buffer | string): unknown {
  const { input } = info
  if (typeof contents === 'string') return { ...fields, path: contents }
  if (input.type === 'bytes') return contents
  // Where a match is, is told in characters for texts, and in bytes for bytes.
  if (input.type === 'text') return info.group === 'text' ? toText(contents) : withoutLineEnd(info, contents)
  const field = contentField(info)
  if (field !== undefined) {
    const whole = info.group === 'text' ? contents : withoutLineEnd(info, contents)
    return { ...fields, [field.name]: field.schema.type === 'list' ? toLines(whole) : toText(whole) }
  }
  const value = fromJson('the input', input, parseJson(contents))
  return input.type === 'object' ? { ...(value as object), ...fields } : value
}

function fieldsOf({ input }: KernelInfo): readonly KernelField[] {
  return input.type === 'object' ? input.fields : []
}

function contentField(info: KernelInfo): KernelField | undefined {
  const fields = fieldsOf(info)
  return (
    fields.find(({ name, schema }) => name === 'path' && schema.type === 'string') ??
    fields.find(({ schema }) => schema.type === 'text') ??
    fields.find(({ schema }) => schema.type === 'list' && schema.items.type === 'string')
  )
}

const LINE_END = /\r?\n$/

/** What an editor or `echo` puts behind a password does not belong to it. */
function withoutLineEnd({ group }: KernelInfo, contents: Buffer): Buffer {
  if (group !== 'password') return contents
  const end = LINE_END.exec(contents.subarray(-2).toString('latin1'))
  return contents.subarray(0, contents.length - (end?.[0].length ?? 0))
}

function toText(contents: Buffer): string {
  if (!isUtf8(contents)) throw new TypeError('the input is not UTF-8')
  return contents.toString()
}

function toLines(contents: Buffer): string[] {
  const text = toText(contents).replace(LINE_END, '')
  return text === '' ? [] : text.split(/\r?\n/)
}

function parseJson(contents: Buffer): unknown {
  try {
    return JSON.parse(toText(contents))
  } catch (error) {
    throw new TypeError(`the input is not JSON: ${(error as Error).message}`)
  }
}

/** JSON has no typed arrays: numbers in a list stand for one, of the widest kind. */
function fromJson(name: string, schema: KernelSchema, value: unknown): unknown {
  switch (schema.type) {
    case 'typedArray':
      if (!Array.isArray(value) || value.some((item) => typeof item !== 'number')) {
        throw new TypeError(`${name} must be a list of numbers`)
      }
      return schema.kinds.includes('Float64Array') ? Float64Array.from(value) : Float32Array.from(value)
    case 'object': {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new TypeError(`${name} must be an object`)
      }
      const fields = new Map(schema.fields.map((field) => [field.name, field.schema]))
      return Object.fromEntries(
        Object.entries(value).map(([key, member]) => {
          const known = fields.get(key)
          return [key, known === undefined ? member : fromJson(`${name}.${key}`, known, member)]
        }),
      )
    }
    case 'bytes':
      return typeof value === 'string' ? Buffer.from(value) : value
    default:
      return value
  }
}

function fromText(name: string, schema: KernelSchema, text: string): unknown {
  const refuse = (expectation: string) => new CliError(`option '${name}' must be ${expectation}; got '${text}'`)
  switch (schema.type) {
    case 'number': {
      const value = Number(text)
      if (text.trim() === '' || Number.isNaN(value)) throw refuse('a number')
      return value
    }
    case 'boolean':
      if (text !== 'true' && text !== 'false') throw refuse('true or false')
      return text === 'true'
    case 'oneOf':
      if (!schema.values.includes(text)) throw refuse(schema.values.map((value) => `'${value}'`).join(' or '))
      return text
    case 'bytes':
      return Buffer.from(text)
    case 'string':
    case 'text':
      return text
    default: {
      let value: unknown
      try {
        value = JSON.parse(text.startsWith('[') || schema.type === 'object' ? text : `[${text}]`)
      } catch {
        throw refuse(schema.type === 'object' ? 'JSON' : 'a list, such as 1,2,3')
      }
      return fromJson(`option '${name}'`, schema, value)
    }
  }
}
