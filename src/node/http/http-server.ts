import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createNetServer, type Server as NetServer, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { socketIp } from '../../address.js'
import { Refusal } from '../../api/request/answers.js'
import { type Logger, limitedLog, remoteText } from '../../log.js'
import type { AbortOptions, SocketAddress } from '../../ports.js'
import { MAX_HTTP_HEADER_BYTES } from '../../protocol/limits.js'
import { closeServers, listen } from '../net/listen.js'
import { nodeClock } from '../system/clock.js'
import type { WsTransport } from '../websocket/ws-transport.js'
import { discardBody } from './http-body.js'
import { HttpConnections } from './http-connections.js'
import { ALLOWED_METHODS, rawTarget, toRequest, writeResponse } from './http-exchange.js'
import { refuseSocket, responseOf, writeRefusal } from './http-refusal.js'
import { acceptUpgrades, wantsWebSocket } from './http-upgrade.js'
import { clientAddress, type TrustedProxies } from './trusted-proxy.js'

/** From the first byte of a connection or request to the end of its header. */
const HEADER_TIMEOUT_MS = 10_000
/** From the first byte of a request to the end of its body. */
const REQUEST_TIMEOUT_MS = 30_000
/** A connection between two requests. */
export const KEEP_ALIVE_TIMEOUT_MS = 5_000
/** How often the deadlines are looked at. */
const TIMEOUT_CHECK_MS = 1_000
/** Header fields that are read; further ones are left out. */
const MAX_HEADER_FIELDS = 100
/** Connections at a time, WebSockets included; more are closed at once. */
const MAX_CONNECTIONS = 16_384
/** At close(): how long requests under way may take to be answered. */
const CLOSE_GRACE_MS = 1_000
/** Close code of the WebSockets then: going away (RFC 6455 section 7.4.1). */
const GOING_AWAY = 1001

export interface RequestContext {
  /** Path as on the wire, without the query: a parsed URL has swallowed segments such as `%2e%2e`. */
  readonly rawPath: string
  /** The client's IP text; behind a trusted proxy what that proxy says. */
  readonly remoteAddress: string
  /** Called when whoever asks has proven to be allowed to. */
  readonly admitted: () => void
}

export interface UpgradeInfo {
  readonly rawPath: string
  /** May carry a secret: not for the log. */
  readonly query: URLSearchParams
  readonly remoteAddress: string
  readonly headers: IncomingHttpHeaders
  /** Called when the peer has authenticated; without that the WebSocket ends after 10 s. */
  readonly admitted: () => void
}

/** A WebSocket that is not open yet. */
export type UpgradeRequest = Pick<UpgradeInfo, 'query' | 'remoteAddress'>

export interface HttpServerOptions {
  readonly host: string
  /** 0 lets the system pick. */
  readonly port: number
  readonly log: Logger
  /** Answers a request; one that throws is answered 500. */
  readonly handle: (request: Request, context: RequestContext) => Promise<Response>
  /** Whether WebSockets are accepted at this raw path. */
  readonly isSocketPath: (path: string) => boolean
  /** Why a WebSocket is not to be opened; `undefined` instead of a promise where nothing is waited for. Never rejects. @default all are */
  readonly checkUpgrade?:
    | ((request: UpgradeRequest, options: AbortOptions) => Promise<Refusal | undefined> | undefined)
    | undefined
  /** Takes an open WebSocket, not started yet; one that throws ends it. */
  readonly upgrade: (transport: WsTransport, info: UpgradeInfo) => void
  /** Whose X-Forwarded-For is believed. @default nobody's */
  readonly trusted?: TrustedProxies | undefined
  /** @default {@link HEADER_TIMEOUT_MS} */
  readonly headerTimeoutMs?: number | undefined
  /** Connections at a time whose peer has not authenticated. @default 1_024 */
  readonly maxPending?: number | undefined
}

export interface HttpServer {
  readonly address: SocketAddress
  /** Stops accepting connections; WebSockets and requests under way go on. Idempotent. */
  stopAccepting(): void
  /**
   * Stops accepting, closes the WebSockets (1001), gives requests under way a second, then ends every connection.
   * All callers share one promise.
   */
  close(): Promise<void>
}

