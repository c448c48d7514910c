import type { Duplex } from 'node:stream'
import { bareHost, checkTarget } from '../address.js'
import type { OpenTransport } from '../client/connect-link.js'
import { Tunnel } from '../client/tunnel.js'
import { LinkSocksError } from '../errors.js'
import { AccessDialer } from '../exit/access-dialer.js'
import { accessList } from '../exit/dial/access-rules.js'
import { FailedAttempts } from '../inbound/failed-attempts.js'
import { type Logger, silentLogger } from '../log.js'
import type { AbortOptions, Dialer, SocketAddress } from '../ports.js'
import { checkClientOptions } from './check-options.js'
import { variablesAt } from './connect/server-proxy.js'
import { connectWebSocket } from './connect/ws-connect.js'
import { exitDialers } from './exit-dialers.js'
import { pingTimes, resumeTimeout } from './link-options.js'
import { nodeResolve } from './net/resolve.js'
import { toDuplex } from './net/stream-duplex.js'
import type { TcpListener } from './net/tcp-listener.js'
import {
  type ClientOptions,
  type CloseOptions,
  DEFAULT_SERVER_URL,
  DEFAULT_SOCKS_PORT,
  type SocksListenOptions,
} from './options.js'
import { listenSocks, warnIfUnprotected } from './socks-listener.js'
import { nodeClock } from './system/clock.js'
import { nodeCrypto } from './system/crypto.js'
import { nodeInflate } from './system/inflate.js'
import { packageVersion } from './system/package-version.js'
import { watchWake } from './system/wake.js'

const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * The client side in any role: forward client, connector, or (with `reverse`) provider.
 *
 * ```ts
 * const client = new Client({ url: 'wss://relay.example', token: 'secret' })
 * await client.start()
 * const stream = await client.dial('intranet.example', 80)
 * ```
 */
export class Client implements AsyncDisposable {
  readonly #options: ClientOptions
  readonly #log: Logger
  readonly #tunnel: Tunnel
  readonly #proxyEnv: ClientOptions['proxyEnv']
  #listening: Promise<TcpListener> | undefined
  #listener: TcpListener | undefined
  #starting: Promise<void> | undefined
  #closing: Promise<void> | undefined
  /** Settles when the client ended for good: with the error that ended it, or `undefined` after `close()`. */
  readonly closed: Promise<LinkSocksError | undefined>

