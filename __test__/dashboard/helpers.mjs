// Requests as browsers and others would send them, with every header free to choose.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { serveDashboard } from 'threadmill/dashboard'

/** Serves pools until the test has ended. */
export async function serve(t, pools, options) {
  const dashboard = await serveDashboard(pools, options)
  t.after(() => dashboard.close())
  return dashboard
}

/** Sends a request; gives status, headers and text. */
export function send(dashboard, path, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: dashboard.port, path, method, headers, agent: false }
    const outgoing = request(options, async (response) => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      resolve({ status: response.statusCode, headers: response.headers, text })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** The JSON of a request that is answered. */
export async function json(dashboard, path = '/stats', options = {}) {
  const { status, text } = await send(dashboard, path, options)
  assert.equal(status, 200, text)
  return JSON.parse(text)
}

/** Asks for an action as the page does. */
export async function post(dashboard, path, value, headers = {}) {
  const own = { Origin: new URL(dashboard.url).origin, 'Content-Type': 'application/json' }
  const given = dashboard.token === undefined ? {} : { Authorization: `Bearer ${dashboard.token}` }
  const options = { method: 'POST', headers: { ...own, ...given, ...headers }, body: JSON.stringify(value) }
  const { status, text } = await send(dashboard, path, options)
  return { status, body: JSON.parse(text) }
}

/** Opens the event stream; `next()` gives the figures of the next event, `destroy()` leaves. */
export function openEvents(dashboard, headers = {}) {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port: dashboard.port, path: '/events', headers, agent: false })
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      assert.equal(response.statusCode, 200)
      assert.equal(response.headers['content-type'], 'text/event-stream')
      response.on('error', () => {})
      const figures = eventsOf(response)
      resolve({
        next: async () => (await figures.next()).value,
        destroy: () => outgoing.destroy(),
        response,
        socket: response.socket,
      })
    })
    outgoing.end()
  })
}

async function* eventsOf(response) {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    const blocks = (text + chunk).split('\n\n')
    text = blocks.pop()
    for (const block of blocks) if (block.startsWith('data: ')) yield JSON.parse(block.slice('data: '.length))
  }
}
