import { type Logger, limitedLog, remoteText } from '../log.js'
import type { Clock, Crypto } from '../ports.js'
import type { RelayAdmin } from '../relay/admin.js'
import type { FailedAttempts } from '../relay/admission/failed-attempts.js'
import { type Answer, json, optionsAnswer, plainText, Refusal, toResponse } from './answers.js'
import { createAudit } from './audit.js'
import { announcedTooLarge } from './body.js'
import { documentedRoutes } from './calls.js'
import { Events } from './events.js'
import { refusalFor } from './failures.js'
import { type ApiKey, createKeyCheck, type KeyHolder } from './keys.js'
import { liveRoutes } from './live.js'
import { openApiOf } from './openapi.js'
import { parseQuery } from './parse.js'
import { noQuery } from './resources.js'
import { matchPath, type Route } from './route.js'
import { tokenRoutes } from './tokens.js'

/** The metrics, as text for Prometheus. */
export interface MetricsSource {
  readonly contentType: string
  render(): Promise<string>
}

export interface ApiOptions {
  readonly admin: RelayAdmin
  readonly version: string
  /** What `X-API-Key` may be. @default none: everything under `/api/` is 404 */
  readonly apiKeys?: readonly ApiKey[] | undefined
  /** What `/metrics` takes besides. @default none */
  readonly metricsKey?: string | undefined
  readonly metrics?: MetricsSource | undefined
  readonly clock: Clock
  readonly crypto: Crypto
  readonly log: Logger
  /** Shared with whoever else authenticates. */
  readonly attempts: FailedAttempts
}

export interface ApiContext {
  /** Path of the request exactly as on the wire, one character per byte, without the query: parsed URLs lose `%2e%2e`. */
  readonly rawPath: string
  /** Who asks, for the log. */
  readonly remoteAddress: string
  /** Called when the key is right. */
  readonly admitted?: (() => void) | undefined
}

export interface Api {
  /** Every route there is, for the documentation. */
  readonly routes: readonly Route[]
  /** Who reads events now. */
  readonly eventReaders: number
  /** Answers one request. Never rejects. */
  handle(request: Request, context: ApiContext): Promise<Response>
  /** Ends the streams of events. */
  close(): void
}

const API_PREFIX = '/api/'
/** Told to who has failed too often. */
const RETRY_AFTER_S = '10'
/** A 401 carries a challenge (RFC 9110 section 15.5.2); browsers ignore a scheme they don't know. */
const CHALLENGE = 'X-API-Key realm="LinkSocks"'

/** The HTTP API, `/healthz`, `/readyz`, `/metrics`, and the line at `/` that says whether the API is enabled. */
export function createApi(options: ApiOptions): Api {
  return new RelayApi(options)
}

class RelayApi implements Api {
  readonly routes: readonly Route[]
  readonly #options: ApiOptions
  readonly #events: Events
  readonly #keyOf: ReturnType<typeof createKeyCheck>
  readonly #isMetricsKey: ReturnType<typeof createKeyCheck>
  readonly #enabled: boolean
  #document: object | undefined
  /** Anybody may guess: one line each, as long as there are few. */
  readonly #guessLog: Logger

