import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server as NetServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Client } from '../../src/node/client.js'
import type { ClientOptions, ServerOptions } from '../../src/node/options.js'
import { Server } from '../../src/node/server.js'
import { LogRecorder } from '../client/fixture.js'
import { atEnd } from '../support/at-end.js'

export interface RunningServer {
  readonly server: Server
  readonly port: number
  readonly url: string
  readonly log: LogRecorder
}

/** A server on loopback, on a port that the system picks unless told otherwise. */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const log = new LogRecorder()
  const server = new Server({ host: '127.0.0.1', port: 0, logger: log, ...options })
  atEnd(() => server.close())
  const { port } = await server.listen()
  return { server, port, url: `ws://127.0.0.1:${port}`, log }
}

/** A client that is closed after the test; not started. */
export function newClient(options: ClientOptions): { client: Client; log: LogRecorder } {
  const log = new LogRecorder()
  const client = new Client({ logger: log, ...options })
  atEnd(() => client.close())
  return { client, log }
}

export async function startClient(options: ClientOptions): Promise<{ client: Client; log: LogRecorder }> {
  const made = newClient(options)
  await made.client.start()
  return made
}

/** A server with one forward token, `secret`, and a client of it. */
export async function forwardPair(
  server: ServerOptions = {},
  client: ClientOptions = {},
): Promise<RunningServer & { readonly client: Client; readonly clientLog: LogRecorder }> {
  const running = await startServer({ tokens: [{ type: 'forward', token: 'secret' }], ...server })
  const { client: started, log } = await startClient({ url: running.url, token: 'secret', ...client })
  return { ...running, client: started, clientLog: log }
}

/** A TCP server on loopback; its connections end with the test. */
export async function tcpServer(onSocket: (socket: Socket) => void, port = 0): Promise<number> {
  const sockets = new Set<Socket>()
  const server: NetServer = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    onSocket(socket)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** Sends back what it gets, and ends when the other side has. */
export function echoServer(): Promise<number> {
  return tcpServer((socket) => socket.pipe(socket))
}

/** Whether anything accepts connections there. */
export async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Everything up to the end of what the other side sends; unlike an async iterator it leaves the other direction alone. */
export async function readAll(stream: Duplex): Promise<string> {
  let text = ''
  stream.on('data', (chunk) => {
    text += String(chunk)
  })
  await once(stream, 'end')
  return text
}

/** Sends `text`, half-closes, and gives what came back until the other side ended too. */
export function exchange(stream: Duplex, text: string): Promise<string> {
  stream.end(text)
  return readAll(stream)
}

export interface SocksAnswer {
  readonly socket: Socket
  /** REP of the reply, or `undefined` when the method or the credentials were refused. */
  readonly rep: number | undefined
  /** BND.PORT of an IPv4 reply. */
  readonly boundPort: number
}

/** Asks a SOCKS5 port on loopback for one thing: CMD 1 connects, 3 associates. The target is IPv4 text or a domain. */
export async function socksRequest(
  port: number,
  target: { readonly host: string; readonly port: number },
  { cmd = 1, credentials }: { cmd?: number; credentials?: readonly [string, string] } = {},
): Promise<SocksAnswer> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  atEnd(() => socket.destroy())
  socket.write(credentials === undefined ? Buffer.of(5, 1, 0) : Buffer.of(5, 1, 2))
  const [, method] = await take(socket, 2)
  if (method === 2 && credentials !== undefined) {
    const [name, password] = credentials.map((text) => Buffer.from(text))
    if (name === undefined || password === undefined) throw new Error('no credentials')
    socket.write(Buffer.concat([Buffer.of(1, name.length), name, Buffer.of(password.length), password]))
    if ((await take(socket, 2))[1] !== 0) return { socket, rep: undefined, boundPort: 0 }
  } else if (method !== 0) return { socket, rep: undefined, boundPort: 0 }
  const end = Buffer.alloc(2)
  end.writeUInt16BE(target.port)
  socket.write(Buffer.concat([Buffer.of(5, cmd, 0), addressBytes(target.host), end]))
  const reply = await take(socket, 10)
  return { socket, rep: reply[1], boundPort: reply.readUInt16BE(8) }
}

/** ATYP and DST.ADDR. */
export function addressBytes(host: string): Buffer {
  if (/^[\d.]+$/.test(host)) return Buffer.from([1, ...host.split('.').map(Number)])
  return Buffer.concat([Buffer.of(3, host.length), Buffer.from(host)])
}

/** Exactly `length` bytes; what follows stays in the socket. */
export async function take(socket: Duplex, length: number): Promise<Buffer> {
  while (true) {
    const bytes: Buffer | null = socket.read(length)
    if (bytes !== null) {
      if (bytes.length < length) throw new Error(`only ${bytes.length} of ${length} bytes came`)
      return bytes
    }
    if (socket.readableEnded || socket.destroyed) throw new Error('the connection ended')
    await Promise.race([once(socket, 'readable'), once(socket, 'close')])
  }
}
