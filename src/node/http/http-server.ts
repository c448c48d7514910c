import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { socketIp } from '../../address.js'
import { Refusal } from '../../api/request/answers.js'
import { type Logger, limitedLog, remoteText } from '../../log.js'
import type { AbortOptions } from '../../ports.js'
import { MAX_HTTP_HEADER_BYTES } from '../../protocol/limits.js'
import type { InheritedSocket } from '../net/inherited-socket.js'
import type { ListenAddress } from '../net/listen-address.js'
import { nodeClock } from '../system/clock.js'
import { clientSubject } from '../tls/client-subject.js'
import { isTls } from '../tls/shared-tls.js'
import type { TlsAcceptor, TlsAcceptorOptions } from '../tls/tls-acceptor.js'
import type { WsTransport } from '../websocket/ws-transport.js'
import { type BrokenRequest, brokenReason, refuseBroken } from './broken-request.js'
import { discardBody } from './http-body.js'
import { HttpConnections } from './http-connections.js'
import { ALLOWED_METHODS, type RawTarget, rawTarget, toRequest, writeResponse } from './http-exchange.js'
import { type CameBy, HttpListeners } from './http-listeners.js'
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
/** At close(): how long requests under way may take to be answered. */
const CLOSE_GRACE_MS = 1_000
/** Close code of the WebSockets then: going away (RFC 6455 section 7.4.1). */
const GOING_AWAY = 1001

/** Whom a connection of a Unix socket comes from, where its proxy does not say. */
const UNIX_PEER = 'unix'

/** Answers of this type last as long as their readers. */
const EVENTS = 'text/event-stream'

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
  /** Of the certificate that the client proved to hold (RFC 4514). */
  readonly subject: string | undefined
  readonly headers: IncomingHttpHeaders
  /** Called when the peer has authenticated; without that the WebSocket ends after 10 s. */
  readonly admitted: () => void
}

/** A WebSocket that is not open yet. */
export type UpgradeRequest = Pick<UpgradeInfo, 'query' | 'remoteAddress' | 'subject'>

/** What the TLS addresses of a server have. */
export interface HttpTls {
  /** Makes what does the handshakes. */
  readonly createAcceptor: (options: Pick<TlsAcceptorOptions, 'secured' | 'plain' | 'rejected'>) => TlsAcceptor
  /** Whether clients have to show a certificate. */
  readonly needsClientCertificate: boolean
}

