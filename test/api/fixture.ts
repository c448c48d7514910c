import { createHash, randomBytes } from 'node:crypto'

import { type Api, createApi } from '../../src/api/api.js'
import type { ApiKey } from '../../src/api/keys.js'
import type { MetricsSource } from '../../src/api/metrics-route.js'
import { LinkSocksError } from '../../src/errors.js'
import type { DrainingProcess } from '../../src/handover.js'
import { FailedAttempts } from '../../src/inbound/failed-attempts.js'
import type { LogFields, Logger } from '../../src/log.js'
import type { ServerAccessRules } from '../../src/ports.js'
import type { RelayAdmin } from '../../src/relay/admin.js'
import type { ClientInfo, RelayTotals } from '../../src/relay/observe/client-info.js'
import type { AlarmInfo } from '../../src/relay/observe/event-log.js'
import { EventLog } from '../../src/relay/observe/event-log.js'
import { type Page, type PageQuery, pageOf } from '../../src/relay/observe/page.js'
import type { StreamInfo, StreamQuery } from '../../src/relay/observe/streams.js'
import type { DryRun, DryRunResult } from '../../src/relay/tokens/dry-run.js'
import type { ServerAccessChange } from '../../src/relay/tokens/server-access.js'
import type {
  AddedToken,
  TokenChange,
  TokenInfo,
  TokenSpec,
  TokenStatus,
  TokenUsageInfo,
} from '../../src/relay/tokens/token-spec.js'
import { ApiContract } from '../support/api-contract.js'
import { ManualClock } from '../support/manual-clock.js'

export const KEY = 'k3y-of-the-operator'

export const crypto = {
  randomBytes: (length: number): Uint8Array => randomBytes(length),
  sha256: (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest(),
}

/** Every answer of every test is held to the document. */
const contract = new ApiContract()

/** Remembers what it was asked; `failure` is thrown instead of an answer. */
export class FakeAdmin implements RelayAdmin {
  readonly added: TokenSpec[] = []
  readonly removed: string[] = []
  status: readonly TokenStatus[] = []
  answer: Partial<AddedToken> = {}
  failure: unknown
  readonly events: EventLog
  draining = false
  drainingOthers: readonly DrainingProcess[] = []
  durable = false
  infos: TokenInfo[] = []
  clientInfos: readonly ClientInfo[] = []
  streamInfos: readonly StreamInfo[] = []
  alarmInfos: readonly AlarmInfo[] = []
  access: ServerAccessRules = {}
  readonly accessChanges: ServerAccessChange[] = []
  readonly changes: [id: string, change: TokenChange][] = []
  readonly questions: [id: string, question: DryRun][] = []
  verdict: DryRunResult = { result: 'allow', reason: 'no rule of a policy and no access rule speaks of it' }
  readonly disconnected: string[] = []
  usages: TokenUsageInfo[] = []
  readonly resets: string[] = []

  async drainingProcesses(): Promise<readonly DrainingProcess[]> {
    return this.drainingOthers
  }

  constructor(clock: ManualClock) {
    this.events = new EventLog(clock)
  }

  tokenUsage(id: string): TokenUsageInfo | undefined {
    this.#fail()
    return this.usages.find((usage) => usage.id === id)
  }

  async resetUsage(id: string): Promise<TokenUsageInfo> {
    this.resets.push(id)
    const usage = this.tokenUsage(id)
    if (usage === undefined) throw new LinkSocksError('ERR_TOKEN_NOT_FOUND', 'token not found')
    return usage
  }

  tokens(): readonly TokenStatus[] {
    this.#fail()
    return this.status
  }

  async addToken(spec: TokenSpec): Promise<AddedToken> {
    this.#fail()
    this.added.push(spec)
    const token = spec.token ?? 'generated'
    return { id: this.tokenId(token) ?? '0'.repeat(24), token, ...this.answer }
  }

  async changeAccess(change: ServerAccessChange): Promise<void> {
    this.#fail()
    this.accessChanges.push(change)
  }

  async removeToken(token: string): Promise<void> {
    this.#fail()
    this.removed.push(token)
  }

  totals(): RelayTotals {
    const { infos, clientInfos, streamInfos } = this
    const counts = { tokens: infos.length, clients: clientInfos.length, streams: streamInfos.length }
    return { ...counts, receivedBytes: 1_000, sentBytes: 2_000 }
  }

  get alarms(): { readonly active: readonly AlarmInfo[] } {
    return { active: this.alarmInfos }
  }

  tokenPage(query: PageQuery): Page<TokenInfo> {
    this.#fail()
    return pageOf(this.infos, ({ number }) => number, query)
  }

  tokenInfo(id: string): TokenInfo | undefined {
    return this.infos.find((info) => info.id === id)
  }

  tokenId(token: string): string | undefined {
    return this.infos.find((info) => info.token === token)?.id
  }

  async changeToken(id: string, change: TokenChange): Promise<TokenInfo> {
    this.#fail()
    this.changes.push([id, change])
    return this.#known(id)
  }

  dryRun(id: string, question: DryRun): DryRunResult {
    this.#fail()
    this.#known(id)
    this.questions.push([id, question])
    return this.verdict
  }

  async removeTokenById(id: string): Promise<void> {
    this.#fail()
    this.removed.push(this.#known(id).token)
  }

  clientPage(query: PageQuery): Page<ClientInfo> {
    return pageOf(this.clientInfos, ({ number }) => number, query)
  }

  disconnect(id: string): void {
    if (!this.clientInfos.some((client) => client.id === id)) {
      throw new LinkSocksError('ERR_CLIENT_NOT_FOUND', 'client not found')
    }
    this.disconnected.push(id)
  }

  streamPage({ tokenId, clientId, ...query }: StreamQuery): Page<StreamInfo> {
    const ofToken = this.streamInfos.filter((stream) => tokenId === undefined || stream.tokenId === tokenId)
    const ids = (stream: StreamInfo) => [stream.clientId, stream.providerId]
    const wanted = ofToken.filter((stream) => clientId === undefined || ids(stream).includes(clientId))
    if (query.descending === true) wanted.reverse()
    return pageOf(wanted, ({ id }) => id, query)
  }

  #known(id: string): TokenInfo {
    const info = this.tokenInfo(id)
    if (info === undefined) throw new LinkSocksError('ERR_TOKEN_NOT_FOUND', 'token not found')
    return info
  }

  #fail(): void {
    if (this.failure !== undefined) throw this.failure
  }
}

