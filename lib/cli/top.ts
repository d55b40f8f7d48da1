// Stage: all. Thread: main.
// `threadmill top`: looks at the pools of a process that serves a dashboard, again and again.
//
// It asks for `{url}/stats` and gets `{ pools: [{ name, stats, running }] }`. The token of the URL is sent in a header, so that
// no log of requests has it.

import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import http from 'node:http'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { CliError, EXIT_FAILED } from './failure'
import { display } from './file-path'
import { headings, onInterrupt } from './terminal'
import { isSnapshot, type Snapshot, snapshotText } from './top-text'

/** As commander gives them. */
export interface TopOptions {
  /** Seconds. */
  readonly interval: number
  readonly once?: boolean
}

/** Milliseconds for an answer. */
const PATIENCE = 5000
/** Most bytes of one. */
const MOST = 2 ** 26

/** What a header can hold of a token. */
const TOKEN = /^[\x21-\x7e]+$/

const HOME_AND_CLEAR = '\u001b[H\u001b[J'
const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'

/** Runs the command; gives its exit code. */
export async function top(url: string, { interval, once: isOnce }: TopOptions): Promise<number> {
  const dashboard = dashboardOf(url)
  const heading = headings()
  if (isOnce) {
    process.stdout.write(snapshotText(await snapshot(dashboard), heading))
    return 0
  }
  const isScreen = process.stdout.isTTY === true && process.env.TERM !== 'dumb'
  const interruption = new AbortController()
  const { signal } = interruption
  let exitCode = 0
  const stopListening = onInterrupt((code) => {
    exitCode = code
    interruption.abort()
  })
  const showCursor = () => process.stdout.write(SHOW_CURSOR)
  if (isScreen) process.once('exit', showCursor)
  try {
    for (let looks = 0; !signal.aborted; looks++) {
      const text = snapshotText(await snapshot(dashboard, signal), heading)
      if (isScreen) process.stdout.write(`${HIDE_CURSOR}${HOME_AND_CLEAR}${fitted(text, process.stdout)}`)
      else process.stdout.write(looks === 0 ? text : `\n${text}`)
      await sleep(interval * 1000, undefined, { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    stopListening()
    if (isScreen) {
      process.off('exit', showCursor)
      showCursor()
    }
  }
  return exitCode
}

/** What fits the screen; the rest would scroll it away. */
function fitted(text: string, { columns, rows }: NodeJS.WriteStream): string {
  const lines = text.trimEnd().split('\n')
  const shown = rows > 1 && lines.length >= rows ? [...lines.slice(0, rows - 2), '...'] : lines
  // Bold headings are longer than they look; they are short all the same.
  return `${shown.map((line) => (columns > 0 && !line.includes('\u001b') ? line.slice(0, columns) : line)).join('\n')}\n`
}

/** What is asked. */
interface Dashboard {
  readonly address: URL
  readonly headers: http.OutgoingHttpHeaders
}

function dashboardOf(url: string): Dashboard {
  let address: URL
  try {
    address = new URL(/^[\w.-]+:\d+(?:[/?]|$)/.test(url) ? `http://${url}` : url)
  } catch {
    throw new CliError(`not a URL: ${display(url)}`)
  }
  if (address.protocol !== 'http:' && address.protocol !== 'https:') {
    throw new CliError(`the URL must begin with http: or https:; got ${display(url)}`)
  }
  address.pathname = `${address.pathname.replace(/\/$/, '')}/stats`
  address.hash = ''
  const token = address.searchParams.get('token')
  address.searchParams.delete('token')
  return { address, headers: { accept: 'application/json', ...(token ? { authorization: bearer(token) } : {}) } }
}

function bearer(token: string): string {
  if (!TOKEN.test(token)) throw new CliError('the token has characters that no token has')
  return `Bearer ${token}`
}

async function snapshot({ address, headers }: Dashboard, signal?: AbortSignal): Promise<Snapshot> {
  const place = `${address.protocol}//${address.host}`
  const fail = (what: string) => new CliError(`${place}: ${display(what)}`, EXIT_FAILED)
  let value: unknown
  try {
    const limit = AbortSignal.timeout(PATIENCE)
    const { status, body } = await get(
      address,
      headers,
      signal === undefined ? limit : AbortSignal.any([signal, limit]),
    )
    if (status === 401 || status === 403) throw fail('the token is missing or wrong')
    if (status !== 200) throw fail(`answered with status ${status}`)
    value = JSON.parse(body)
  } catch (error) {
    if (error instanceof CliError || signal?.aborted) throw error
    if (error instanceof SyntaxError) throw fail('answered with something else than JSON')
    throw fail(reasonOf(error))
  }
  if (!isSnapshot(value)) throw fail('answered with something else than figures of pools')
  return value
}

function reasonOf(error: unknown): string {
  const { name, code, message } = error as { name?: string; code?: string; message?: string }
  if (name === 'AbortError' || name === 'TimeoutError') return `no answer within ${PATIENCE / 1000} s`
  return code === 'ECONNREFUSED' ? 'nobody listens there' : message || code || String(error)
}

/** With a connection of its own: one that is kept may be ended by the other side at any moment. */
async function get(
  address: URL,
  headers: http.OutgoingHttpHeaders,
  signal: AbortSignal,
): Promise<{ status: number; body: string }> {
  const client = address.protocol === 'https:' ? ((await import('node:https')) as unknown as typeof http) : http
  const request = client.get(address, { agent: false, signal, headers })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const parts: Buffer[] = []
  let length = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    parts.push(part)
    length += part.length
    if (length > MOST) throw new Error('the answer is too long')
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }
}
