import { type Api, type ApiContext, createApi } from '../api/api.js'
import type { ApiKey } from '../api/keys.js'
import { METRICS_PATH, metricsAnswer } from '../api/metrics-route.js'
import { Refusal } from '../api/request/answers.js'
import type { FailedAttempts } from '../inbound/failed-attempts.js'
import type { Logger } from '../log.js'
import type { AbortOptions, SocketAddress } from '../ports.js'
import { isSocketPath } from '../protocol/handshake.js'
import type { Relay } from '../relay/relay.js'
import type { DashboardFiles } from './http/dashboard-files.js'
import {
  type HttpServer,
  type HttpServerOptions,
  listenHttp,
  type UpgradeInfo,
  type UpgradeRequest,
} from './http/http-server.js'
import type { TrustedProxies } from './http/trusted-proxy.js'
import { listenAddresses, needsTls } from './listen-options.js'
import type { Metrics, MetricsOptions } from './metrics.js'
import type { InheritedSocket } from './net/inherited-socket.js'
import { type ListenAddress, listenText } from './net/listen-address.js'
import type { ServerOptions } from './options.js'
import type { ServerAcme } from './server-acme.js'
import type { ServerTls } from './server-tls.js'
import { nodeClock } from './system/clock.js'
import { nodeCrypto } from './system/crypto.js'
import { watchDescriptors } from './system/descriptor-probe.js'
import { watchEventLoop } from './system/event-loop-delay.js'
import { packageVersion } from './system/package-version.js'
import type { WsTransport } from './websocket/ws-transport.js'

/** A timer that comes so late is worth an alarm, which stays for a while. */
const ALARMING_DELAY_MS = 1_000
const DELAY_ALARM_MS = 60_000

export interface ServerHttpOptions extends ServerOptions {
  readonly relay: Relay
  readonly attempts: FailedAttempts
  readonly log: Logger
  readonly trusted: TrustedProxies
  /** The socket of a descriptor that the options name. */
  readonly inherited?: ((fd: number) => InheritedSocket | undefined) | undefined
  readonly upgrade: (transport: WsTransport, info: UpgradeInfo) => void
}

/** What is served, before anything listens: all that may fail but for the data directory and the ports. */
interface Parts {
  readonly options: ServerHttpOptions
  readonly api: Api
  readonly metrics: Metrics | undefined
  readonly tls: ServerTls | undefined
  readonly handle: HttpServerOptions['handle']
}

interface OpenParts {
  readonly api: Api
  readonly main: HttpServer
  readonly metrics: HttpServer | undefined
  readonly tls: ServerTls | undefined
  readonly acme: ServerAcme | undefined
  readonly unwatch: () => void
  /** Whether another process serves at the same sockets, or will. */
  readonly shared: boolean
}

/** A server that is ready to listen once it has its tokens. */
export interface PreparedHttp {
  /** @throws {LinkSocksError} ERR_LISTEN, ERR_STORE */
  open(): Promise<ServerHttp>
  /** In place of open(), or after it failed. Idempotent. */
  discard(): void
}

/** What a server serves by HTTP: the API with the WebSockets on one port, and the metrics, on request, on another. */
export class ServerHttp {
  readonly #api: Api
  readonly #main: HttpServer
  readonly #metrics: HttpServer | undefined
  readonly #tls: ServerTls | undefined
  readonly #acme: ServerAcme | undefined
  readonly #unwatch: () => void
  readonly #shared: boolean

  private constructor({ api, main, metrics, tls, acme, unwatch, shared }: OpenParts) {
    this.#api = api
    this.#main = main
    this.#metrics = metrics
    this.#tls = tls
    this.#acme = acme
    this.#unwatch = unwatch
    this.#shared = shared
  }

