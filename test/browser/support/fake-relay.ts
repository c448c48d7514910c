import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { NewToken, Question, Role, Stats, Token, TokenChange } from '../../../dashboard/src/api/types.js'
import { createDashboardFiles } from '../../../src/node/http/dashboard-files.js'
import { freePort } from '../../support/ports.js'
import { check } from './fake-policy.js'
import { FakeState } from './fake-state.js'
import { Refused } from './refused.js'
import { FULL_KEY, READER_KEY, type RelayUnderTest } from './relay.js'

const RING = 1_000
const MASKED = 4

interface Key {
  readonly name: string
  readonly role: Role
}

interface Answer {
  readonly status: number
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

/** The dashboard's files and a stand-in for the API, which can be slow, refuse, vanish and come back. */
export class FakeRelay implements RelayUnderTest {
  readonly state = new FakeState((event, data) => this.#emit(event, data))
  readonly keys = new Map<string, Key>([
    [FULL_KEY, { name: 'default', role: 'full' }],
    [READER_KEY, { name: 'watcher', role: 'read-only' }],
  ])
  /** Calls so far, `METHOD path` without the query. */
  readonly calls: string[] = []
  /** Totals that a new reader is told of at once, for a plot that has a past. */
  past: readonly Stats[] = []
  /** Called every second, before the totals are told. */
  beforeStats: () => void = () => {}
  /** Called before an API call is looked at; may hold it, or throw what is answered instead. */
  before: (call: string, key: string) => Promise<void> = async () => {}
  /** What the next writing call is answered instead. */
  refuseNext: Refused | undefined
  readonly #prefix: string
  readonly #files = createDashboardFiles()
  readonly #readers = new Set<ServerResponse>()
  readonly #ring: { readonly n: number; readonly text: string }[] = []
  #run = Date.now().toString(36)
  #count = 0
  #server: Server | undefined
  #port: number
  #timer: ReturnType<typeof setInterval> | undefined

  /**
   * @param prefix path that a reverse proxy would have cut off
   * @param port 0 for a free one
   */
  constructor(prefix = '', port = 0) {
    this.#prefix = prefix
    this.#port = port
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get url(): string {
    return `${this.origin}${this.#prefix}/dashboard/`
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#exchange(request, response))
    // kept while the relay is away
    if (this.#port === 0) this.#port = await freePort()
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
    this.#timer = setInterval(() => this.#sendStats(), 1_000)
  }

  /** @param lostEvents whether it forgets its events, as a new process does */
  async stop(lostEvents = false): Promise<void> {
    clearInterval(this.#timer)
    if (lostEvents) {
      this.#ring.length = 0
      this.#run += 'x'
    }
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    this.#readers.clear()
    await closed
  }

  async drain(): Promise<void> {
    this.state.draining = true
    this.#server?.close()
  }

  async close(): Promise<void> {
    await this.stop()
  }

  async revoke(key: string): Promise<void> {
    this.keys.delete(key)
    this.cutReaders()
  }

  async connect(text: string): Promise<void> {
    this.state.addClient(this.#find(text), '127.0.0.1')
  }

  async carry(text: string, count: number): Promise<string> {
    const token = this.#find(text)
    const bytes = { received_bytes: count, sent_bytes: count }
    const client = this.state.addClient(token, '127.0.0.1', bytes)
    const target = 'echo.example.com:7'
    this.state.addStream({ token_id: token.id, client_id: client.id, target, ...bytes })
    this.state.figures.set(token.id, { total: { up: count, down: count } })
    this.state.use(token.id, 2 * count)
    this.state.received += count
    this.state.sent += count
    return target
  }

  #find(text: string): Token {
    const token = [...this.state.tokens.values()].find((one) => one.token === text)
    if (token === undefined) throw new Error('no such token')
    return token
  }

  /** Ends the connections of all who read events, and of nobody else. */
  cutReaders(): void {
    for (const reader of this.#readers) reader.destroy()
  }

  /** An event that nothing here brings about. */
  tell(event: string, data: object): void {
    this.#emit(event, data)
  }

  #emit(event: string, data: object): void {
    this.#count += 1
    const text = `id: ${this.#run}-${this.#count}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
    this.#ring.push({ n: this.#count, text })
    if (this.#ring.length > RING) this.#ring.shift()
    for (const reader of this.#readers) reader.write(text)
  }

  #sendStats(): void {
    this.beforeStats()
    const text = `event: stats\ndata: ${JSON.stringify(this.state.stats())}\n\n`
    for (const reader of this.#readers) reader.write(text)
  }

  async #exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.origin)
    const path = pathname.slice(this.#prefix.length)
    if (!path.startsWith('/api/')) return await this.#static(request, response, path)
    this.calls.push(`${request.method} ${path}`)
    try {
      const text = String(request.headers['x-api-key'] ?? '')
      await this.before(`${request.method} ${path}`, text)
      const key = this.keys.get(text)
      if (key === undefined) return send(response, { status: 401, body: failure('invalid API key') })
      if (path === '/api/events') return this.#events(request, response)
      send(response, this.#answer(request.method ?? 'GET', path, searchParams, await bodyOf(request), key))
    } catch (error) {
      const refused = error instanceof Refused ? error : new Refused(500, String(error))
      send(response, { status: refused.status, body: failure(refused.message) })
    }
  }

  async #static(message: IncomingMessage, out: ServerResponse, path: string): Promise<void> {
    const headers = { 'accept-encoding': String(message.headers['accept-encoding'] ?? '') }
    const answer = await this.#files(new Request(this.origin, { headers, method: message.method ?? 'GET' }), path)
    out.writeHead(answer?.status ?? 404, Object.fromEntries(answer?.headers ?? []))
    out.end(answer === undefined ? '' : Buffer.from(await answer.arrayBuffer()))
  }

  #events(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    const hello = { version: '0.1.0', time: new Date().toISOString() }
    response.write(`id: ${this.#run}-${this.#count}\nevent: hello\ndata: ${JSON.stringify(hello)}\n\n`)
    const [run, n] = String(request.headers['last-event-id'] ?? '').split('-')
    const known =
      run === this.#run && this.#ring.every((event) => event.n <= Number(n) + 1 || this.#ring[0]?.n !== event.n)
    if (known) for (const event of this.#ring.filter((kept) => kept.n > Number(n))) response.write(event.text)
    else if (run !== '') response.write('event: missed\ndata: {}\n\n')
    const told = this.past.length === 0 ? [this.state.stats()] : this.past
    for (const stats of told) response.write(`event: stats\ndata: ${JSON.stringify(stats)}\n\n`)
    this.#readers.add(response)
    response.on('close', () => this.#readers.delete(response))
  }

  #answer(method: string, path: string, query: URLSearchParams, body: unknown, key: Key): Answer {
    const { state } = this
    if (method !== 'GET') {
      if (key.role !== 'full') throw new Refused(403, 'this API key may only read')
      state.writes.push({ call: `${method} ${path}`, body })
      const refused = this.refuseNext
      this.refuseNext = undefined
      if (refused !== undefined) throw refused
    }
    const [, , list = '', id, ...more] = path.split('/')
    if (path === '/api/server') return { status: 200, body: state.server(key) }
    if (method === 'POST' && path === '/api/token') {
      const token = state.addToken(body as NewToken)
      return {
        status: 200,
        body: { success: true, token: token.token },
        headers: { location: `/api/tokens/${token.id}` },
      }
    }
    if (list === 'tokens' && id !== undefined) return this.#token(`${method} ${more.join('/')}`, id, body, key)
    if (list === 'clients' && id !== undefined && method === 'DELETE') {
      state.removeClient(id)
      return { status: 204 }
    }
    if (method !== 'GET') throw new Refused(405, 'method not allowed')
    if (list === 'tokens')
      return page(
        'tokens',
        [...state.tokens.values()].map(({ policy: _policy, rules: _rules, ...listed }) => shown(listed, key)),
        query,
      )
    if (list === 'clients') return page('clients', [...state.clients.values()], query)
    if (list === 'streams') return page('streams', [...state.streams.values()], query)
    throw new Refused(404, 'not found')
  }

  #token(call: string, id: string, body: unknown, key: Key): Answer {
    const { state } = this
    if (call === 'GET ') return { status: 200, body: shown(state.token(id), key) }
    if (call === 'PATCH ') return { status: 200, body: state.changeToken(id, body as TokenChange) }
    if (call === 'POST check') return { status: 200, body: check(state.token(id).id, body as Question) }
    if (call === 'GET usage') return { status: 200, body: state.usage(id) }
    if (call === 'POST usage/reset') {
      state.use(id, 0)
      return { status: 200, body: state.usage(id) }
    }
    if (call !== 'DELETE ') throw new Refused(405, 'method not allowed')
    state.removeToken(id)
    return { status: 204 }
  }
}

function failure(error: string): object {
  return { success: false, error }
}

function shown(token: Token, { role }: Key): Token {
  return role === 'full' ? token : { ...token, token: `${token.token.slice(0, MASKED)}…` }
}

function page(name: string, rows: readonly { readonly id: string }[], query: URLSearchParams): Answer {
  const limit = Number(query.get('limit') ?? 100)
  const ordered = query.get('order') === 'newest' ? rows.toReversed() : rows
  const after = query.get('after')
  const from = after === null ? 0 : ordered.findIndex(({ id }) => id === after) + 1
  const part = ordered.slice(from, from + limit)
  const next = from + limit < ordered.length ? (part.at(-1)?.id ?? null) : null
  return { status: 200, body: { [name]: part, next, total: rows.length } }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return parts.length === 0 ? undefined : JSON.parse(Buffer.concat(parts).toString())
}

function send(response: ServerResponse, { status, body, headers }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers })
  response.end(body === undefined ? '' : JSON.stringify(body))
}
