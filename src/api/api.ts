/** One request after the other: its key, its route, and how what the route throws is answered. */

import type { FailedAttempts } from '../inbound/failed-attempts.js'
import { type Logger, limitedLog, remoteText } from '../log.js'
import type { Clock, Crypto } from '../ports.js'
import type { RelayAdmin } from '../relay/admin.js'
import { accessRoute, changeAccessRoute } from './access.js'
import { createAudit } from './audit.js'
import { disconnectClientRoute, listClientsRoute } from './clients.js'
import { EventReaders, eventsRoute } from './events.js'
import { type ApiKey, createKeyCheck, type KeyCheck, type KeyHolder } from './keys.js'
import { METRICS_PATH, type MetricsSource, metricsRoute } from './metrics-route.js'
import { openApiRoute } from './openapi.js'
import { type Answer, optionsAnswer, Refusal, toResponse } from './request/answers.js'
import { announcedTooLarge } from './request/body.js'
import { refusalFor } from './request/failures.js'
import { parseQuery } from './request/parse.js'
import { matchPath, type Route } from './route.js'
import { greetingRoute, healthRoute, readinessRoute, serverRoute, statusRoute } from './server.js'
import { listStreamsRoute } from './streams.js'
import { checkTokenRoute } from './token-dry-run.js'
import { resetUsageRoute, tokenUsageRoute } from './token-usage.js'
import { changeTokenRoute, listTokensRoute, removeTokenRoute, tokenRoute } from './tokens.js'
import { addTokenRoute, removeTokenInBodyRoute, removeTokenInPathRoute } from './tokens-by-text.js'

export interface ApiOptions {
  readonly admin: RelayAdmin
  readonly version: string
  /** What `X-API-Key` may be. @default none: everything under `/api/` is 404 */
  readonly apiKeys?: readonly ApiKey[] | undefined
  /** What `/metrics` takes beside these. @default none */
  readonly metricsKey?: string | undefined
  readonly metrics?: MetricsSource | undefined
  readonly clock: Clock
  readonly crypto: Crypto
  readonly log: Logger
  /** Shared with all else that authenticates. */
  readonly attempts: FailedAttempts
}

export interface ApiContext {
  /** Path of the request exactly as on the wire, one character per byte, without the query: parsed URLs lose `%2e%2e`. */
  readonly rawPath: string
  /** The address of the client, for the log. */
  readonly remoteAddress: string
  /** Called when the key is right. */
  readonly admitted?: (() => void) | undefined
}

export interface Api {
  /** Every route there is, for the documentation. */
  readonly routes: readonly Route[]
  /** How many read events now. */
  readonly eventReaders: number
  /** Answers one request. Never rejects. */
  handle(request: Request, context: ApiContext): Promise<Response>
  /** Ends the streams of events. */
  close(): void
}

