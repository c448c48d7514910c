import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket, connect as tcpConnect } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { CertificatePair } from '../../../src/node/tls/certificate-pair.js'
import { CertificateTable } from '../../../src/node/tls/certificate-table.js'
import { TlsAcceptor, type TlsAcceptorOptions } from '../../../src/node/tls/tls-acceptor.js'
import { atEnd } from '../../support/at-end.js'

export interface Accepting extends Pick<TlsAcceptorOptions, 'clients' | 'timeoutMs'> {
  /** By the names of their sources, in order. */
  readonly pairs?: Readonly<Record<string, CertificatePair>>
  /** Sees a connection before it is accepted. */
  readonly before?: (raw: Socket) => unknown
}

/** An acceptor on a port of loopback, and what it told. */
export async function accepting({ pairs = {}, before, ...options }: Accepting) {
  const certificates = new CertificateTable(Object.keys(pairs))
  for (const [source, pair] of Object.entries(pairs)) certificates.set(source, pair)
  const secured: { socket: TLSSocket; raw: Socket }[] = []
  const plain: Socket[] = []
  const rejected: string[] = []
  const addresses: (string | undefined)[] = []
  const accepted: Socket[] = []
  const closed: Socket[] = []
  const acceptor = new TlsAcceptor({
    certificates,
    secured: (socket, raw) => {
      socket.on('error', () => {})
      secured.push({ socket, raw })
    },
    plain: (raw) => void plain.push(raw),
    rejected: (reason, raw) => {
      rejected.push(reason)
      addresses.push(raw.remoteAddress)
    },
    ...options,
  })
  const server = createServer({ allowHalfOpen: true, noDelay: true }, async (raw) => {
    accepted.push(raw)
    raw.on('error', () => {}).once('close', () => closed.push(raw))
    await before?.(raw)
    acceptor.accept(raw)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  atEnd(() => {
    for (const raw of accepted) raw.destroy()
    server.close()
  })
  return { port, certificates, secured, plain, rejected, addresses, accepted, closed }
}

/** A TCP connection that is ended with the test. */
export async function tcp(port: number): Promise<Socket> {
  const socket = tcpConnect(port, '127.0.0.1').setNoDelay()
  socket.on('error', () => {})
  atEnd(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** A client whose handshake is done, as far as it knows. @throws with what it was told else */
export async function tlsClient(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  atEnd(() => void socket.destroy())
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  return socket
}

/** Names of the certificate that the server showed. */
export function namesOf(socket: TLSSocket): string | undefined {
  return socket.getPeerX509Certificate()?.subjectAltName?.replaceAll('DNS:', '')
}

/** All that comes until the connection ends. */
export function received(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve) => socket.once('close', () => resolve(Buffer.concat(chunks))))
}