  constructor(options: ApiOptions) {
    const { apiKeys = [], metricsKey, admin, version, clock, crypto, log } = options
    this.#options = options
    this.#keyOf = createKeyCheck(apiKeys, crypto)
    const metricsKeys =
      metricsKey === undefined ? [] : [{ name: 'metrics', role: 'read-only', key: metricsKey } as const]
    this.#isMetricsKey = createKeyCheck(metricsKeys, crypto)
    this.#enabled = apiKeys.length > 0
    this.#guessLog = limitedLog(log, () => clock.now())
    this.#events = new Events({ admin, clock, crypto, version })
    const audit = createAudit(log)
    this.routes = [
      { ...OPEN, path: '/', summary: 'Says that a relay is there', handle: () => plainText(this.#greeting) },
      ...documentedRoutes({ admin, version, audit }),
      ...tokenRoutes({ admin, audit }),
      ...liveRoutes({ admin, audit, version, startedAt: clock.wallTime() }),
      this.#events.route,
      this.#metricsRoute,
      this.#openApiRoute,
    ]
  }

  get eventReaders(): number {
    return this.#events.readers
  }

  async handle(request: Request, context: ApiContext): Promise<Response> {
    return toResponse(await this.#settle(request, context), request.method === 'HEAD')
  }

  close(): void {
    this.#events.close()
  }

  /** Answers what a call threw: the caller's fault as such, anything else as 500 with the cause in the log only. */
  async #settle(request: Request, context: ApiContext): Promise<Answer> {
    try {
      return await this.#authorize(request, context)
    } catch (thrown) {
      const refusal = refusalFor(thrown)
      if (refusal !== undefined) return refusal
      const error = thrown instanceof Error ? remoteText(thrown.message) : typeof thrown
      this.#options.log.error('api.failed', { error })
      return new Refusal(500, 'internal error')
    }
  }

  /** Judges in this order: key, path, method, right, query, size; what is left, JSON and fields, is the call's to judge. */
  #authorize(request: Request, context: ApiContext): Promise<Answer> | Answer {
    const { rawPath, remoteAddress, admitted } = context
    let key: KeyHolder | undefined
    if (rawPath.startsWith(API_PREFIX) || rawPath === METRICS_PATH) {
      const metrics = rawPath === METRICS_PATH
      if (!this.#serves(metrics)) return new Refusal(404, metrics ? 'metrics are not enabled' : 'API is not enabled')
      key = this.#holderOf(request, metrics)
      if (key === undefined) return this.#rejected(remoteAddress)
      admitted?.()
    }
    const found = this.routes.flatMap((route) => {
      const segment = matchPath(route.path, rawPath)
      return segment === undefined ? [] : [{ route, segment }]
    })
    if (found.length === 0) return new Refusal(404, 'not found')
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const match = found.find(({ route }) => route.method === method)
    if (match === undefined)
      return otherMethod(
        request,
        found.map(({ route }) => route.method),
      )
    const { route, segment } = match
    if (route.access === 'full' && key?.role !== 'full') return new Refusal(403, 'this API key may only read')
    const query = route.query === undefined ? {} : parseQuery(route.query, request)
    if (query instanceof Refusal) return query
    return announcedTooLarge(request) ?? route.handle({ request, segment, query, key, remoteAddress })
  }

  #serves(metrics: boolean): boolean {
    return this.#enabled || (metrics && this.#options.metricsKey !== undefined)
  }

  #holderOf({ headers }: Request, metrics: boolean): KeyHolder | undefined {
    const given = headers.get('x-api-key') ?? (metrics ? bearerOf(headers) : null)
    return this.#keyOf(given) ?? (metrics ? this.#isMetricsKey(given) : undefined)
  }

  async #rejected(remoteAddress: string): Promise<Refusal> {
    const { attempts, clock } = this.#options
    this.#guessLog.warn('api.key.rejected', { remote: remoteText(remoteAddress) })
    const { delayMs, refused } = attempts.note(remoteAddress, 'api_key')
    if (delayMs > 0) await new Promise<void>((resolve) => void clock.after(delayMs, resolve))
    if (refused) return new Refusal(429, 'too many failed attempts', { 'retry-after': RETRY_AFTER_S })
    return new Refusal(401, 'invalid API key', { 'www-authenticate': CHALLENGE })
  }

  /** The deployed wording: programs recognise a relay by it. */
  get #greeting(): string {
    const rest = this.#enabled ? '. API endpoints available at /api/*' : ' but API is not enabled.'
    return `LinkSocks ${this.#options.version} is running${rest}\n`
  }

  get #metricsRoute(): Route {
    const { metrics } = this.#options
    return {
      ...OPEN,
      path: METRICS_PATH,
      access: 'metrics',
      summary: 'Metrics in the text format of Prometheus',
      failures: [404],
      handle: async () =>
        metrics === undefined
          ? new Refusal(404, 'metrics are not enabled')
          : plainText(await metrics.render(), metrics.contentType),
    }
  }

  get #openApiRoute(): Route {
    return {
      ...OPEN,
      path: '/api/openapi.json',
      access: 'read',
      summary: 'This document',
      query: noQuery,
      answer: { status: 200, type: 'application/json' },
      handle: () => {
        this.#document ??= openApiOf(this.routes, this.#options.version)
        return json(this.#document)
      },
    }
  }
}

const METRICS_PATH = '/metrics'
const OPEN = { method: 'GET', access: 'open', answer: { status: 200, type: 'text/plain' } } as const

function otherMethod({ method }: Request, methods: readonly string[]): Answer {
  const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
  return method === 'OPTIONS' ? optionsAnswer(allow) : new Refusal(405, 'method not allowed', { allow })
}

/** `Authorization: Bearer KEY`, which is what Prometheus sends. */
function bearerOf(headers: Headers): string | null {
  return /^bearer +(.+)$/i.exec(headers.get('authorization') ?? '')?.[1] ?? null
}
