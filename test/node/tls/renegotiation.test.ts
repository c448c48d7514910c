import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { readCertificatePair } from '../../../src/node/tls/certificate-pair.js'
import { CertificateTable } from '../../../src/node/tls/certificate-table.js'
import { TlsAcceptor } from '../../../src/node/tls/tls-acceptor.js'
import { atEnd } from '../../support/at-end.js'

const file = (name: string): string => readFileSync(new URL(`../../support/tls/${name}`, import.meta.url), 'utf8')

/** A client of TLS 1.2, connected to an acceptor whose connections echo. */
async function client(): Promise<TLSSocket> {
  const certificates = new CertificateTable(['file'])
  certificates.set('file', readCertificatePair(file('server.pem'), file('server.key')))
  const acceptor = new TlsAcceptor({
    certificates,
    secured: (socket) => void socket.on('error', () => {}).pipe(socket),
    plain: (raw) => raw.destroy(),
    rejected: () => {},
  })
  const server = createServer((socket) => acceptor.accept(socket)).listen(0, '127.0.0.1')
  atEnd(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const options = { servername: 'localhost', ca: file('ca.pem'), maxVersion: 'TLSv1.2' } as const
  const socket = connect({ port, host: '127.0.0.1', ...options })
  atEnd(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

describe('TlsAcceptor', () => {
  it('does no second handshake on a connection', async () => {
    const socket = await client()
    const error = await new Promise((resolve) => {
      socket.on('error', resolve)
      socket.renegotiate({}, resolve)
    })
    expect(error).toMatchObject({ code: 'ERR_SSL_NO_RENEGOTIATION' })
  })
})
