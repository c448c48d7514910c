import { randomBytes } from 'node:crypto'
import type {
  Alarm,
  Client,
  NewToken,
  ServerInfo,
  Stats,
  Stream,
  Token,
  TokenChange,
  Usage,
} from '../../../dashboard/src/api/types.js'
import { changedPolicy, quotaOf, usageOf } from './fake-policy.js'
import { Refused } from './refused.js'

/** Without `readonly`: the fake's own copies. */
type Mutable<T> = { -readonly [K in keyof T]: T[K] }

const FIRST_PORT = 10_000

const id = (): string => randomBytes(12).toString('hex')
const now = (): string => new Date().toISOString()

/** Tokens, clients and streams of a relay that relays nothing. */
export class FakeState {
  readonly tokens = new Map<string, Mutable<Token>>()
  readonly clients = new Map<string, Mutable<Client>>()
  readonly streams = new Map<string, Mutable<Stream>>()
  startedAt = now()
  alarms: Alarm[] = []
  durable = true
  draining = false
  received = 0
  sent = 0
  /** What tokens have carried, as far as it is not nothing. */
  readonly figures = new Map<string, Partial<Usage>>()
  /** Bodies of the writing calls, for tests that look at what was sent. */
  readonly writes: { readonly call: string; readonly body: unknown }[] = []
  readonly #emit: (event: string, data: object) => void
  #lastStream = 0

  constructor(emit: (event: string, data: object) => void) {
    this.#emit = emit
  }

  addToken(asked: NewToken): Mutable<Token> {
    const text = asked.token ?? randomBytes(24).toString('base64url')
    if ([...this.tokens.values()].some(({ token }) => token === text)) throw new Refused(409, 'token already exists')
    const own = { clients: 0, streams: 0, created_at: now(), source: 'api', stored: true } as const
    const token: Mutable<Token> = {
      id: id(),
      type: asked.type,
      token: text,
      label: asked.label ?? null,
      enabled: true,
      expires_at: asked.expires_at ?? null,
      state: 'active',
      rules_count: asked.rules?.length ?? 0,
      rules: asked.rules ?? [],
      has_policy: false,
      policy_rules_count: 0,
      policy: null,
      quota: null,
      ...own,
      ...this.#parts(asked),
    }
    this.tokens.set(token.id, token)
    this.#told('token.added', token)
    return token
  }

  #parts(asked: NewToken): Partial<Token> {
    if (asked.type === 'forward') return {}
    if (asked.type === 'connector') {
      const reverse = [...this.tokens.values()].find(({ token }) => token === asked.reverse_token)
      if (reverse === undefined) throw new Refused(404, 'reverse token not found')
      const child = { reverse_id: reverse.id }
      queueMicrotask(() => this.#adopt(reverse))
      return child
    }
    const autonomy = asked.allow_manage_connector === true
    const ports = new Set([...this.tokens.values()].map(({ port }) => port))
    let port = asked.port ?? FIRST_PORT
    if (asked.port !== undefined && ports.has(port)) throw new Refused(409, 'port not available')
    while (ports.has(port)) port += 1
    return {
      allow_manage_connector: autonomy,
      port: autonomy ? null : port,
      proxy_protocols: autonomy ? [] : ['socks5', 'socks4', 'http'],
      listening: false,
      port_error: null,
      username: asked.username ?? null,
      connectors: [],
    }
  }

