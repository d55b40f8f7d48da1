// Stage: all. Thread: owner env.
// What can be done from the page: cancel a task, recycle a worker. Who may is for guard.ts and serve.ts.

import type { IncomingMessage } from 'node:http'
import { own } from '../own'
import { done, type Reply, refused } from './reply'
import type { WatchedPool } from './watch'

/** Bytes of a request's body. */
const MOST = 4096

/** Does what a request asks for. */
export async function act(pool: WatchedPool, action: string, request: IncomingMessage): Promise<Reply> {
  const type = request.headers['content-type'] ?? ''
  // Forms of other sites cannot send this type.
  if (!/^application\/json *(?:;|$)/i.test(type)) return refused(415, 'the body must be application/json')
  const text = await textOf(request)
  if (text === undefined) return refused(413, `the body must not exceed ${MOST} bytes`)
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return refused(400, 'the body is not JSON')
  }
  const field = action === 'cancel' ? 'id' : 'worker'
  const number = typeof body === 'object' && body !== null ? own(body, field) : undefined
  if (!Number.isSafeInteger(number) || (number as number) < 0) {
    return refused(400, `${field} must be a whole number from 0`)
  }
  return action === 'cancel' ? cancel(pool, number as number) : recycle(pool, number as number)
}

function cancel(pool: WatchedPool, id: number): Reply {
  const cancelled = pool.cancel(id)
  return cancelled === undefined ? refused(404, `no unfinished task ${id} is known`) : done(200, { cancelled })
}

/** The worker ends after the tasks that it runs. */
function recycle({ core }: WatchedPool, number: number): Reply {
  const worker = core.lane?.workers.find(({ id }) => id === number)
  if (worker === undefined) return refused(404, `there is no JS worker ${number}`)
  core.recycle(worker)
  return done(202, { asked: true })
}

/** The body as text; `undefined` when it says that it is too long. One that does not is cut off. */
async function textOf(request: IncomingMessage): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > MOST) return undefined
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > MOST) throw new Error('too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
