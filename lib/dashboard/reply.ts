// Stage: all. Thread: owner env.
// What a request is answered.

/** A status and a body. */
export interface Reply {
  readonly status: number
  readonly type: string
  readonly body: string | Buffer
}

export const JSON_TYPE = 'application/json'

/** The request is not done, and why. */
export function refused(status: number, error: string): Reply {
  return { status, type: JSON_TYPE, body: JSON.stringify({ error }) }
}

/** The request is done. */
export function done(status: number, body: object): Reply {
  return { status, type: JSON_TYPE, body: JSON.stringify(body) }
}
