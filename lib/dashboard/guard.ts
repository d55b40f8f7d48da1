// Stage: all. Thread: owner env.
// Who is let in.
//
// D4. The Host header names this server, so that a page of another site whose name was pointed here reads nothing.
// D5. An Origin header, if there is one, is that of the page itself; requests that change something have one.
// D6. Where there is a token, every request brings it.

import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { type Reply, refused } from './reply'

/** A name, or an address in brackets as in URLs, and a port. */
const HOST = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/

/** What the server listens on. */
export interface Place {
  /** As the user named it. */
  readonly host: string
  /** As the system resolved it. */
  readonly address: string
  readonly port: number
}

/** Whether only this machine reaches the address. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address)
}

function isAnyAddress(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

/** Where the page is, without a token. */
export function originOf({ host, address, port }: Place): string {
  const name = isAnyAddress(address) ? 'localhost' : host
  return `http://${isIP(name) === 6 ? `[${name.replace(/%.*/, '')}]` : name}:${port}`
}

/** The host as browsers write it: of `[::ffff:127.0.0.1]` they make `[::ffff:7f00:1]`. */
function inUrls(place: Place): string {
  const origin = originOf(place)
  return URL.canParse(origin) ? bare(new URL(origin).hostname) : place.host
}

/** Without the brackets of URLs. */
function bare(name: string): string {
  return name.replace(/^\[|\]$/g, '')
}

/** See the head of this file. */
export class Guard {
  readonly token: string | undefined
  readonly #place: Place
  readonly #names: ReadonlySet<string>
  readonly #cookie: string

  constructor(place: Place, token: string | undefined) {
    this.#place = place
    this.token = token
    const { host, address, port } = place
    const names = [host, address, inUrls(place)]
    if (isLoopback(address) || isAnyAddress(address)) names.push('localhost', '127.0.0.1', '::1')
    if (isAnyAddress(address)) names.push(hostname())
    this.#names = new Set(names.map((name) => name.toLowerCase().replace(/%.*/, '')))
    // Cookies do not tell ports apart.
    this.#cookie = `threadmill-dashboard-${port}`
  }

  /** Why the request is refused; `undefined` when it is not. */
  refusal(request: IncomingMessage, query: URLSearchParams): Reply | undefined {
    const host = request.headers.host?.toLowerCase()
    if (host === undefined || !this.#isOwn(host)) return refused(403, 'foreign Host header')
    const { origin } = request.headers
    if (origin === undefined ? request.method === 'POST' : origin.toLowerCase() !== `http://${host}`) {
      return refused(403, origin === undefined ? 'no Origin header' : 'foreign Origin header')
    }
    if (this.token !== undefined && !this.#tokens(request, query).some((given) => isSame(given, this.token))) {
      return refused(401, 'a token is needed: open the address that the program printed')
    }
    return undefined
  }

  /** The Set-Cookie header for one who has brought the token in the address. */
  cookie(query: URLSearchParams): string | undefined {
    return query.has('token') && this.token !== undefined
      ? `${this.#cookie}=${this.token}; Path=/; HttpOnly; SameSite=Strict`
      : undefined
  }

  #isOwn(header: string): boolean {
    const [, name, port = '80'] = HOST.exec(header) ?? []
    if (name === undefined || Number(port) !== this.#place.port) return false
    const given = bare(name)
    // No other site can have an address for its name.
    return this.#names.has(given) || (isAnyAddress(this.#place.address) && isIP(given) > 0)
  }

  #tokens({ headers }: IncomingMessage, query: URLSearchParams): string[] {
    const cookies = (headers.cookie ?? '').split(';').map((cookie) => cookie.trim())
    const own = cookies.find((cookie) => cookie.startsWith(`${this.#cookie}=`))
    const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
    return [bearer, own?.slice(this.#cookie.length + 1), query.get('token')].filter(
      (given) => typeof given === 'string',
    )
  }
}

/** Compares in a time that tells nothing. */
function isSame(given: string, token: string | undefined): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return token !== undefined && timingSafeEqual(digest(given), digest(token))
}
