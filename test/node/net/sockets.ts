import { readFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer, type SecureVersion, type TLSSocket } from 'node:tls'
import { TcpStream } from '../../../src/node/net/tcp-stream.js'
import type { Clock } from '../../../src/ports.js'

/** A server on a loopback port that the system picks, and its port. */
export async function listen(onSocket: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, onSocket)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  return { server, port: address.port }
}

/** Two ends of one TCP connection over loopback, neither read yet. */
export async function socketPair(): Promise<[Socket, Socket]> {
  let give: (socket: Socket) => void = () => {}
  const far = new Promise<Socket>((resolve) => {
    give = resolve
  })
  const { server, port } = await listen((socket) => give(socket))
  const near = connect({ host: '127.0.0.1', port, allowHalfOpen: true }).pause()
  await new Promise<void>((resolve, reject) => {
    near.once('connect', resolve)
    near.once('error', reject)
  })
  const pair: [Socket, Socket] = [near, await far]
  server.close()
  return pair
}

export async function tcpStreamPair(clock?: Clock): Promise<{ a: TcpStream; b: TcpStream; sockets: [Socket, Socket] }> {
  const sockets = await socketPair()
  return { a: new TcpStream(sockets[0], clock), b: new TcpStream(sockets[1]), sockets }
}

const tlsFile = (name: string): string => readFileSync(new URL(`../../support/tls/${name}`, import.meta.url), 'utf8')

/** Two ends of one TLS connection, neither read yet: the client's first. */
export interface TlsPair {
  readonly client: TLSSocket
  readonly server: TLSSocket
  /** The TCP connections below, which can be reset. */
  readonly raw: { readonly client: Socket; readonly server: Socket }
}

export async function tlsPair(version: SecureVersion = 'TLSv1.3'): Promise<TlsPair> {
  const [near, far] = await socketPair()
  const tlsServer = createTlsServer({ key: tlsFile('server.key'), cert: tlsFile('server.pem'), allowHalfOpen: true })
  const accepted = new Promise<TLSSocket>((resolve) => tlsServer.once('secureConnection', resolve))
  tlsServer.emit('connection', far)
  const client = connectTls({ socket: near, rejectUnauthorized: false, minVersion: version, maxVersion: version })
  await new Promise<void>((resolve, reject) => client.once('secureConnect', resolve).once('error', reject))
  client.removeAllListeners('error')
  return { client: client.pause(), server: (await accepted).pause(), raw: { client: near, server: far } }
}
