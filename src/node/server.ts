import { LinkSocksError } from '../errors.js'
import { FailedAttempts } from '../inbound/failed-attempts.js'
import { type Logger, silentLogger } from '../log.js'
import type { SocketAddress, TokenStore } from '../ports.js'
import { MAX_AUTH_MESSAGE_BYTES } from '../protocol/limits.js'
import { CONNECTOR_WAIT_MS, Relay } from '../relay/relay.js'
import { MemoryTokenStore } from '../relay/tokens/memory-token-store.js'
import { ServerAccess } from '../relay/tokens/server-access.js'
import type { AddedToken, TokenSpec, TokenStatus } from '../relay/tokens/token-spec.js'
import { checkServerOptions } from './check-options.js'
import { exitDialers } from './exit-dialers.js'
import type { UpgradeInfo } from './http/http-server.js'
import { type TrustedProxies, trustedProxies } from './http/trusted-proxy.js'
import type { InheritedSockets, OpenPort } from './inherited-sockets.js'
import { pingTimes, resumeTimeout } from './link-options.js'
import { inheritedDescriptors } from './listen-options.js'
import { nodeResolve } from './net/resolve.js'
import { type CloseOptions, DEFAULT_SOCKS_HOST, type ServerOptions } from './options.js'
import type { PreparedHttp, ServerHttp } from './server-http.js'
import { listenSocks, type SocksListenerOptions, socksListening, warnIfUnprotected } from './socks-listener.js'
import { LazyTokenStore } from './store/lazy-token-store.js'
import type { OwnedStore } from './store/store-owner.js'
import { nodeClock } from './system/clock.js'
import { nodeCrypto } from './system/crypto.js'
import { nodeInflate } from './system/inflate.js'
import { packageVersion } from './system/package-version.js'
import { limitInbound } from './websocket/limit-inbound.js'
import type { WsTransport } from './websocket/ws-transport.js'

const DEFAULT_PORT_RANGE = [10_000, 19_999] as const
/** How long the process before may keep the data directory, unless told otherwise. */
export const TAKE_OVER_WAIT_MS = 90_000
/** How long an alarm about wrong tokens and keys stays when no more of them come. */
const CROWDED_MS = 60_000
/** Room for one Auth message with its WebSocket framing, and a control frame or two. */
const MAX_UNAUTHENTICATED_BYTES = MAX_AUTH_MESSAGE_BYTES + 512

/**
 * A relay server: WebSockets at `/socket`, the HTTP API, and the proxy ports of its reverse tokens.
 *
 * ```ts
 * const server = new Server({ tokens: [{ type: 'forward', token: 'secret' }] })
 * const { port } = await server.listen()
 * ```
 */
export class Server implements AsyncDisposable {
  readonly #options: ServerOptions
  readonly #log: Logger
  readonly #relay: Relay
  readonly #trusted: TrustedProxies
  readonly #attempts: FailedAttempts
  /** Ends the wait for a data directory. */
  readonly #ended = new AbortController()
  /** What was passed to it. */
  #inherited: InheritedSockets | undefined
  #http: ServerHttp | undefined
  #listening: Promise<SocketAddress> | undefined
  #closing: Promise<void> | undefined

