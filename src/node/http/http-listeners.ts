import { createServer, type Server, type Socket } from 'node:net'
import type { Logger } from '../../log.js'
import type { InheritedSocket } from '../net/inherited-socket.js'
import { closeServers, listen } from '../net/listen.js'
import type { ListenAddress } from '../net/listen-address.js'
import { listenUnix } from '../net/listen-unix.js'

/** Connections at a time of all addresses of one server, WebSockets included; more are closed at once. */
export const MAX_CONNECTIONS = 16_384

/** How a connection came. */
export type CameBy = 'tcp' | 'tls' | 'unix'

export interface HttpListenersOptions {
  readonly addresses: readonly ListenAddress[]
  readonly log: Logger
  /** Takes a connection that was accepted; with `tls` nothing of it was read. */
  readonly connected: (socket: Socket, by: CameBy) => void
  /** The socket of a descriptor among `addresses`. @default none may be given */
  readonly inherited?: ((fd: number) => InheritedSocket | undefined) | undefined
  /** Connections at a time. @default {@link MAX_CONNECTIONS} */
  readonly maxConnections?: number | undefined
}

/** The addresses of one HTTP server. */
export class HttpListeners {
  readonly #options: HttpListenersOptions
  readonly #servers: Server[] = []
  readonly #bound: ListenAddress[] = []
  readonly #connections = new Set<Socket>()

  constructor(options: HttpListenersOptions) {
    this.#options = options
  }

  /** As they were given, with the ports that the system picked. */
  get addresses(): readonly ListenAddress[] {
    return this.#bound
  }

  /**
   * Opens all of them, or none.
   * @throws {LinkSocksError} ERR_LISTEN
   */
  async open(): Promise<void> {
    try {
      for (const address of this.#options.addresses) this.#bound.push(await this.#listen(address))
    } catch (thrown) {
      const closed = this.close()
      // one that an address took meanwhile would be waited for
      for (const socket of this.#connections) socket.destroy()
      await closed
      throw thrown
    }
  }

  /** Takes no new connections. Idempotent. */
  stop(): void {
    for (const server of this.#servers) if (server.listening) server.close()
  }

  /** Settles when the connections of all are gone. */
  close(): Promise<void> {
    return closeServers(this.#servers)
  }

  async #listen(address: ListenAddress): Promise<ListenAddress> {
    if ('path' in address) {
      const server = this.#create('unix')
      await listenUnix(server, address.path)
      return address
    }
    if ('fd' in address) return this.#listenOn(address)
    const by = address.tls === true ? 'tls' : 'tcp'
    const bound = await listen(this.#create(by), address, () => this.#create(undefined))
    return { ...bound.address, tls: address.tls === true }
  }

  async #listenOn({ fd, tls = false }: Extract<ListenAddress, { fd: number }>): Promise<ListenAddress> {
    const socket = this.#options.inherited?.(fd)
    if (socket === undefined) throw new TypeError(`descriptor ${fd} was not taken`)
    const { address } = socket
    await socket.listen(this.#create(address === undefined ? 'unix' : tls ? 'tls' : 'tcp'))
    return address === undefined ? { fd, tls } : { ...address, tls }
  }

  /** @param by `undefined` for one whose connections another one is given */
  #create(by: CameBy | undefined): Server {
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    this.#servers.push(server)
    if (by === undefined) return server
    server.on('connection', (socket) => this.#connected(socket, by))
    server.on('error', (error) => {
      if (server.listening) this.#options.log.error('http.failed', { error: error.message })
    })
    return server
  }

  #connected(socket: Socket, by: CameBy): void {
    const { connected, log, maxConnections = MAX_CONNECTIONS } = this.#options
    if (this.#connections.size >= maxConnections) {
      socket.destroy()
      return log.debug('http.connection.dropped', { limit: maxConnections })
    }
    this.#connections.add(socket)
    socket.once('close', () => this.#connections.delete(socket))
    connected(socket, by)
  }
}
