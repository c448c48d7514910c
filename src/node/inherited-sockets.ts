import type { Server, Socket } from 'node:net'
import { LinkSocksError } from '../errors.js'
import type { SocketAddress } from '../ports.js'
import type { HandedPorts } from '../relay/tokens/handed-ports.js'
import { inheritedDescriptors } from './listen-options.js'
import { InheritedSocket } from './net/inherited-socket.js'
import { parseListenAddress } from './net/listen-address.js'
import { createTcpServer, TcpListener, type TcpListenOptions } from './net/tcp-listener.js'
import type { ServerOptions } from './options.js'

/** The sockets that were passed to one server: held from its start on, each until something listens on it. */
export class InheritedSockets {
  /** Those for proxy ports of reverse tokens. */
  readonly socks: InheritedPorts
  readonly #sockets: ReadonlyMap<number, InheritedSocket>

  private constructor(sockets: ReadonlyMap<number, InheritedSocket>, socks: InheritedPorts) {
    this.#sockets = sockets
    this.socks = socks
  }

  /**
   * Takes all descriptors that `options` name; of those that it took it closes each when another one can't be used.
   * @throws {LinkSocksError} ERR_LISTEN, naming the descriptor
   */
  static take(options: ServerOptions): InheritedSockets {
    const { listen = [], socksSockets = [] } = options
    return takeAll(inheritedDescriptors(options), (sockets) => {
      for (const address of listen.map(parseListenAddress)) {
        if (!('fd' in address) || address.tls !== true || sockets.get(address.fd)?.address !== undefined) continue
        throw refusal(address.fd, 'is a Unix socket, and those are served without TLS: ws+fd, or http as its name')
      }
      const socks = socksSockets.flatMap((fd) => sockets.get(fd) ?? [])
      return new InheritedSockets(sockets, new InheritedPorts(socks))
    })
  }

  /** One that the options name. */
  get(fd: number): InheritedSocket | undefined {
    return this.#sockets.get(fd)
  }

  /** Closes those on which nothing listens yet. Idempotent. */
  close(): void {
    for (const socket of this.#sockets.values()) socket.close()
  }
}

/** @param use may throw as well: whatever fails, those that were taken are closed */
function takeAll<T>(fds: readonly number[], use: (sockets: ReadonlyMap<number, InheritedSocket>) => T): T {
  const sockets = new Map<number, InheritedSocket>()
  try {
    for (const fd of fds) sockets.set(fd, InheritedSocket.take(fd))
    return use(sockets)
  } catch (thrown) {
    for (const socket of sockets.values()) socket.close()
    throw thrown
  }
}

/**
 * The port of a client, of which the sockets were passed.
 * @throws {LinkSocksError} ERR_LISTEN, naming the descriptor
 */
export function takePort(fds: readonly number[]): InheritedPort {
  return takeAll(fds, (sockets) => {
    for (const socket of sockets.values()) portOf(socket)
    return new InheritedPort([...sockets.values()])
  })
}

/** @throws {LinkSocksError} ERR_LISTEN: it is a Unix domain socket */
function portOf({ fd, address }: PortSocket): number {
  if (address === undefined) throw refusal(fd, 'is a Unix socket: a proxy port needs a TCP socket')
  return address.port
}

function refusal(fd: number, problem: string): LinkSocksError {
  return new LinkSocksError('ERR_LISTEN', `descriptor ${fd} ${problem}`)
}

/** Proxy ports of which the sockets were passed. A port may have several, on different addresses. */
export class InheritedPorts implements HandedPorts {
  readonly #ports: ReadonlyMap<number, InheritedPort>

  /** @throws {LinkSocksError} ERR_LISTEN: one is of a Unix domain socket */
  constructor(sockets: readonly PortSocket[]) {
    const byPort = new Map<number, PortSocket[]>()
    for (const socket of sockets) {
      const port = portOf(socket)
      byPort.set(port, [...(byPort.get(port) ?? []), socket])
    }
    this.#ports = new Map([...byPort].map(([port, all]) => [port, new InheritedPort(all)]))
  }

  get ports(): ReadonlySet<number> {
    return new Set(this.#ports.keys())
  }

  get(port: number): InheritedPort | undefined {
    return this.#ports.get(port)
  }

  refuse(port: number): void {
    // what can't be listened on is told to the token that opens it
    void this.#ports
      .get(port)
      ?.accept()
      .catch(() => {})
  }

  release(): void {
    for (const port of this.#ports.values()) port.release()
  }
}

/** What a port needs of a socket. */
export type PortSocket = Pick<InheritedSocket, 'fd' | 'address' | 'listen' | 'close'>

/** What one that opened a port has of it. */
export type OpenPort = Pick<TcpListener, 'stopAccepting' | 'close'>

/**
 * A port that stays open whatever its token does: what opens it takes the connections that come from then on, and those of the
 * queue; what closes it leaves them to be ended at once.
 */
export class InheritedPort {
  /** Of the first socket. */
  readonly address: SocketAddress | undefined
  readonly #sockets: readonly PortSocket[]
  readonly #servers: Server[] = []
  #accepting: Promise<void> | undefined
  #released = false
  /** Whose the connections are. */
  #current: Server | undefined

  constructor(sockets: readonly PortSocket[]) {
    this.#sockets = sockets
    this.address = sockets[0]?.address
  }

  /** @throws {LinkSocksError} ERR_LISTEN */
  async open(options: TcpListenOptions): Promise<OpenPort> {
    const current = createTcpServer(options)
    // it listens by others
    const listener = new TcpListener(current, { address: this.address ?? options, servers: [] }, options)
    if (this.#released)
      throw new LinkSocksError('ERR_LISTEN', `the sockets of port ${listener.address.port} are closed`)
    this.#current = current
    const stopAccepting = (): void => {
      if (this.#current === current) this.#current = undefined
    }
    try {
      await this.accept()
    } catch (thrown) {
      stopAccepting()
      throw thrown
    }
    return {
      stopAccepting,
      close: () => {
        stopAccepting()
        return listener.close()
      },
    }
  }

  /** Begins to accept; without somebody who opened the port each connection is ended at once. Idempotent. */
  accept(): Promise<void> {
    this.#accepting ??= this.#accept()
    return this.#accepting
  }

  /** Closes the sockets for good; connections go on. Idempotent. */
  release(): void {
    this.#released = true
    this.#current = undefined
    for (const server of this.#servers) if (server.listening) server.close()
    for (const socket of this.#sockets) socket.close()
  }

  async #accept(): Promise<void> {
    for (const socket of this.#sockets) {
      const server = createTcpServer()
      this.#servers.push(server)
      server.on('connection', (connection) => this.#connected(connection))
      server.on('drop', (data) => this.#current?.emit('drop', data))
      server.on('error', (error) => {
        if (server.listening) this.#current?.emit('error', error)
      })
      await socket.listen(server)
    }
  }

  #connected(connection: Socket): void {
    if (this.#current !== undefined) return void this.#current.emit('connection', connection)
    connection.on('error', () => {})
    connection.destroy()
  }
}
