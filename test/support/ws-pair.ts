import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { WebSocketServer } from 'ws'
import { HandshakeSocket, WS_OPTIONS } from '../../src/node/websocket/ws-handshake.js'
import { WsTransport } from '../../src/node/websocket/ws-transport.js'

/** A WebSocket server that takes whatever comes; one per test file, closed in afterAll. */
export class WsHost {
  readonly #server: Server = createServer()
  readonly #sockets = new Set<Socket>()
  readonly #waiting: ((transport: WsTransport) => void)[] = []

  async listen(): Promise<void> {
    const webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      WebSocket: HandshakeSocket,
      ...WS_OPTIONS,
    })
    this.#server.on('upgrade', (request, socket: Socket, head) => {
      this.#sockets.add(socket)
      webSockets.handleUpgrade(request, socket, head, ({ upgraded }) =>
        this.#waiting.shift()?.(new WsTransport(upgraded, 'server')),
      )
    })
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The server's end of the next WebSocket. */
  next(): Promise<WsTransport> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Both ends of a new WebSocket, not started. */
  async pair(): Promise<{ client: WsTransport; server: WsTransport }> {
    const accepted = this.next()
    const socket = connect(this.port, '127.0.0.1')
    const ws = new HandshakeSocket(`ws://127.0.0.1:${this.port}/`, { ...WS_OPTIONS, createConnection: () => socket })
    const opened = new Promise<WsTransport>((resolve, reject) => {
      ws.on('open', () => resolve(new WsTransport(ws.upgraded, 'client')))
      ws.on('error', reject)
    })
    const [client, server] = await Promise.all([opened, accepted])
    return { client, server }
  }

  /** A peer that speaks bytes: the server's end is a transport, the other a socket after its upgrade. */
  async raw(): Promise<{ peer: Socket; server: WsTransport }> {
    const accepted = this.next()
    const peer = connect(this.port, '127.0.0.1')
    peer.on('error', () => {})
    peer.write(
      'GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    )
    const server = await accepted
    await new Promise((resolve) => peer.once('data', resolve))
    return { peer, server }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** A masked client frame (RFC 6455 section 5.2) with mask 0; `length` lies about the payload when given. */
export function clientFrame(opcode: number, payload: Uint8Array, length = payload.byteLength): Buffer {
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const head = Buffer.alloc(2 + extended)
  head[0] = 0x80 | opcode
  head[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127)
  if (extended === 2) head.writeUInt16BE(length, 2)
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, Buffer.alloc(4), payload])
}