  /**
   * Done before the data directory is waited for: what fails by itself fails without a process having been asked to end.
   * @throws {LinkSocksError} ERR_OPTION (a certificate that can't be used)
   */
  static async prepare(options: ServerHttpOptions): Promise<PreparedHttp> {
    const { relay, attempts, log } = options
    const version = packageVersion()
    const wanted = options.metricsKey !== undefined || options.metricsListen !== undefined
    const eventReaders = (): number => api.eventReaders
    const metrics = wanted ? await openMetrics({ relay, attempts, version, eventReaders }) : undefined
    const api = createApi({
      ...{ admin: relay, apiKeys: keysOf(options), metricsKey: options.metricsKey, metrics, version, log, attempts },
      ...{ clock: nodeClock, crypto: nodeCrypto },
    })
    // it shows what only the API knows
    const dashboard = keysOf(options).length > 0 ? await openDashboard() : undefined
    const handle = (request: Request, context: ApiContext): Promise<Response> =>
      dashboard?.(request, context.rawPath) ?? api.handle(request, context)
    const tls = needsTls(options) ? await openTls(options) : undefined
    return {
      open: () => ServerHttp.#open({ options, api, metrics, tls, handle }),
      discard: () => tls?.close(),
    }
  }

  static async #open({ options, api, metrics, tls, handle }: Parts): Promise<ServerHttp> {
    const { relay, log, trusted, inherited, upgrade } = options
    const checkUpgrade = (request: UpgradeRequest, options: AbortOptions) => refusalOf(relay, request, options)
    const serving = { log, trusted, handle, isSocketPath, checkUpgrade, upgrade, tls: tls?.http }
    let acme: ServerAcme | undefined
    let main: HttpServer
    try {
      acme = tls && (await openAcme(options, tls))
      main = await listenHttp({ listen: listenAddresses(options), inherited, ...serving })
    } catch (thrown) {
      await acme?.close()
      throw thrown
    }
    acme?.start()
    const unwatchLoop = watchEventLoop((delayMs) => {
      metrics?.eventLoopDelayed(delayMs)
      if (delayMs >= ALARMING_DELAY_MS) warnOfDelay(relay, delayMs)
    })
    const unwatchDescriptors = watchDescriptors((out) => descriptorsChanged(relay, log, out))
    const unwatch = (): void => {
      unwatchLoop()
      unwatchDescriptors()
    }
    try {
      const own = metrics && (await listenForMetrics(options, metrics))
      return new ServerHttp({ api, main, metrics: own, tls, acme, unwatch, shared: inherited !== undefined })
    } catch (error) {
      unwatch()
      await Promise.all([acme?.close(), main.close()])
      throw error
    }
  }

  /** Of the first address with a port; where there is none, the path or the descriptor of the first Unix socket, with port 0. */
  get address(): SocketAddress {
    return addressOf(this.#main.addresses)
  }

  /** As URLs. */
  get addresses(): readonly string[] {
    return this.#main.addresses.map(listenText)
  }

  /** Of the metrics' own port. */
  get metricsAddress(): SocketAddress | undefined {
    return this.#metrics && addressOf(this.#metrics.addresses)
  }

  /** Reads the files of its certificates again, and tries again to get those that it could not get. */
  async reload(): Promise<void> {
    this.#acme?.retry()
    await this.#tls?.reload()
  }

  stopAccepting(): void {
    // nothing could be validated any more
    void this.#acme?.close()
    this.#main.stopAccepting()
    // the next process needs its port
    this.#metrics?.stopAccepting()
  }

  /** Whether all requests are answered that have come or are about to. */
  get isQuiet(): boolean {
    return this.#main.isQuiet
  }

  /**
   * Closes streams of events where another process serves their readers. Connections that wait for another request get one more answer.
   * Settles when nothing of it writes into the data directory any more.
   */
  async rest(): Promise<void> {
    if (this.#shared) this.#api.close()
    await this.#acme?.close()
  }

  async close(): Promise<void> {
    this.#unwatch()
    this.#tls?.close()
    this.#api.close()
    await Promise.all([this.#main.close(), this.#metrics?.close(), this.#acme?.close()])
  }
}

/** Seconds after which a client for which there was no room may come again. */
const RETRY_AFTER_S = '10'

/** A deployed client takes 503 for a server that is busy, and tries again (docs/protocol.md A.5). */
function refusalOf(
  relay: Relay,
  { query, remoteAddress, subject }: UpgradeRequest,
  options: AbortOptions,
): Promise<Refusal | undefined> | undefined {
  if (!relay.hasRoom(query, { address: remoteAddress, subject })) {
    return Promise.resolve(new Refusal(503, 'too many clients with this token', { 'Retry-After': RETRY_AFTER_S }))
  }
  const may = relay.mayConnect(query, { address: remoteAddress, subject }, options)
  return may?.then((given) => (given ? undefined : new Refusal(503, 'this client has a living link')))
}

// what few servers have is loaded where it is wanted

async function openMetrics(options: MetricsOptions): Promise<Metrics> {
  const { Metrics } = await import('./metrics.js')
  return Metrics.open(options)
}

async function openTls({ tls, acme, relay, log }: ServerHttpOptions): Promise<ServerTls> {
  const { ServerTls } = await import('./server-tls.js')
  return ServerTls.open({ ...tls, domains: acme?.domains, alarms: relay.alarms, log })
}

async function openAcme(options: ServerHttpOptions, tls: ServerTls): Promise<ServerAcme | undefined> {
  const { acme, dataDir, dataKey, relay, log, inherited } = options
  if (acme === undefined || dataDir === undefined) return undefined
  const { ServerAcme } = await import('./server-acme.js')
  return ServerAcme.open({ ...acme, dataDir, dataKey, tls, alarms: relay.alarms, log, inherited })
}

async function openDashboard(): Promise<DashboardFiles> {
  const { createDashboardFiles } = await import('./http/dashboard-files.js')
  return createDashboardFiles()
}

function addressOf(addresses: readonly ListenAddress[]): SocketAddress {
  for (const address of addresses) if ('port' in address) return { host: address.host, port: address.port }
  const [first] = addresses
  if (first === undefined) return { host: '', port: 0 }
  return { host: 'path' in first ? first.path : listenText(first), port: 0 }
}

function keysOf({ apiKey, apiKeys = [] }: ServerOptions): readonly ApiKey[] {
  return apiKey === undefined ? apiKeys : [{ name: 'default', role: 'full', key: apiKey }, ...apiKeys]
}

/** Nothing but `/metrics`, without a key. */
async function listenForMetrics(
  { metricsListen, log, inherited }: ServerHttpOptions,
  metrics: Metrics,
): Promise<HttpServer | undefined> {
  if (metricsListen === undefined) return undefined
  const handle = async ({ method }: Request, { rawPath }: ApiContext): Promise<Response> => {
    if (rawPath !== METRICS_PATH) return new Response('not found\n', { status: 404 })
    if (method !== 'GET' && method !== 'HEAD')
      return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } })
    return metricsAnswer(metrics)
  }
  return listenHttp({
    listen: [metricsListen],
    inherited,
    log,
    handle,
    isSocketPath: () => false,
    upgrade: (transport) => transport.abort(),
  })
}

function warnOfDelay(relay: Relay, delayMs: number): void {
  const message = `the server stood still for ${Math.round(delayMs)} ms: the machine is too busy, or was asleep`
  relay.alarms.raiseFor('event-loop-delay', undefined, message, DELAY_ALARM_MS)
}

/** Connections that come then are closed, and nobody hears of them. */
function descriptorsChanged({ alarms }: Relay, log: Logger, out: boolean): void {
  if (!out) {
    log.info('process.descriptors', { left: true })
    return alarms.clear('out-of-descriptors')
  }
  const advice = 'raise the limit (ulimit -n, LimitNOFILE=)'
  log.warn('process.descriptors', { left: false, advice })
  alarms.raise('out-of-descriptors', undefined, `no file descriptor is left, new connections are closed: ${advice}`)
}
