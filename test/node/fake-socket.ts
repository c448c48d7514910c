import { once } from 'node:events'
import { connect, type Server, type Socket } from 'node:net'
import { vi } from 'vitest'
import type { PortSocket } from '../../src/node/inherited-sockets.js'
import { InheritedSocket } from '../../src/node/net/inherited-socket.js'
import { atEnd } from '../support/at-end.js'

const HOST = '127.0.0.1'

/** A socket that another process has opened, for what is told apart here by its port alone. */
export class FakeSocket implements PortSocket {
  readonly fd: number
  readonly address: { readonly host: string; readonly port: number } | undefined
  servers: Server[] = []
  closes = 0
  failure: Error | undefined

  constructor(port: number | undefined = 1080, fd = 3) {
    this.fd = fd
    this.address = port === undefined ? undefined : { host: HOST, port }
  }

  async listen(server: Server): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    this.servers.push(server)
    atEnd(() => void server.close())
    server.listen(0, HOST)
    await once(server, 'listening')
  }

  close(): void {
    this.closes += 1
  }

  get isOpen(): boolean {
    return this.closes === 0 && this.servers.every(({ listening }) => listening)
  }

  /** That the system picked. */
  get port(): number {
    const address = this.servers[0]?.address()
    return typeof address === 'object' ? (address?.port ?? 0) : 0
  }

  /** A client of the port that the system picked. */
  async client(): Promise<Socket> {
    const socket = connect(this.port, HOST)
    atEnd(() => void socket.destroy())
    socket.on('error', () => {}).resume()
    await once(socket, 'connect')
    return socket
  }
}

/** Makes `sockets` those that are taken by their descriptors, until the test ends. */
export function passSockets(...sockets: readonly FakeSocket[]): void {
  const spy = vi.spyOn(InheritedSocket, 'take').mockImplementation((fd) => {
    const socket = sockets.find((one) => one.fd === fd)
    if (socket === undefined) throw new Error(`no socket ${fd}`)
    return socket as never
  })
  atEnd(() => spy.mockRestore())
}