  #adopt(reverse: Mutable<Token>): void {
    reverse.connectors = [...this.tokens.values()]
      .filter(({ reverse_id }) => reverse_id === reverse.id)
      .map((row) => row.id)
  }

  changeToken(tokenId: string, change: TokenChange): Token {
    const token = this.token(tokenId)
    if (typeof change.expires_at === 'string' && Date.parse(change.expires_at) <= Date.now()) {
      throw new Refused(400, 'expires_at must be in the future')
    }
    if (change.label !== undefined) token.label = change.label
    if (change.expires_at !== undefined) token.expires_at = change.expires_at
    if (change.username !== undefined) token.username = change.username
    if (change.enabled !== undefined) token.enabled = change.enabled
    if (change.policy !== undefined) {
      token.policy = changedPolicy(token.policy ?? null, change.policy)
      token.has_policy = token.policy !== null
      token.policy_rules_count = token.policy?.egress?.length ?? 0
      token.quota = quotaOf(token.policy?.quota, token.quota?.used ?? 0)
    }
    token.state = token.enabled ? 'active' : 'disabled'
    if (!token.enabled) this.#dropClients(token.id)
    this.#told('token.changed', token)
    return token
  }

  usage(tokenId: string): Usage {
    const token = this.token(tokenId)
    return { ...usageOf(tokenId), ...this.figures.get(tokenId), quota: token.quota ?? null }
  }

  /** So many bytes of its quota are used. */
  use(tokenId: string, used: number): void {
    const token = this.token(tokenId)
    token.quota = quotaOf(token.policy?.quota, used)
    this.#told('token.changed', token)
  }

  removeToken(tokenId: string): void {
    const token = this.token(tokenId)
    for (const child of token.connectors ?? []) this.removeToken(child)
    this.#dropClients(tokenId)
    this.tokens.delete(tokenId)
    const parent = this.tokens.get(token.reverse_id ?? '')
    if (parent !== undefined) this.#adopt(parent)
    this.#told('token.removed', token)
  }

  token(tokenId: string): Mutable<Token> {
    const token = this.tokens.get(tokenId)
    if (token === undefined) throw new Refused(404, 'token not found')
    return token
  }

  addClient(token: Token, address: string, part: Partial<Client> = {}): Mutable<Client> {
    const role = ({ forward: 'forward', reverse: 'provider', connector: 'connector' } as const)[token.type]
    const client: Mutable<Client> = {
      id: id(),
      role,
      token_id: token.id,
      address,
      subject: null,
      since: now(),
      state: 'connected',
      rtt_ms: 12.5,
      streams: 0,
      received_bytes: 0,
      sent_bytes: 0,
      ...part,
    }
    this.clients.set(client.id, client)
    this.token(token.id).clients += 1
    if (role === 'provider') this.token(token.id).listening = true
    const { token_id, subject } = client
    this.#emit('client.connected', { time: now(), client_id: client.id, role, token_id, address, subject })
    return client
  }

  removeClient(clientId: string): void {
    const client = this.clients.get(clientId)
    if (client === undefined) throw new Refused(404, 'client not found')
    this.clients.delete(clientId)
    const token = this.tokens.get(client.token_id)
    if (token !== undefined) token.clients -= 1
    for (const stream of [...this.streams.values()]) {
      if (stream.client_id === clientId || stream.provider_id === clientId) this.removeStream(stream.id)
    }
    const { role, token_id, address, subject } = client
    const who = { client_id: clientId, role, token_id, address, subject }
    this.#emit('client.closed', { time: now(), ...who, reason: 'disconnected' })
  }

  addStream(part: Partial<Stream> & Pick<Stream, 'token_id' | 'target'>): Mutable<Stream> {
    this.#lastStream += 1
    const stream: Mutable<Stream> = {
      id: String(this.#lastStream),
      mode: 'forward',
      protocol: 'tcp',
      inbound: null,
      client_id: null,
      provider_id: null,
      state: 'open',
      since: now(),
      sent_bytes: 0,
      received_bytes: 0,
      ...part,
    }
    this.streams.set(stream.id, stream)
    const token = this.tokens.get(stream.token_id)
    if (token !== undefined) token.streams += 1
    this.#count(stream, 1)
    return stream
  }

  removeStream(streamId: string): void {
    const stream = this.streams.get(streamId)
    if (stream === undefined) return
    this.streams.delete(streamId)
    const token = this.tokens.get(stream.token_id)
    if (token !== undefined) token.streams -= 1
    this.#count(stream, -1)
  }

  #count(stream: Stream, by: number): void {
    for (const clientId of [stream.client_id, stream.provider_id]) {
      const client = this.clients.get(clientId ?? '')
      if (client !== undefined) client.streams += by
    }
  }

  raise(alarm: Omit<Alarm, 'since'>): void {
    const raised = { ...alarm, since: now() }
    this.alarms = [...this.alarms, raised]
    this.#emit('alarm.raised', { time: now(), ...raised })
  }

  clear(code: string): void {
    const gone = this.alarms.filter((alarm) => alarm.code === code)
    this.alarms = this.alarms.filter((alarm) => alarm.code !== code)
    for (const alarm of gone) this.#emit('alarm.cleared', { time: now(), ...alarm })
  }

  stats(): Stats {
    return {
      time: now(),
      draining: this.draining,
      tokens: this.tokens.size,
      clients: this.clients.size,
      streams: this.streams.size,
      received_bytes: this.received,
      sent_bytes: this.sent,
      alarms: this.alarms,
    }
  }

  server(key: ServerInfo['key']): ServerInfo {
    const { time: _, ...totals } = this.stats()
    return {
      version: '0.1.0',
      started_at: this.startedAt,
      key,
      durable: this.durable,
      ...totals,
    }
  }

  #dropClients(tokenId: string): void {
    for (const client of [...this.clients.values()]) if (client.token_id === tokenId) this.removeClient(client.id)
  }

  #told(event: string, { id: token_id, type, label }: Token): void {
    this.#emit(event, { time: now(), token_id, type, label })
  }
}