  /** @throws {LinkSocksError} ERR_OPTION */
  constructor(options: ServerOptions = {}) {
    checkServerOptions(options)
    this.#options = options
    this.#trusted = trustedProxies(options.trustedProxies ?? [])
    this.#log = options.logger ?? silentLogger
    const log = this.#log
    const socksHost = options.socksHost ?? DEFAULT_SOCKS_HOST
    const access = new ServerAccess({ entry: options.entryRules, dial: options.dialRules })
    const attempts = new FailedAttempts(nodeClock, (address) => this.#crowded(address))
    const { pacHosts, udpStrictPort } = options
    const ports = {
      host: socksHost,
      log,
      pacHosts,
      udpStrictPort,
      unauthorized: (address: string) => attempts.note(address, 'socks'),
    }
    this.#attempts = attempts
    this.#relay = new Relay({
      clock: nodeClock,
      crypto: nodeCrypto,
      inflate: nodeInflate,
      log,
      createExitDialer: exitDialers(options, log, access.dial),
      resolve: nodeResolve,
      access,
      openPort: (port) => this.#openPort({ ...ports, ...port }),
      handedPorts: () => this.#inherited?.socks,
      portRange: options.portRange ?? DEFAULT_PORT_RANGE,
      proxyProtocols: options.proxyProtocols,
      socksNowait: options.socksNowait ?? false,
      connectorWaitMs: options.connectorWaitMs ?? CONNECTOR_WAIT_MS,
      fastOpen: options.fastOpen ?? false,
      trace: options.traceMessages ?? false,
      pings: pingTimes(options),
      version: packageVersion(),
      resumeTimeoutMs: resumeTimeout(options),
      attempts,
      store: storeOf(options, log, this.#ended.signal),
    })
    this.#relay.events.subscribe(({ event }) => {
      if (event.type === 'token.added' || event.type === 'token.changed') this.#onToken(event.tokenId)
    })
  }

  /** The first HTTP and WebSocket port, while it is open; of a server with Unix sockets alone the path of the first, with port 0. */
  get address(): SocketAddress | undefined {
    return this.#http?.address
  }

  /** All addresses that it listens on, as URLs such as `wss://0.0.0.0:443`. */
  get addresses(): readonly string[] {
    return this.#http?.addresses ?? []
  }

  /** Where the metrics are, if they have an address of their own, while it is open. */
  get metricsAddress(): SocketAddress | undefined {
    return this.#http?.metricsAddress
  }

  /** Reads the files of its certificates again, as it does by itself when they change. Never rejects: what is wrong is an alarm. */
  async reload(): Promise<void> {
    await this.#http?.reload()
  }

  /**
   * Adds the tokens of the options and opens the port. All callers share one promise.
   * @throws {LinkSocksError} ERR_LISTEN (the port can't be opened, or a socket that was passed can't be used), ERR_OPTION (a certificate can't be used), ERR_STORE (the data directory can't be used),
   *   ERR_SHUTTING_DOWN (closed meanwhile or before), and as addToken()
   */
  listen(): Promise<SocketAddress> {
    this.#listening ??= this.#listen()
    return this.#listening
  }

  /** Tokens as they stand, connector tokens with their reverse token. */
  tokens(): readonly TokenStatus[] {
    return this.#relay.tokens()
  }

  /**
   * @throws {LinkSocksError} ERR_TOKEN_INVALID (the message names the field), ERR_TOKEN_RESERVED, ERR_TOKEN_EXISTS,
   *   ERR_PORT_UNAVAILABLE, ERR_REVERSE_TOKEN_NOT_FOUND, ERR_TOKEN_AUTONOMY, ERR_NOT_STORED
   */
  addToken(spec: TokenSpec): Promise<AddedToken> {
    return this.#relay.addToken(spec)
  }

  /**
   * Ends the token's links and streams at once and frees its port.
   * @throws {LinkSocksError} ERR_TOKEN_NOT_FOUND, ERR_NOT_STORED
   */
  removeToken(token: string): Promise<void> {
    return this.#relay.removeToken(token)
  }

  /**
   * Ends every link, stream and port; with `drainMs` it takes nothing new and lets streams end by themselves for so long before
   * that. Idempotent; all callers share one promise.
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #listen(): Promise<SocketAddress> {
    this.#checkOpen()
    let prepared: PreparedHttp | undefined
    try {
      this.#inherited = await takeInherited(this.#options)
      // clients do without
      const { ServerHttp } = await import('./server-http.js')
      prepared = await ServerHttp.prepare({
        ...this.#options,
        relay: this.#relay,
        attempts: this.#attempts,
        log: this.#log,
        trusted: this.#trusted,
        inherited: this.#inherited && ((fd) => this.#inherited?.get(fd)),
        upgrade: (transport, info) => this.#accept(transport, info),
      })
      await this.#relay.restore(this.#options.tokens ?? [])
      this.#http = await prepared.open()
    } catch (error) {
      prepared?.discard()
      await this.#relay.close()
      this.#inherited?.close()
      throw error
    }
    // close() waits for all of this, and closes the port
    this.#checkOpen()
    return this.#http.address
  }

  /** Warns of a proxy port that anybody may use. */
  #onToken(id: string): void {
    const reverse = this.#relay.tokenInfo(id)?.reverse
    if (reverse?.port === undefined) return
    const { address } = this.#inherited?.socks.get(reverse.port) ?? {}
    warnIfUnprotected(this.#log, address?.host ?? this.#options.socksHost ?? DEFAULT_SOCKS_HOST, reverse.username)
  }

  #openPort(options: SocksListenerOptions): Promise<OpenPort> {
    const inherited = this.#inherited?.socks.get(options.port)
    return inherited === undefined ? listenSocks(options) : inherited.open(socksListening(options))
  }

  #crowded(address: string): void {
    const message = 'so many wrong tokens or API keys came from there that they get no reason any more'
    this.#relay.alarms.raiseFor('authentication-failures', address, message, CROWDED_MS)
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new LinkSocksError('ERR_SHUTTING_DOWN', 'the server was closed')
  }

  #accept(transport: WsTransport, { query, remoteAddress, subject, admitted }: UpgradeInfo): void {
    const limit = limitInbound(transport, MAX_UNAUTHENTICATED_BYTES)
    const known = (): void => {
      limit.lift()
      admitted()
    }
    void this.#relay.accept({ transport, query, admitted: known }, { address: remoteAddress, subject })
  }

  async #close({ drainMs = 0, drainIdleMs }: CloseOptions): Promise<void> {
    this.#ended.abort(new LinkSocksError('ERR_SHUTTING_DOWN', 'the server was closed'))
    await this.#listening?.catch(() => {})
    if (drainMs > 0) {
      const http = this.#http
      http?.stopAccepting()
      const surroundings = { isQuiet: () => http?.isQuiet !== false, quieted: async () => http?.rest() }
      await this.#relay.drain({ limitMs: drainMs, idleMs: drainIdleMs }, surroundings)
    }
    await this.#relay.close()
    const http = this.#http
    this.#http = undefined
    await http?.close()
  }
}

/** What few servers have is loaded where it is wanted. */
async function takeInherited(options: ServerOptions): Promise<InheritedSockets | undefined> {
  if (inheritedDescriptors(options).length === 0) return undefined
  const { InheritedSockets } = await import('./inherited-sockets.js')
  return InheritedSockets.take(options)
}

function storeOf(options: ServerOptions, log: Logger, signal: AbortSignal): TokenStore {
  const { dataDir: directory, dataKey: key, takeOver = false } = options
  if (directory === undefined) return new MemoryTokenStore()
  const takesTurns = takeOver || inheritedDescriptors(options).length > 0
  const waitMs = options.dataDirWaitMs ?? (takesTurns ? TAKE_OVER_WAIT_MS : 0)
  const open = async (): Promise<TokenStore> => {
    const { checkOwned, openTokenDatabase } = await import('./store/token-database.js')
    const { openWhenFree } = await import('./store/open-when-free.js')
    const check = (owner: OwnedStore): Promise<void> => checkOwned(owner, { directory, key })
    const opened = (): Promise<TokenStore> => openTokenDatabase({ directory, key, log })
    return openWhenFree(opened, { directory, waitMs, takeOver, check, log, clock: nodeClock, signal })
  }
  return new LazyTokenStore(open, true)
}