export interface HttpServerOptions {
  /** At least one. */
  readonly listen: readonly ListenAddress[]
  /** The socket of a descriptor among these. @default none may be given */
  readonly inherited?: ((fd: number) => InheritedSocket | undefined) | undefined
  /** For addresses with TLS. @default none may be given */
  readonly tls?: HttpTls | undefined
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
  /** As they were given, with the ports that the system picked. */
  readonly addresses: readonly ListenAddress[]
  /** Stops accepting connections; WebSockets and requests under way go on. Idempotent. */
  stopAccepting(): void
  /** Whether all requests are answered, and none is about to come on a connection that was accepted lately. */
  readonly isQuiet: boolean
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
  readonly #listeners: HttpListeners
  readonly #acceptor: TlsAcceptor | undefined
  /** Connections of Unix sockets: what is at their other end is on this machine, and a reverse proxy. */
  readonly #local = new WeakSet<Duplex>()
  #closing: Promise<void> | undefined
  #stopped = false
  /** Requests that are not answered, those for events left out: these are never done. */
  #answering = 0

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
    const { listen: addresses, inherited, log, tls } = options
    const connected = (socket: Socket, by: CameBy): void => this.#connected(socket, by)
    this.#listeners = new HttpListeners({ addresses, inherited, log, connected })
    this.#acceptor = tls?.createAcceptor({
      secured: (socket, raw) => this.#secured(socket, raw),
      plain: (raw) => this.#refusePlain(raw),
      rejected: (reason, raw) => this.#rejected(reason, raw),
    })
    this.#attach()
  }

  get addresses(): readonly ListenAddress[] {
    return this.#listeners.addresses
  }

  async listen(): Promise<void> {
    // it listens by others; this starts the timers of its deadlines
    this.#server.emit('listening')
    await this.#listeners.open()
  }

  /** Takes no new connections; one that is under way ends with its answer. */
  stopAccepting(): void {
    this.#stopped = true
    this.#listeners.stop()
  }

  get isQuiet(): boolean {
    return this.#answering === 0 && !this.#connections.someExpected
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
    const closed = this.#listeners.close()
    this.#server.closeIdleConnections()
    // never listened, and has only its timers to stop
    this.#server.close(() => {})
    return closed.finally(() => clearTimeout(timer))
  }

  #connected(socket: Socket, by: CameBy): void {
    if (by === 'unix') this.#local.add(socket)
    if (by !== 'tls') return void this.#server.emit('connection', socket)
    if (this.#acceptor === undefined) throw new TypeError('an address with TLS needs certificates')
    this.#connections.track(socket)
    this.#acceptor.accept(socket)
  }

  #secured(socket: TLSSocket, raw: Socket): void {
    this.#connections.secured(raw, socket)
    this.#server.emit('connection', socket)
  }

  #refusePlain(raw: Socket): void {
    this.#rejected('no TLS on a port that has it: use wss:// or https://', raw)
    raw.resume()
    refuseSocket(raw, new Refusal(400, 'this port speaks TLS: use https:// or wss://'))
  }

  /** Why nothing is served on a connection. */
  #unauthenticated(socket: Duplex): Refusal | undefined {
    if (this.#options.tls?.needsClientCertificate !== true || !isTls(socket) || socket.authorized) return undefined
    const shown = socket.getPeerX509Certificate() !== undefined
    const problem = shown ? `your certificate is not accepted (${socket.authorizationError})` : 'you showed none'
    return new Refusal(403, `a client certificate is needed here, and ${problem}`, { Connection: 'close' })
  }

  #attach(): void {
    const server = this.#server
    server.on('connection', (socket) => this.#connections.track(socket))
    server.on('request', (request, response) => void this.#exchange(request, response))
    server.on('checkContinue', (request, response) => void this.#exchange(request, response, true))
    server.on('connect', (_request, socket) =>
      refuseSocket(socket, new Refusal(405, 'method not allowed', { Allow: ALLOWED_METHODS })),
    )
    server.on('clientError', (error: BrokenRequest, socket) => {
      if (error.code !== 'ECONNRESET') this.#rejected(brokenReason(error, socket), socket)
      refuseBroken(error, socket)
    })
    acceptUpgrades(server, {
      isSocketPath: this.#options.isSocketPath,
      check: (request, target, options) => this.#checkUpgrade(request, target, options),
      accept: (transport, request, target) => this.#accept(transport, request, target),
      rejected: (reason, socket) => this.#rejected(reason, socket),
    })
  }

  #checkUpgrade(
    request: IncomingMessage,
    { query }: RawTarget,
    options: AbortOptions,
  ): Promise<Refusal | undefined> | undefined {
    const unauthenticated = this.#unauthenticated(request.socket)
    if (unauthenticated !== undefined) return Promise.resolve(unauthenticated)
    const remoteAddress = this.#remoteAddress(request)
    const asked = { query: new URLSearchParams(query), remoteAddress, subject: clientSubject(request.socket) }
    return this.#options.checkUpgrade?.(asked, options)
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
        subject: clientSubject(transport.socket),
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
    this.#connections.asked(message.socket)
    const answered = this.#countAnswering()
    let bodyComes = !expectsContinue
    const onRead = (): void => {
      if (!bodyComes && !out.headersSent) out.writeContinue()
      bodyComes = true
    }
    try {
      const request = toRequest(message, { signal: gone.signal, onRead })
      if (request instanceof Request) this.#hold(request, out)
      const response = request instanceof Request ? await this.#answer(request, message) : request
      if (response instanceof Response && response.headers.get('content-type')?.startsWith(EVENTS) === true) answered()
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
    } finally {
      answered()
    }
  }

  /** @returns what is called when the request is answered, or is not waited for any more */
  #countAnswering(): () => void {
    let counts = true
    this.#answering += 1
    return () => {
      if (counts) this.#answering -= 1
      counts = false
    }
  }

  async #answer(request: Request, message: IncomingMessage): Promise<Response> {
    const unauthenticated = this.#unauthenticated(message.socket)
    if (unauthenticated !== undefined) return responseOf(unauthenticated)
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
    const trusted = this.#options.trusted ?? (() => false)
    if (!this.#local.has(socket)) return clientAddress(socket.remoteAddress ?? '', forwardedFor, trusted)
    return clientAddress(UNIX_PEER, forwardedFor, (address) => address === UNIX_PEER || trusted(address))
  }
}

/** What reverse proxies leave of a handshake unless they are told to pass it on (RFC 9110 section 15.5.22). */
function noHandshake(): Refusal {
  const error = 'here a WebSocket is opened: a reverse proxy in between must pass on the Upgrade and Connection headers'
  return new Refusal(426, error, { Upgrade: 'websocket', Connection: 'Upgrade, close' })
}