const API_PREFIX = '/api/'
/** For an address that has failed too often. */
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
  readonly #readers: EventReaders
  readonly #keyOf: KeyCheck
  readonly #metricsKeyOf: KeyCheck
  readonly #enabled: boolean
  /** Anybody may guess: one line each, as long as there are few. */
  readonly #guessLog: Logger

  constructor(options: ApiOptions) {
    const { apiKeys = [], metricsKey, clock, crypto, log } = options
    this.#options = options
    this.#keyOf = createKeyCheck(apiKeys, crypto)
    const metricsKeys =
      metricsKey === undefined ? [] : [{ name: 'metrics', role: 'read-only', key: metricsKey } as const]
    this.#metricsKeyOf = createKeyCheck(metricsKeys, crypto)
    this.#enabled = apiKeys.length > 0
    this.#guessLog = limitedLog(log, () => clock.now())
    this.#readers = new EventReaders(options)
    this.routes = this.#createRoutes()
  }

  get eventReaders(): number {
    return this.#readers.size
  }

  async handle(request: Request, context: ApiContext): Promise<Response> {
    return toResponse(await this.#settle(request, context), request.method === 'HEAD')
  }

  close(): void {
    this.#readers.close()
  }

  /** In the order of the document. */
  #createRoutes(): readonly Route[] {
    const { admin, clock, log, metrics, version } = this.#options
    const audit = createAudit(log)
    const context = { admin, audit, version, startedAt: clock.wallTime(), enabled: this.#enabled }
    return [
      greetingRoute(context),
      statusRoute(context),
      addTokenRoute(context),
      removeTokenInBodyRoute(context),
      removeTokenInPathRoute(context),
      listTokensRoute(context),
      tokenRoute(context),
      changeTokenRoute(context),
      removeTokenRoute(context),
      tokenUsageRoute(context),
      resetUsageRoute(context),
      checkTokenRoute(context),
      accessRoute(context),
      changeAccessRoute(context),
      serverRoute(context),
      listClientsRoute(context),
      disconnectClientRoute(context),
      listStreamsRoute(context),
      healthRoute(),
      readinessRoute(context),
      eventsRoute(this.#readers),
      metricsRoute(metrics),
      openApiRoute(() => this.routes, version),
    ]
  }

  /** Answers what a route threw: the caller's fault as such, anything else as 500 with the cause in the log only. */
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

  /** Asks for the key where the path needs one, whether there is such a route or not. */
  #authorize(request: Request, context: ApiContext): Promise<Answer> | Answer {
    const { rawPath, remoteAddress, admitted } = context
    const metrics = rawPath === METRICS_PATH
    if (!metrics && !rawPath.startsWith(API_PREFIX)) return this.#route(request, context, undefined)
    if (!this.#serves(metrics)) return new Refusal(404, metrics ? 'metrics are not enabled' : 'API is not enabled')
    const key = this.#holderOf(request, metrics)
    if (key === undefined) return this.#rejectKey(remoteAddress)
    admitted?.()
    return this.#route(request, context, key)
  }

  /** Checks in this order: path, method, right, query, size; the route itself then checks JSON and fields. */
  #route(
    request: Request,
    { rawPath, remoteAddress }: ApiContext,
    key: KeyHolder | undefined,
  ): Promise<Answer> | Answer {
    const matches = this.routes.flatMap((route) => {
      const segment = matchPath(route.path, rawPath)
      return segment === undefined ? [] : [{ route, segment }]
    })
    // `{id}` stands for `x/check` too, where `{id}/check` is meant
    const found = matches.some(isNarrow) ? matches.filter(isNarrow) : matches
    if (found.length === 0) return new Refusal(404, 'not found')
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const match = found.find(({ route }) => route.method === method)
    if (match === undefined) return otherMethod(request, found)
    const { route, segment } = match
    if (route.access === 'full' && key?.role !== 'full') return new Refusal(403, 'this API key may only read')
    const query = route.query === undefined ? {} : parseQuery(route.query, request)
    if (query instanceof Refusal) return query
    return (
      announcedTooLarge(request, route.maxBodyBytes) ?? route.handle({ request, segment, query, key, remoteAddress })
    )
  }

  #serves(metrics: boolean): boolean {
    return this.#enabled || (metrics && this.#options.metricsKey !== undefined)
  }

  #holderOf({ headers }: Request, metrics: boolean): KeyHolder | undefined {
    const given = headers.get('x-api-key') ?? (metrics ? bearerOf(headers) : null)
    return this.#keyOf(given) ?? (metrics ? this.#metricsKeyOf(given) : undefined)
  }

  async #rejectKey(remoteAddress: string): Promise<Refusal> {
    const { attempts, clock } = this.#options
    this.#guessLog.warn('api.key.rejected', { remote: remoteText(remoteAddress) })
    const { delayMs, refused } = attempts.note(remoteAddress, 'api_key')
    if (delayMs > 0) await new Promise<void>((resolve) => void clock.after(delayMs, resolve))
    if (refused) return new Refusal(429, 'too many failed attempts', { 'retry-after': RETRY_AFTER_S })
    return new Refusal(401, 'invalid API key', { 'www-authenticate': CHALLENGE })
  }
}

/** Whether the path of a route goes on after its braces. */
function isNarrow({ route }: { readonly route: Route }): boolean {
  return route.path.includes('}/')
}

/** @param found the routes of the path */
function otherMethod({ method }: Request, found: readonly { readonly route: Route }[]): Answer {
  const methods: readonly string[] = found.map(({ route }) => route.method)
  const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
  return method === 'OPTIONS' ? optionsAnswer(allow) : new Refusal(405, 'method not allowed', { allow })
}

/** `Authorization: Bearer KEY`, which is what Prometheus sends. */
function bearerOf(headers: Headers): string | null {
  return /^bearer +(.+)$/i.exec(headers.get('authorization') ?? '')?.[1] ?? null
}
