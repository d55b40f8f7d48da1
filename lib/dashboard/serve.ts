// Stage: all. Thread: owner env.
// Serves the dashboard: one HTTP server, its routes, and the pools that it shows.
//
// D7. Neither the server nor a connection keeps the process alive.

import { randomBytes } from 'node:crypto'
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import process from 'node:process'
import type { AnyPool, Dashboard } from '../../dashboard'
import type { PoolCore } from '../core'
import { ThreadmillError } from '../errors'
import { act } from './actions'
import { type PageFile, pageFiles } from './files'
import { Guard, isLoopback, originOf, type Place } from './guard'
import { checkDashboardOptions, checkPool, checkPools, type DashboardSettings } from './options'
import { JSON_TYPE, type Reply, refused } from './reply'
import { snapshot } from './snapshot'
import { Streams } from './streams'
import { WatchedPool } from './watch'

/** Connections at a time. */
const CONNECTIONS = 256
/** No names, for whoever makes a request takes them out of its path, however they are written. */
const FOLDERS = ['.', '..']
const ACTION = /^\/actions\/([^/]+)\/(cancel|recycle)$/

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
}

/** See `serveDashboard` in dashboard.d.ts. */
export async function serveDashboard(pools: unknown, options?: unknown): Promise<Dashboard> {
  const checked = checkPools(pools)
  const settings = checkDashboardOptions(options)
  const files = await pageFiles()
  const server = createServer({ keepAliveTimeout: 5000 })
  server.maxConnections = CONNECTIONS
  server.unref()
  const place = await listen(server, settings)
  // Nothing has been accepted yet: that takes a turn of the event loop.
  const dashboard = new DashboardServer(server, place, settings, files)
  for (const [pool, core] of checked) dashboard.show(pool, core)
  return dashboard
}

/** Node throws what its permission model refuses where nobody can catch it. `--allow-net` is of Node 25. */
function isDenied(): boolean {
  const { permission } = process as { readonly permission?: { has(scope: string): boolean } }
  return process.allowedNodeEnvironmentFlags.has('--allow-net') && permission?.has('net') === false
}

function listen(server: Server, { host, port }: DashboardSettings): Promise<Place> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, options?: ErrorOptions): void => {
      const message = `the dashboard cannot listen on ${host}, port ${port}: ${why}`
      reject(new ThreadmillError('ERR_THREADMILL_IO', message, options))
    }
    if (isDenied()) {
      fail('the permission model allows no network; use --allow-net')
      return
    }
    server.on('error', (cause: NodeJS.ErrnoException) => fail(cause.message, { cause }))
    server.listen({ host, port }, () => {
      const bound = server.address() as AddressInfo
      resolve({ host, address: bound.address, port: bound.port })
    })
  })
}

/** See `Dashboard` in dashboard.d.ts. */
export class DashboardServer implements Dashboard {
  readonly url: string
  readonly port: number
  readonly token: string | undefined
  readonly #server: Server
  readonly #settings: DashboardSettings
  readonly #files: ReadonlyMap<string, PageFile>
  readonly #guard: Guard
  readonly #streams: Streams
  readonly #pools = new Map<PoolCore, WatchedPool>()
  /** All of them, also those on which nothing has been asked yet: browsers open some ahead. */
  readonly #sockets = new Set<Socket>()
  #closed: Promise<void> | undefined

  constructor(server: Server, place: Place, settings: DashboardSettings, files: ReadonlyMap<string, PageFile>) {
    this.#server = server
    this.#settings = settings
    this.#files = files
    const isGuarded = settings.allowActions || !isLoopback(place.address)
    this.token = settings.token ?? (isGuarded ? randomBytes(32).toString('base64url') : undefined)
    this.#guard = new Guard(place, this.token)
    this.port = place.port
    this.url = `${originOf(place)}/${this.token === undefined ? '' : `?token=${this.token}`}`
    this.#streams = new Streams({
      interval: settings.interval,
      looking: (isLooked) => {
        for (const pool of this.#pools.values()) {
          if (isLooked) pool.look()
          else pool.lookAway()
        }
      },
      figures: () => this.#figures(),
    })
    server.on('connection', (socket) => {
      socket.unref()
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    server.on('request', (request, response) => this.#answer(request, response))
  }

  add(pool: AnyPool): void {
    this.show(...checkPool(pool))
  }

  /** As `add`, for a pool that has been checked. */
  show(pool: AnyPool, core: PoolCore): void {
    if (this.#pools.has(core) || this.#closed !== undefined) return
    const names = new Set([...FOLDERS, ...Array.from(this.#pools.values(), (shown) => shown.name)])
    let { name } = pool
    for (let number = 2; names.has(name); number++) name = `${pool.name}#${number}`
    const watched = new WatchedPool(pool, core, name)
    this.#pools.set(core, watched)
    if (this.#streams.isLookedAt) watched.look()
  }

  remove(pool: AnyPool): boolean {
    const [, core] = checkPool(pool)
    this.#pools.get(core)?.release()
    return this.#pools.delete(core)
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#streams.close()
      for (const socket of this.#sockets) socket.destroy()
      for (const pool of this.#pools.values()) pool.release()
      this.#pools.clear()
    })
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #figures(): string {
    return JSON.stringify(snapshot(this.#pools.values(), this.#settings))
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const [path = '', search = ''] = (request.url ?? '').split('?', 2)
    const query = new URLSearchParams(search)
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
    const reply = (given: Reply): void => send(response, given)
    const refusal = this.#refusal(request, query)
    if (refusal !== undefined) reply(refusal)
    else if (request.method === 'POST') {
      // A request that was cut off needs no reply.
      this.#act(path, request).then(reply, () => response.destroy())
    } else if (path === '/events' && this.#streams.hasRoom) {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      this.#streams.add(response)
    } else {
      const cookie = this.#guard.cookie(query)
      if (cookie !== undefined) response.setHeader('Set-Cookie', cookie)
      reply(this.#get(path))
    }
  }

  #refusal(request: IncomingMessage, query: URLSearchParams): Reply | undefined {
    const { method } = request
    return method === 'GET' || method === 'POST'
      ? this.#guard.refusal(request, query)
      : refused(405, 'only GET and POST')
  }

  #get(path: string): Reply {
    if (path === '/events') return refused(503, 'too many event streams')
    if (path === '/stats') {
      this.#streams.glanced()
      return { status: 200, type: JSON_TYPE, body: this.#figures() }
    }
    const file = this.#files.get(path)
    return file === undefined ? refused(404, 'not found') : { status: 200, ...file }
  }

  async #act(path: string, request: IncomingMessage): Promise<Reply> {
    const [, name = '', action = ''] = ACTION.exec(path) ?? []
    if (action === '') return refused(404, 'not found')
    if (!this.#settings.allowActions) return refused(403, 'actions are not allowed')
    const pool = this.#named(name)
    return pool === undefined ? refused(404, 'no such pool') : act(pool, action, request)
  }

  #named(encoded: string): WatchedPool | undefined {
    let wanted: string
    try {
      wanted = decodeURIComponent(encoded)
    } catch {
      return undefined
    }
    return [...this.#pools.values()].find(({ name }) => name === wanted)
  }
}

function send(response: ServerResponse, { status, type, body }: Reply): void {
  const headers: OutgoingHttpHeaders = { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) }
  if (status === 405) headers.Allow = 'GET, POST'
  // What is left of a body that was not read ends with the connection.
  if (status >= 400) headers.Connection = 'close'
  response.writeHead(status, headers)
  response.end(body)
}