export interface LogLine {
  readonly level: keyof Logger
  readonly event: string
  readonly fields: LogFields
}

export interface Fixture {
  readonly admin: FakeAdmin
  readonly lines: LogLine[]
  readonly clock: ManualClock
  readonly api: Api
  readonly handle: Api['handle']
  /** Sends `method` to `rawPath`, query and all, with the right key; a body that is neither text, bytes nor stream goes as JSON. */
  call(method: string, rawPath: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
}

export interface FixtureOptions {
  readonly apiKey?: string
  /** Besides `apiKey`. */
  readonly apiKeys?: readonly ApiKey[]
  readonly metricsKey?: string
  readonly metrics?: MetricsSource
}

/** An API with {@link KEY}; `{}` makes one that is not enabled. */
export function createFixture({ apiKey, apiKeys = [], ...rest }: FixtureOptions = { apiKey: KEY }): Fixture {
  const lines: LogLine[] = []
  const record =
    (level: keyof Logger) =>
    (event: string, fields: LogFields = {}): void => {
      lines.push({ level, event, fields })
    }
  const log = { debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') }
  const clock = new ManualClock()
  const admin = new FakeAdmin(clock)
  const attempts = new FailedAttempts(clock)
  const named: readonly ApiKey[] = apiKey === undefined ? [] : [{ name: 'default', role: 'full', key: apiKey }]
  const keys = [...named, ...apiKeys]
  const api = createApi({ admin, version: '1.2.3', clock, attempts, crypto, log, apiKeys: keys, ...rest })
  const handle: Api['handle'] = async (request, context) => {
    const response = await api.handle(request, context)
    // an endless one can't be kept twice
    const copy = response.headers.get('content-type') === 'text/event-stream' ? response : response.clone()
    await contract.checkAnswer(request.method, context.rawPath, copy)
    return response
  }
  return {
    admin,
    lines,
    clock,
    api,
    handle,
    async call(method, target, body, headers = { 'x-api-key': KEY }) {
      const [rawPath = '', query = ''] = target.split(/\?(.*)/s)
      const request = createRequest(method, body, headers, query)
      const response = await handle(request, { rawPath, remoteAddress: '192.0.2.7' })
      if (response.ok && body !== undefined) checkBody(method, rawPath, body)
      return response
    },
  }
}

/** A body that was taken is one that the document allows. */
function checkBody(method: string, rawPath: string, body: unknown): void {
  const problem = contract.bodyProblem(method, rawPath, typeof body === 'string' ? body : JSON.stringify(body))
  if (problem !== undefined) throw new Error(`${method} ${rawPath} took a body that is not documented: ${problem}`)
}

/** The URL says nothing: routing goes by the raw path. */
export function createRequest(method: string, body: unknown, headers: Record<string, string>, query = ''): Request {
  const init: RequestInit = { method, headers }
  if (body instanceof ReadableStream) Object.assign(init, { body, duplex: 'half' })
  else if (typeof body === 'string' || body instanceof Uint8Array) init.body = body
  else if (body !== undefined) init.body = JSON.stringify(body)
  return new Request(`http://relay.test/?${query}`, init)
}

/** A body of `chunks`, counting how many were asked for; `endless` repeats the last one. */
export function streamOf(chunks: readonly Uint8Array[], endless = false) {
  const seen = { pulled: 0, cancelled: false }
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[seen.pulled] ?? (endless ? chunks.at(-1) : undefined)
        if (chunk === undefined) return controller.close()
        seen.pulled++
        controller.enqueue(chunk)
      },
      cancel() {
        seen.cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, seen }
}

export async function expectJson(response: Response): Promise<unknown> {
  const text = await response.text()
  if (response.headers.get('content-type') !== 'application/json') throw new Error(`not JSON: ${text}`)
  return JSON.parse(text)
}

/** The body of every answer that is an error. */
export const failure = (error: string) => ({ success: false, error })

export const textError = (field: string) =>
  `${field} must be a string of 1 to 255 bytes of UTF-8 without control characters`

/** What no token may be: control characters, lone surrogates, too long, of a wrong type. */
export const BAD_TOKENS: readonly unknown[] = [
  ...['a\nb', '\u0000', 'del\u007f', 'c1\u0085', '\ud800', 'x\udc00y', 'x'.repeat(256), 'é'.repeat(128)],
  ...[0, 1, true, false, [], ['x'], {}],
]

/** A forward token that nobody uses. */
export function tokenInfo(info: Partial<TokenInfo>): TokenInfo {
  const traits = { label: undefined, enabled: true, expiresAt: undefined, state: 'active', source: 'api' } as const
  const counts = { number: 1, stored: false, createdAt: 0, clients: 0, streams: 0, rules: [] }
  return { id: '0'.repeat(24), type: 'forward', token: 'token', ...traits, ...counts, ...info }
}