/**
 * Serves HTTP and WebSockets on one port.
 * @throws {LinkSocksError} ERR_LISTEN
 */
export async function listenHttp(options: HttpServerOptions): Promise<HttpServer> {
  const server = new NodeHttpServer(options)
  await server.listen()
  return server
}

class NodeHttpServer implements HttpServer {
  readonly #options: HttpServerOptions
  readonly #limitedLog: Logger
  readonly #server: Server
  readonly #connections: HttpConnections
  readonly #transports = new Set<WsTransport>()
  /** Held until answered: a Request that is collected takes along the listeners of its signal. */
  readonly #requests = new Set<Request>()
  #address: SocketAddress | undefined
  /** That one, and one for the other family of `localhost`. */
  #servers: readonly NetServer[] = []
  #closing: Promise<void> | undefined
  #stopped = false

  constructor(options: HttpServerOptions) {
    this.#options = options
    this.#limitedLog = limitedLog(options.log, () => nodeClock.now())
    this.#connections = new HttpConnections(this.#limitedLog, options.maxPending)
    const headersTimeout = options.headerTimeoutMs ?? HEADER_TIMEOUT_MS
    const settings = {
      // known to Node 24.9 and later
      shouldUpgradeCallback: wantsWebSocket,
      headersTimeout,
      requestTimeout: Math.max(REQUEST_TIMEOUT_MS, headersTimeout),
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, headersTimeout),
      maxHeaderSize: MAX_HTTP_HEADER_BYTES,
      noDelay: true,
    }
    this.#server = createServer(settings)
    this.#server.maxHeadersCount = MAX_HEADER_FIELDS
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#attach()
  }

  get address(): SocketAddress {
    if (this.#address === undefined) throw new TypeError('not listening')
    return this.#address
  }

  async listen(): Promise<void> {
    const twin = (): NetServer => {
      const server = createNetServer({ allowHalfOpen: true, noDelay: true })
      server.maxConnections = MAX_CONNECTIONS
      return server
    }
    const { address, servers } = await listen(this.#server, this.#options, twin)
    this.#address = address
    this.#servers = servers
    this.#server.on('error', (error) => this.#options.log.error('http.failed', { error: error.message }))
  }

  /** Takes no new connections; one that is under way ends with its answer. */
  stopAccepting(): void {
    this.#stopped = true
    for (const server of this.#servers) if (server.listening) server.close()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #close(): Promise<void> {
    this.#stopped = true
    const timer = setTimeout(() => this.#connections.destroy(), CLOSE_GRACE_MS)
    // a WebSocket has a grace of its own
    for (const transport of this.#transports) transport.close(GOING_AWAY, 'server is shutting down')
    const closed = closeServers(this.#servers)
    this.#server.closeIdleConnections()
    return closed.finally(() => clearTimeout(timer))
  }

  #attach(): void {
    const server = this.#server
    server.on('connection', (socket) => this.#connections.track(socket))
    server.on('request', (request, response) => void this.#exchange(request, response))
    server.on('checkContinue', (request, response) => void this.#exchange(request, response, true))
    server.on('connect', (_request, socket) =>
      refuseSocket(socket, new Refusal(405, 'method not allowed', { Allow: ALLOWED_METHODS })),
    )
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      if (error.code !== 'ECONNRESET') this.#rejected(brokenReason(error), socket)
      refuseBroken(error, socket)
    })
    server.on('drop', () => this.#options.log.debug('http.connection.dropped', { limit: MAX_CONNECTIONS }))
    acceptUpgrades(server, {
      isSocketPath: this.#options.isSocketPath,
      check: (request, { query }, options) =>
        this.#options.checkUpgrade?.(
          { query: new URLSearchParams(query), remoteAddress: this.#remoteAddress(request) },
          options,
        ),
      accept: (transport, request, target) => this.#accept(transport, request, target),
      rejected: (reason, socket) => this.#rejected(reason, socket),
    })
  }

  /** What is no HTTP, or no WebSocket: one line each, as long as there are few. */
  #rejected(reason: string, socket: Duplex): void {
    const address = socket instanceof Socket ? socketIp(socket.remoteAddress ?? '') : ''
    this.#limitedLog.warn('http.rejected', { address, code: 'ERR_HTTP', reason: remoteText(reason) })
  }

  #accept(transport: WsTransport, request: IncomingMessage, target: { path: string; query: string }): void {
    this.#transports.add(transport)
    transport.socket.once('close', () => this.#transports.delete(transport))
    const remoteAddress = this.#remoteAddress(request)
    const admitted = this.#connections.upgraded(transport, remoteAddress)
    try {
      this.#options.upgrade(transport, {
        rawPath: target.path,
        query: new URLSearchParams(target.query),
        remoteAddress,
        headers: request.headers,
        admitted,
      })
    } catch (thrown) {
      this.#options.log.error('http.upgrade.failed', { error: remoteText(String(thrown)) })
      transport.abort()
    }
  }

  #hold(request: Request, out: ServerResponse): void {
    if (out.closed) return
    this.#requests.add(request)
    out.once('close', () => this.#requests.delete(request))
  }

  async #exchange(message: IncomingMessage, out: ServerResponse, expectsContinue = false): Promise<void> {
    const gone = new AbortController()
    out.on('close', () => gone.abort())
    // a connection that fails shows as 'close'
    out.on('error', () => {})
    let bodyComes = !expectsContinue
    const onRead = (): void => {
      if (!bodyComes && !out.headersSent) out.writeContinue()
      bodyComes = true
    }
    try {
      const request = toRequest(message, { signal: gone.signal, onRead })
      if (request instanceof Request) this.#hold(request, out)
      const response = request instanceof Request ? await this.#answer(request, message) : request
      const last = !message.complete || message.headers.upgrade !== undefined || this.#stopped
      if (last) out.setHeader('Connection', 'close')
      if (response instanceof Response) await writeResponse(response, out)
      else writeRefusal(response, out)
      if (bodyComes && !out.destroyed) await discardBody(message)
      out.end()
      // its header promised another request, which nobody waits for any more
      if (this.#stopped) message.socket.destroySoon()
      this.#connections.setPending(message.socket)
    } catch (thrown) {
      this.#options.log.error('http.response.failed', { error: remoteText(String(thrown)) })
      out.destroy()
    }
  }

  async #answer(request: Request, message: IncomingMessage): Promise<Response> {
    const rawPath = rawTarget(message.url ?? '/').path
    if (this.#options.isSocketPath(rawPath)) return responseOf(noHandshake())
    try {
      const admitted = (): void => this.#connections.accept(message.socket)
      return await this.#options.handle(request, { rawPath, remoteAddress: this.#remoteAddress(message), admitted })
    } catch (thrown) {
      this.#options.log.error('http.handler.failed', { error: remoteText(String(thrown)) })
      return responseOf(new Refusal(500, 'internal error'))
    }
  }

  #remoteAddress({ socket, headers }: IncomingMessage): string {
    const forwarded = headers['x-forwarded-for']
    const forwardedFor = Array.isArray(forwarded) ? forwarded.join(',') : forwarded
    return clientAddress(socket.remoteAddress ?? '', forwardedFor, this.#options.trusted ?? (() => false))
  }
}

/** What reverse proxies leave of a handshake unless they are told to pass it on (RFC 9110 section 15.5.22). */
function noHandshake(): Refusal {
  const error = 'here a WebSocket is opened: a reverse proxy in between must pass on the Upgrade and Connection headers'
  return new Refusal(426, error, { Upgrade: 'websocket', Connection: 'Upgrade, close' })
}

/** First byte of a TLS record that begins a handshake (RFC 8446 section 5.1). */
const TLS_HANDSHAKE = 0x16

function brokenReason(error: NodeJS.ErrnoException & { rawPacket?: Uint8Array }): string {
  if (error.rawPacket?.[0] === TLS_HANDSHAKE) return 'TLS on a port that has none: use ws:// or http://'
  return error.code ?? error.message
}

/** Answers what the HTTP parser refused, unless an answer is already under way. */
function refuseBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
  const answering = (socket as { _httpMessage?: ServerResponse | null })._httpMessage
  if (answering?.headersSent || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  if (error.code === 'HPE_HEADER_OVERFLOW') return refuseSocket(socket, new Refusal(431, 'request header too large'))
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return refuseSocket(socket, new Refusal(408, 'request timed out'))
  refuseSocket(socket, new Refusal(400, 'malformed request'))
}