  /** @throws {LinkSocksError} ERR_OPTION */
  constructor(options: ClientOptions = {}) {
    this.#options = options
    this.#log = options.logger ?? silentLogger
    checkClientOptions(options)
    const dialRules = accessList(options.dialRules)
    this.#proxyEnv = withoutOwnPort(options, this.#log)
    this.#tunnel = new Tunnel({
      openTransport: (url, options) => this.#openTransport(url, options),
      clock: nodeClock,
      crypto: nodeCrypto,
      inflate: nodeInflate,
      log: this.#log,
      urls: [options.url ?? DEFAULT_SERVER_URL].flat(),
      token: options.token,
      reverse: options.reverse ?? false,
      authInBand: options.authInBand ?? false,
      connectorTokens: options.connectorTokens ?? [],
      reconnect: options.reconnect ?? true,
      retryAuth: options.retryAuth ?? false,
      threads: options.threads ?? 1,
      fastOpen: options.fastOpen ?? false,
      trace: options.traceMessages ?? false,
      pings: pingTimes(options),
      version: packageVersion(),
      resumeTimeoutMs: resumeTimeout(options),
      createExitDialer: exitDialers(options, this.#log, () => dialRules),
      watchWake,
    })
    this.closed = this.#runToEnd()
  }

  /** The local proxy port, while it is open. */
  get socksAddress(): SocketAddress | undefined {
    return this.#listener?.address
  }

  /** Connector tokens that are registered or wished for; generated ones appear once the server named them. */
  get connectorTokens(): readonly string[] {
    return this.#tunnel.connectorTokens
  }

  /**
   * Connects, and resolves once the first link is up and the proxy port open. All callers share one promise.
   * @throws {LinkSocksError} ERR_LISTEN, ERR_AUTH_REJECTED, ERR_URL, ERR_OPTION (of a header), ERR_CANCELLED (closed
   *   meanwhile or before); with `reconnect: false` also ERR_CONNECT and the like
   */
  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /**
   * Opens a TCP stream to `host`:`port` through the tunnel. Without a link it waits for one, up to 10 s.
   * @throws {LinkSocksError} ERR_DIAL_*, ERR_CANCELLED, ERR_SESSION_CLOSED, ERR_OPTION (a provider can't dial)
   */
  async dial(host: string, port: number, options: AbortOptions = {}): Promise<Duplex> {
    if (this.#options.reverse) throw new LinkSocksError('ERR_OPTION', 'a provider offers its network and cannot dial')
    const target = { host: bareHost(host), port }
    checkTarget(target)
    return toDuplex(await this.#tunnel.dial(target, options))
  }

  /**
   * Ends every link, stream and the proxy port; with `drainMs` nothing new begins and streams may end by themselves for so long
   * before that. Idempotent; all callers share one promise.
   */
  close(options: CloseOptions = {}): Promise<void> {
    return this.#end(undefined, options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(): Promise<void> {
    // between two links nothing else keeps the process alive
    const alive = setInterval(() => {}, LONGEST_TIMER_MS)
    void this.closed.then(() => clearInterval(alive))
    const { socks } = this.#options
    try {
      if (socks?.nowait) await this.#listen(socks)
      await this.#tunnel.start()
      if (socks !== undefined) await this.#listen(socks)
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_CONNECT')
      await this.#end(error)
      throw (await this.closed) ?? error
    }
  }

  async #listen(socks: SocksListenOptions): Promise<void> {
    if (this.#closing !== undefined) throw new LinkSocksError('ERR_CANCELLED', 'the client was closed')
    if (this.#listener !== undefined) return
    const {
      host = '127.0.0.1',
      port = DEFAULT_SOCKS_PORT,
      username,
      password,
      proxyProtocols,
      pacHosts,
      udpStrictPort,
    } = socks
    const credentials = username === undefined || password === undefined ? undefined : { username, password }
    const dialer = this.#entry()
    const attempts = new FailedAttempts(nodeClock)
    this.#listening = listenSocks({
      host,
      port,
      credentials: () => credentials,
      dialer,
      log: this.#log,
      unauthorized: (address) => attempts.note(address, 'socks'),
      protocols: proxyProtocols,
      pacHosts,
      udpStrictPort,
    })
    const listener = await this.#listening
    // closed meanwhile: whoever closes waits for the port and closes it
    if (this.#closing !== undefined) throw new LinkSocksError('ERR_CANCELLED', 'the client was closed')
    this.#listener = listener
    warnIfUnprotected(this.#log, host, username)
    this.#log.info('socks.listening', { host: listener.address.host, port: listener.address.port })
  }

  /** What the proxy port dials through. */
  #entry(): Dialer {
    const rules = accessList(this.#options.entryRules)
    if (rules === undefined) return this.#tunnel
    const options = { dialer: this.#tunnel, resolve: nodeResolve, clock: nodeClock, log: this.#log }
    return new AccessDialer({ ...options, access: [() => rules] })
  }

  /** The tunnel may also end by itself: the port goes with it. */
  async #runToEnd(): Promise<LinkSocksError | undefined> {
    const error = await this.#tunnel.closed
    await this.#end(error)
    return error
  }

  #end(reason?: LinkSocksError, options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(reason, options)
    return this.#closing
  }

  async #close(reason: LinkSocksError | undefined, { drainMs = 0, drainIdleMs }: CloseOptions): Promise<void> {
    if (drainMs > 0) {
      this.#listener?.stopAccepting()
      await this.#tunnel.drain({ limitMs: drainMs, idleMs: drainIdleMs })
    }
    await this.#tunnel.close(reason)
    const listener = await this.#listening?.catch(() => undefined)
    this.#listener = undefined
    await listener?.close()
  }

  #openTransport(url: string, { secretInBand, moved, signal }: Parameters<OpenTransport>[1]) {
    const { headers, tls, serverProxy } = this.#options
    const proxyEnv = this.#proxyEnv
    return connectWebSocket({ url, secretInBand, moved, headers, tls, serverProxy, proxyEnv }, { signal })
  }
}

/** A proxy variable for all programs may lead to the very port that this client opens. */
function withoutOwnPort({ proxyEnv, serverProxy, socks }: ClientOptions, log: Logger): ClientOptions['proxyEnv'] {
  if (proxyEnv === undefined || serverProxy !== undefined || socks === undefined) return proxyEnv
  const { host = '127.0.0.1', port = DEFAULT_SOCKS_PORT } = socks
  const own = variablesAt({ host, port }, proxyEnv)
  for (const variable of own) {
    log.warn('proxy.ignored', { variable, reason: 'it leads to the proxy port of this client' })
  }
  return Object.fromEntries(Object.entries(proxyEnv).filter(([name]) => !own.includes(name)))
}
