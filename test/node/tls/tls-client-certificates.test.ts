import { once } from 'node:events'
import { connect as tcpConnect } from 'node:net'
import { Duplex } from 'node:stream'
import { type ConnectionOptions, type SecureVersion, connect as tlsConnect } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import type { CertificatePair } from '../../../src/node/tls/certificate-pair.js'
import { clientSubject } from '../../../src/node/tls/client-subject.js'
import { ACME_PROTOCOL } from '../../../src/node/tls/tls-acceptor.js'
import { atEnd } from '../../support/at-end.js'
import { Authority, type Issued } from '../../support/certificates.js'
import { until } from '../../support/wait.js'
import { accepting, namesOf, tlsClient } from './acceptor-fixture.js'
import { unwrapped } from './hellos.js'
import { pairOf } from './pairs.js'

const CERTIFICATE_REQUEST = 13

let pair: CertificatePair
let authority: Authority
let ann: Issued

beforeAll(async () => {
  authority = await Authority.create('Clients')
  pair = await pairOf({ names: ['a.test'] })
  ann = await authority.issue({ subject: 'O=Example,CN=ann' })
})

const only = (version: SecureVersion): ConnectionOptions => ({ minVersion: version, maxVersion: version })
const shown = ({ chain, key }: Issued): ConnectionOptions => ({ cert: chain, key })

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('certificates of clients with %s', (version) => {
  /** What the server finds of a client with these options. */
  async function found(options: ConnectionOptions, ca = authority.pem) {
    const { port, secured } = await accepting({ pairs: { pair }, clients: () => ({ ca }) })
    await tlsClient(port, { ...only(version), ...options })
    await until(() => secured.length === 1)
    const socket = secured[0]?.socket
    if (socket === undefined) throw new Error('no connection')
    return { authorized: socket.authorized, subject: clientSubject(socket), error: String(socket.authorizationError) }
  }

  it('are authorized when the authority has signed them', async () => {
    expect(await found(shown(ann))).toMatchObject({ authorized: true, subject: 'CN=ann,O=Example' })
  })

  it('are authorized by an authority in between that the client shows along', async () => {
    const between = await authority.between('Department')
    const bob = await between.issue({ subject: 'CN=bob' })
    expect(await found(shown(bob))).toMatchObject({ authorized: true, subject: 'CN=bob' })
  })

  it('of another authority, or none, leave the connection open', async () => {
    const other = await (await Authority.create('Clients')).issue({ subject: 'O=Example,CN=ann' })
    expect(await found(shown(other))).toMatchObject({ authorized: false, subject: undefined })
    expect(await found({})).toMatchObject({ authorized: false, subject: undefined })
  })

  it('are not authorized when their time is over', async () => {
    const old = await authority.issue({ notBefore: new Date('2020-01-01'), notAfter: new Date('2020-01-02') })
    expect(await found(shown(old))).toEqual({ authorized: false, subject: undefined, error: 'CERT_HAS_EXPIRED' })
  })

  it('are authorized by each of several authorities', async () => {
    const second = await Authority.create('Second')
    const ca = `${second.pem}${authority.pem}`
    expect(await found(shown(ann), ca)).toMatchObject({ authorized: true })
    expect(await found(shown(await second.issue({ subject: 'CN=eve' })), ca)).toMatchObject({ subject: 'CN=eve' })
  })

  it('are judged by the authorities of the time when they come', async () => {
    const second = await Authority.create('Second')
    let clients = { ca: authority.pem }
    const { port, secured } = await accepting({ pairs: { pair }, clients: () => clients })
    const results: boolean[] = []
    const come = async (): Promise<void> => {
      await tlsClient(port, { ...only(version), ...shown(ann) })
      await until(() => secured.length === results.length + 1)
      results.push(secured.at(-1)?.socket.authorized === true)
    }
    await come()
    clients = { ca: second.pem }
    await come()
    clients = { ca: authority.pem }
    await come()
    expect(results).toEqual([true, false, true])
    expect(secured.map(({ socket }) => socket.destroyed)).toEqual([false, false, false])
  })

  it('are proven on each connection: no session is taken up again', async () => {
    const { port, secured } = await accepting({ pairs: { pair }, clients: () => ({ ca: authority.pem }) })
    const sessions: Buffer[] = []
    for (let i = 0; i < 2; i += 1) {
      const session = sessions.at(-1)
      const options = { port, host: '127.0.0.1', rejectUnauthorized: false, ...only(version), ...shown(ann) }
      const client = tlsConnect({ ...options, ...(session && { session }) })
      atEnd(() => void client.destroy())
      client.on('error', () => {}).on('session', (given: Buffer) => sessions.push(given))
      await once(client, 'secureConnect')
      await until(() => secured.length === i + 1)
      // what comes next comes after all tickets
      const answered = once(client, 'data')
      secured[i]?.socket.write('x')
      await answered
      const own = client.getSession()
      if (own !== undefined) sessions.push(own)
      expect(client.isSessionReused()).toBe(false)
      expect(secured[i]?.socket.authorized).toBe(true)
    }
    expect(sessions.length).toBeGreaterThan(0)
  })
})

/** Types of the handshake messages that a server sends with TLS 1.2, where they are not encrypted. */
async function messagesOf(
  port: number,
  options: ConnectionOptions,
): Promise<{ types: number[]; names: string | undefined }> {
  const raw = tcpConnect(port, '127.0.0.1')
  atEnd(() => void raw.destroy())
  const read: Buffer[] = []
  const line = new Duplex({
    read() {},
    write: (chunk: Buffer, _encoding, done) => void raw.write(chunk, () => done()),
  })
  raw
    .on('error', () => {})
    .on('data', (chunk) => {
      read.push(chunk)
      line.push(chunk)
    })
  const client = tlsConnect({ socket: line, rejectUnauthorized: false, ...only('TLSv1.2'), ...options })
  client.on('error', () => {})
  await once(client, 'secureConnect')
  const names = namesOf(client)
  client.destroy()
  const messages = unwrapped(Buffer.concat(read))
  const types: number[] = []
  // up to ServerHelloDone
  for (let at = 0; types.at(-1) !== 14; at += 4 + messages.readUIntBE(at + 1, 3)) types.push(messages[at] ?? 14)
  return { types, names }
}

describe('TlsAcceptor', () => {
  it('asks clients for certificates, and validations of names for none', async () => {
    const { port, certificates } = await accepting({ pairs: { pair }, clients: () => ({ ca: authority.pem }) })
    certificates.putChallenge('a.test', await pairOf({ names: ['challenge.test'] }))
    const usual = await messagesOf(port, { servername: 'a.test' })
    expect(usual.types).toContain(CERTIFICATE_REQUEST)
    const validation = await messagesOf(port, { servername: 'a.test', ALPNProtocols: [ACME_PROTOCOL] })
    expect(validation.names).toBe('DNS:challenge.test'.slice(4))
    expect(validation.types).not.toContain(CERTIFICATE_REQUEST)
  })

  it('asks for none without authorities', async () => {
    const { port } = await accepting({ pairs: { pair } })
    expect((await messagesOf(port, {})).types).not.toContain(CERTIFICATE_REQUEST)
    const { port: other } = await accepting({ pairs: { pair }, clients: () => undefined })
    expect((await messagesOf(other, {})).types).not.toContain(CERTIFICATE_REQUEST)
  })
})
