import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { atEnd } from '../../support/at-end.js'

export const KEY = 'the-key'

/** One call as it arrived. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly key: string | undefined
  readonly body: unknown
}

export interface Reply {
  readonly status?: number
  /** A text goes out as it is. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** What a server answers a call with; `undefined`: it never does. */
export type Answerer = (seen: Seen) => Reply | undefined

/** `GET /api/server` -> its answer; unnamed calls get the 404 of a server that has no such path. */
export type Routes = Readonly<Record<string, Reply | ((seen: Seen) => Reply)>>

export function routes(table: Routes): Answerer {
  return (seen) => {
    if (seen.key !== KEY) return failed(401, 'invalid API key')
    const found = table[`${seen.method} ${seen.url}`]
    if (found === undefined) return failed(404, 'not found')
    return typeof found === 'function' ? found(seen) : found
  }
}

export function failed(status: number, error: string): Reply {
  return { status, body: { success: false, error } }
}

/** A server that is closed after the test, and the calls it got. */
export async function fakeApi(
  answer: Answerer,
  tls?: { readonly key: string; readonly cert: string },
): Promise<{ readonly url: string; readonly calls: readonly Seen[] }> {
  const calls: Seen[] = []
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void readJson(request).then((body) => {
      const key = request.headers['x-api-key']
      const seen = { method: request.method ?? '', url: request.url ?? '', key: key?.toString(), body }
      calls.push(seen)
      const reply = answer(seen)
      if (reply !== undefined) send(response, reply)
    })
  }
  const server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, calls }
}

function send(response: ServerResponse, { status = 200, body, headers = {} }: Reply): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body))
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text === '' ? undefined : JSON.parse(text)
}

export const ID = '0123456789abcdef01234567'
export const OTHER_ID = 'fedcba987654321001234567'

/** A token as `GET /api/tokens` has it. */
export function tokenOf(more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    id: ID,
    type: 'forward',
    token: 'laptop-secret',
    label: "Ada's laptop",
    enabled: true,
    expires_at: null,
    state: 'active',
    source: 'api',
    stored: true,
    created_at: '2026-01-01T00:00:00.000Z',
    clients: 1,
    streams: 0,
    ...more,
  }
}

export function clientOf(more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    id: 'c1',
    role: 'forward',
    token_id: ID,
    address: '203.0.113.9',
    since: new Date(Date.now() - 90_500).toISOString(),
    state: 'connected',
    rtt_ms: 12.4,
    streams: 3,
    received_bytes: 1_536,
    sent_bytes: 10,
    ...more,
  }
}

export function serverOf(more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    version: '9.8.7',
    started_at: new Date(Date.now() - 2 * 86_400_000 - 500).toISOString(),
    key: { name: 'default', role: 'full' },
    durable: true,
    draining: false,
    tokens: 2,
    clients: 1,
    streams: 3,
    received_bytes: 5_000_000,
    sent_bytes: 0,
    alarms: [],
    ...more,
  }
}

export function page(name: string, items: readonly unknown[], next: string | null = null): Reply {
  return { body: { [name]: items, next, total: items.length } }
}
