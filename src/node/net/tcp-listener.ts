import { createServer, type Server, type Socket } from 'node:net'
import { socketIp, socketZone } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import { type Logger, silentLogger } from '../../log.js'
import type { LocalAddress, SocketAddress } from '../../ports.js'
import { type BoundPort, closeServers, listen } from './listen.js'
import { KEEPALIVE_MS } from './tcp-connect.js'
import { TcpStream } from './tcp-stream.js'

/** Connections of one listener at a time, when the caller sets no other limit. */
const MAX_CONNECTIONS = 20_000
/** A listener that is full says so at most this often. */
const FULL_LOG_INTERVAL_MS = 10_000

/** Both ends of an accepted connection. */
export interface ConnectionInfo {
  /** Asks the system, which few need. Once the connection is gone, what the listener is bound to. */
  readonly localAddress: () => LocalAddress
  readonly remoteAddress: SocketAddress
}

export interface TcpListenOptions {
  /** IP text or a name of this machine. */
  readonly host: string
  /** 0 lets the system pick. */
  readonly port: number
  /** Owns the stream from here on; must not throw. */
  readonly onConnection: (stream: TcpStream, info: ConnectionInfo) => void
  /** Connections open at a time; one more is closed as soon as it is accepted. @default 20_000 */
  readonly maxConnections?: number | undefined
  /** @default silent */
  readonly logger?: Logger | undefined
}

/**
 * Listens on one TCP port.
 * @throws {LinkSocksError} ERR_LISTEN, in words that name host and port
 */
export async function listenTcp(options: TcpListenOptions): Promise<TcpListener> {
  const make = (): Server => createTcpServer(options)
  const server = make()
  return new TcpListener(server, await listen(server, options, make), options)
}

/** A server whose connections are for a {@link TcpListener}. */
export function createTcpServer({
  maxConnections = MAX_CONNECTIONS,
}: Pick<TcpListenOptions, 'maxConnections'> = {}): Server {
  const server = createServer({
    allowHalfOpen: true,
    pauseOnConnect: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_MS,
  })
  server.maxConnections = maxConnections
  return server
}

/** A bound port and the connections that came in on it. */
export class TcpListener {
  /** What is bound, the port the system picked included. */
  readonly address: SocketAddress
  readonly #server: Server
  /** That one, and one for the other family of `localhost`. */
  readonly #servers: readonly Server[]
  readonly #streams = new Set<TcpStream>()
  readonly #onConnection: TcpListenOptions['onConnection']
  readonly #logger: Logger
  #closing: Promise<void> | undefined
  #fullLoggedAt = Number.NEGATIVE_INFINITY

  /** `server` listens already, on `address`, or is given its connections by others: then `servers` are none. */
  constructor(server: Server, { address, servers }: BoundPort, options: TcpListenOptions) {
    this.#server = server
    this.#servers = servers
    this.#onConnection = options.onConnection
    this.#logger = options.logger ?? silentLogger
    this.address = address
    server.on('connection', (socket) => this.#accept(socket))
    server.on('drop', () => this.#logFull())
    // accept() failed, for instance for want of file descriptors: the listener itself goes on
    server.on('error', (error) => this.#logger.warn('listener.error', { ...this.address, error: error.message }))
  }

  /** Connections that are open or linger. */
  get connectionCount(): number {
    return this.#streams.size
  }

  /** Stops accepting; the open connections go on. Idempotent. */
  stopAccepting(): void {
    for (const server of this.#servers) if (server.listening) server.close()
  }

  /** Stops accepting and aborts the open connections; settles when the last one is gone. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #end(): Promise<void> {
    const closed = closeServers(this.#servers)
    const reason = new LinkSocksError('ERR_SHUTTING_DOWN', 'the listening port was closed')
    for (const stream of [...this.#streams]) stream.terminate(reason)
    await closed
    // all are destroyed, though not each may have said so yet
    this.#streams.clear()
  }

  #accept(socket: Socket): void {
    const info = connectionInfo(socket, this.address)
    // a client that is gone already, or that came while the port closes
    if (info === undefined || this.#closing !== undefined) {
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    const stream = new TcpStream(socket)
    this.#streams.add(stream)
    socket.once('close', () => this.#streams.delete(stream))
    this.#onConnection(stream, info)
  }

  #logFull(): void {
    const now = performance.now()
    if (now - this.#fullLoggedAt < FULL_LOG_INTERVAL_MS) return
    this.#fullLoggedAt = now
    this.#logger.warn('listener.full', { ...this.address, limit: this.#server.maxConnections })
  }
}

/** @returns `undefined` for a connection that is gone */
function connectionInfo(socket: Socket, bound: SocketAddress): ConnectionInfo | undefined {
  const { remoteAddress, remotePort } = socket
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  return {
    localAddress: () => {
      const { localAddress, localPort } = socket
      if (localAddress === undefined || localPort === undefined) return bound
      return { host: socketIp(localAddress), port: localPort, zone: socketZone(localAddress) }
    },
    remoteAddress: { host: socketIp(remoteAddress), port: remotePort },
  }
}
