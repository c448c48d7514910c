import type { Duplex } from 'node:stream'
import { bareHost, checkTarget } from '../address.js'
import type { OpenTransport } from '../client/connect-link.js'
import { Tunnel } from '../client/tunnel.js'
import { LinkSocksError } from '../errors.js'
import { AccessDialer } from '../exit/access-dialer.js'
import { accessList } from '../exit/dial/access-rules.js'
import { FailedAttempts } from '../inbound/failed-attempts.js'
import { type Logger, silentLogger } from '../log.js'
import type { AbortOptions, Dialer, SocketAddress, Timer } from '../ports.js'
import { checkClientOptions } from './check-options.js'
import { variablesAt } from './connect/server-proxy.js'
import { connectWebSocket } from './connect/ws-connect.js'
import { exitDialers } from './exit-dialers.js'
import type { InheritedPort } from './inherited-sockets.js'
import { pingTimes, resumeTimeout } from './link-options.js'
import { nodeResolve } from './net/resolve.js'
import { toDuplex } from './net/stream-duplex.js'
import type { TcpListener } from './net/tcp-listener.js'
import {
  type ClientOptions,
  type CloseOptions,
  DEFAULT_SERVER_URL,
  DEFAULT_SOCKS_HOST,
  DEFAULT_SOCKS_PORT,
  type SocksListenOptions,
} from './options.js'
import { listenSocks, socksListening, warnIfUnprotected } from './socks-listener.js'
import { nodeClock } from './system/clock.js'
import { nodeCrypto } from './system/crypto.js'
import { nodeInflate } from './system/inflate.js'
import { packageVersion } from './system/package-version.js'
import { watchWake } from './system/wake.js'

const LONGEST_TIMER_MS = 2 ** 31 - 1
/** How long connections to a port whose socket was passed wait for the first link. */
export const PASSED_WAIT_MS = 10_000

/** What a client has of its proxy port. */
type Listener = Pick<TcpListener, 'address' | 'stopAccepting' | 'close'>

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
  #proxyEnv: ClientOptions['proxyEnv']
  /** That of the sockets that were passed to it. */
  #inherited: InheritedPort | undefined
  #listening: Promise<Listener> | undefined
  #listener: Listener | undefined
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
    let wait: Timer | undefined
    try {
      if (socks?.sockets !== undefined) {
        await this.#takeSockets(socks.sockets)
        wait = nodeClock.after(PASSED_WAIT_MS, () => void this.#listen(socks).catch(() => {}))
      }
      if (socks?.nowait) await this.#listen(socks)
      await this.#tunnel.start()
      if (socks !== undefined) await this.#listen(socks)
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_CONNECT')
      await this.#end(error)
      throw (await this.closed) ?? error
    } finally {
      wait?.cancel()
    }
  }

  /** Held from here on: what can't be used is said at once, and what comes in waits in the queue. */
  async #takeSockets(fds: readonly number[]): Promise<void> {
    // few clients have any
    const { takePort } = await import('./inherited-sockets.js')
    if (this.#closing !== undefined) throw new LinkSocksError('ERR_CANCELLED', 'the client was closed')
    this.#inherited = takePort(fds)
    this.#proxyEnv = withoutOwnPort(this.#options, this.#log, this.#inherited.address)
  }

  async #listen(socks: SocksListenOptions): Promise<void> {
    if (this.#closing !== undefined) throw new LinkSocksError('ERR_CANCELLED', 'the client was closed')
    if (this.#listener !== undefined) return
    this.#listening ??= this.#openPort(socks)
    const listener = await this.#listening
    // closed meanwhile: whoever closes waits for the port and closes it
    if (this.#closing !== undefined) throw new LinkSocksError('ERR_CANCELLED', 'the client was closed')
    if (this.#listener !== undefined) return
    this.#listener = listener
    warnIfUnprotected(this.#log, this.#inherited?.address?.host ?? socks.host ?? DEFAULT_SOCKS_HOST, socks.username)
    this.#log.info('socks.listening', { host: listener.address.host, port: listener.address.port })
  }

  async #openPort(socks: SocksListenOptions): Promise<Listener> {
    const {
      host = DEFAULT_SOCKS_HOST,
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
    const options = {
      host,
      port,
      credentials: () => credentials,
      dialer,
      log: this.#log,
      unauthorized: (address: string) => attempts.note(address, 'socks'),
      protocols: proxyProtocols,
      pacHosts,
      udpStrictPort,
    }
    const inherited = this.#inherited
    if (inherited === undefined) return listenSocks(options)
    const open = await inherited.open(socksListening(options))
    return {
      address: inherited.address ?? { host, port },
      stopAccepting: () => inherited.release(),
      close: () => open.close(),
    }
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
      this.#inherited?.release()
      await this.#tunnel.drain({ limitMs: drainMs, idleMs: drainIdleMs })
    }
    await this.#tunnel.close(reason)
    const listener = await this.#listening?.catch(() => undefined)
    this.#listener = undefined
    this.#inherited?.release()
    await listener?.close()
  }

  #openTransport(url: string, { secretInBand, moved, signal }: Parameters<OpenTransport>[1]) {
    const { headers, tls, serverProxy } = this.#options
    const proxyEnv = this.#proxyEnv
    return connectWebSocket({ url, secretInBand, moved, headers, tls, serverProxy, proxyEnv }, { signal })
  }
}

/** A proxy variable for all programs may lead to the very port that this client opens. */
function withoutOwnPort(
  { proxyEnv, serverProxy, socks }: ClientOptions,
  log: Logger,
  inherited?: SocketAddress,
): ClientOptions['proxyEnv'] {
  if (proxyEnv === undefined || serverProxy !== undefined || socks === undefined) return proxyEnv
  // where it is is known later
  if (socks.sockets !== undefined && inherited === undefined) return proxyEnv
  const { host = DEFAULT_SOCKS_HOST, port = DEFAULT_SOCKS_PORT } = socks
  const own = variablesAt(inherited ?? { host, port }, proxyEnv)
  for (const variable of own) {
    log.warn('proxy.ignored', { variable, reason: 'it leads to the proxy port of this client' })
  }
  return Object.fromEntries(Object.entries(proxyEnv).filter(([name]) => !own.includes(name)))
}
