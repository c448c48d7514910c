import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type ConnectionOptions, type SecureVersion, connect as tlsConnect } from 'node:tls'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { CertificatePair } from '../../../src/node/tls/certificate-pair.js'
import { ACME_PROTOCOL, TLS_HANDSHAKE_TIMEOUT_MS } from '../../../src/node/tls/tls-acceptor.js'
import { atEnd } from '../../support/at-end.js'
import { until } from '../../support/wait.js'
import { accepting, namesOf, received, tcp, tlsClient } from './acceptor-fixture.js'
import { alpn, clientHello, handshake, inRecords, serverNames, unwrapped } from './hellos.js'
import { pairOf } from './pairs.js'
import { secondHello } from './second-hello.js'

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const satisfies readonly SecureVersion[]
/** The fatal alert unrecognized_name. */
const UNRECOGNIZED_NAME = '15030300020270'

const only = (version: SecureVersion): ConnectionOptions => ({ minVersion: version, maxVersion: version })

let pairs: Record<'rsa' | 'ec' | 'wild', CertificatePair>

beforeAll(async () => {
  pairs = {
    rsa: await pairOf({ names: ['rsa.test'], key: 2048 }),
    ec: await pairOf({ names: ['ec.test'] }),
    wild: await pairOf({ names: ['*.wild.test'], key: 2048 }),
  }
})

/** Those that the acceptor sets itself; the ones of Node's sockets are others. */
function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  atEnd(() => vi.useRealTimers())
}

/** How a client fails. */
const failure = (port: number, options?: ConnectionOptions): Promise<string> =>
  tlsClient(port, options).then(
    () => 'none',
    (error: NodeJS.ErrnoException) => error.code ?? '',
  )

describe.each(VERSIONS)('TlsAcceptor with %s', (version) => {
  it.each([
    ['RSA', ['rsa', 'ec', 'wild']],
    ['ECDSA', ['ec', 'wild', 'rsa']],
  ] as const)('takes the certificate for the name that a client asks for, the first being %s', async (_kind, order) => {
    const { port, secured } = await accepting({ pairs: Object.fromEntries(order.map((name) => [name, pairs[name]])) })
    const asked = async (servername?: string): Promise<string | undefined> =>
      namesOf(await tlsClient(port, { ...only(version), ...(servername !== undefined && { servername }) }))
    for (let round = 0; round < 2; round += 1) {
      expect(await asked('rsa.test')).toBe('rsa.test')
      expect(await asked('ec.test')).toBe('ec.test')
      expect(await asked('EC.test')).toBe('ec.test')
      expect(await asked('a.wild.test')).toBe('*.wild.test')
      expect([await asked('unknown.test'), await asked()]).toEqual([`${order[0]}.test`, `${order[0]}.test`])
    }
    await until(() => secured.length === 12)
  })

  it('gives both ends what the other one sent', async () => {
    const { port, secured, plain, rejected } = await accepting({ pairs })
    const client = await tlsClient(port, only(version))
    await until(() => secured.length === 1)
    const [{ socket, raw } = { socket: client, raw: client }] = secured
    expect([socket.remotePort, raw.remotePort]).toEqual([client.localPort, client.localPort])
    expect(socket.getProtocol()).toBe(version)
    client.write('question')
    expect(String((await once(socket, 'data'))[0])).toBe('question')
    socket.end('answer')
    expect(String((await once(client, 'data'))[0])).toBe('answer')
    client.end()
    await until(() => raw.destroyed)
    expect([plain, rejected]).toEqual([[], []])
  })

  it('leaves a connection half open whose client has ended after its handshake', async () => {
    const { port, secured } = await accepting({ pairs })
    const client = await tlsClient(port, { ...only(version), allowHalfOpen: true } as ConnectionOptions)
    client.end('question')
    await until(() => secured.length === 1)
    const socket = secured[0]?.socket as Socket
    socket.resume()
    await once(socket, 'end')
    socket.end('answer')
    expect(String(await received(client))).toBe('answer')
  })

  it('reads a hello that comes byte by byte', async () => {
    const { port, accepted } = await accepting({ pairs })
    const hello = await clientHello({ ...only(version), servername: 'ec.test' })
    const socket = await tcp(port)
    await until(() => accepted.length === 1)
    for (const [i, byte] of hello.entries()) {
      expect(socket.bytesRead).toBe(0)
      socket.write(Buffer.of(byte))
      await until(() => accepted[0]?.bytesRead === i + 1)
    }
    const [first] = (await once(socket, 'data')) as [Buffer]
    // a ServerHello
    expect([first[0], first[5]]).toEqual([0x16, 2])
  })

  it('takes a certificate that is replaced for connections that come then', async () => {
    const { port, secured, certificates } = await accepting({ pairs: { ec: pairs.ec } })
    const before = await tlsClient(port, only(version))
    certificates.set('ec', await pairOf({ names: ['new.test'] }))
    const after = await tlsClient(port, only(version))
    expect([namesOf(before), namesOf(after)]).toEqual(['ec.test', 'new.test'])
    await until(() => secured.length === 2)
    before.write('still here')
    expect(String((await once(secured[0]?.socket as Socket, 'data'))[0])).toBe('still here')
  })

  it('lets sessions be taken up again', async () => {
    const { port, secured } = await accepting({ pairs: { ec: pairs.ec } })
    const reused = await resumes(port, only(version), () => secured.at(-1)?.socket.write('x'))
    expect(reused).toBe(true)
  })

  it('refuses a client that speaks h2 alone, and takes one that speaks HTTP/1.1 or does not say', async () => {
    const { port, secured, rejected } = await accepting({ pairs })
    expect(await failure(port, { ...only(version), ALPNProtocols: ['h2'] })).toBe(
      'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
    )
    await until(() => rejected.length === 1)
    expect(rejected).toEqual(['TLS: the client speaks no http/1.1'])
    const both = await tlsClient(port, { ...only(version), ALPNProtocols: ['h2', 'http/1.1'] })
    const none = await tlsClient(port, only(version))
    expect([both.alpnProtocol, none.alpnProtocol]).toEqual(['http/1.1', false])
    await until(() => secured.length === 2)
  })

  it('shows the certificate of a validation, and ends the connection', async () => {
    const { port, secured, rejected, certificates, accepted } = await accepting({ pairs })
    const validating = { ...only(version), ALPNProtocols: [ACME_PROTOCOL], servername: 'ec.test' }
    const remove = certificates.putChallenge('ec.test', await pairOf({ names: ['ec.test', 'validation.test'] }))
    for (let round = 0; round < 2; round += 1) {
      const socket = await tlsClient(port, validating)
      expect([namesOf(socket), socket.alpnProtocol]).toEqual(['ec.test, validation.test', ACME_PROTOCOL])
      await received(socket)
    }
    expect(namesOf(await tlsClient(port, { ...only(version), servername: 'ec.test' }))).toBe('ec.test')
    remove()
    expect(await failure(port, validating)).toBe('ERR_SSL_TLSV1_UNRECOGNIZED_NAME')
    expect(await failure(port, { ...validating, servername: 'rsa.test' })).toBe('ERR_SSL_TLSV1_UNRECOGNIZED_NAME')
    await until(() => rejected.length === 2)
    expect(rejected).toEqual(['nothing validates ec.test now', 'nothing validates rsa.test now'])
    expect(secured.length).toBe(1)
    await until(() => accepted.filter((raw) => raw.destroyed).length === 4)
  })
})

it('serves nothing to a client that asks for a validation and then for something else', async () => {
  const { port, secured, certificates, accepted } = await accepting({ pairs })
  certificates.putChallenge('ec.test', pairs.ec)
  const names = serverNames([0, 'ec.test'])
  const asking = { first: [names, alpn(ACME_PROTOCOL)], text: 'question' }
  expect(await secondHello(port, { ...asking, second: [names, alpn(ACME_PROTOCOL)] })).toBe('')
  expect(await secondHello(port, { ...asking, second: [names] })).toBe('')
  await until(() => accepted.filter((raw) => raw.destroyed).length === 2)
  expect(secured).toEqual([])
})

/** Whether a second connection takes up the session of a first one. */
async function resumes(port: number, options: ConnectionOptions, nudge: () => unknown): Promise<boolean> {
  let session: Buffer | undefined
  const first = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  first
    .on('error', () => {})
    .on('session', (given: Buffer) => {
      session = given
    })
  await once(first, 'secureConnect')
  // what the server sends next comes after all tickets
  const answered = once(first, 'data')
  await untilNudged(nudge)
  await answered
  session ??= first.getSession()
  first.destroy()
  const second = await tlsClient(port, { ...options, ...(session && { session }) })
  return second.isSessionReused()
}

async function untilNudged(nudge: () => unknown): Promise<void> {
  await until(() => nudge() !== undefined)
}

describe('TlsAcceptor', () => {
  it('leaves all of another protocol unread, whatever its first byte', async () => {
    const { port, plain, rejected, secured } = await accepting({ pairs })
    const sent = ['GET / HTTP/1.1\r\n\r\n', '\x15\x03\x01', '\0', '\x80\x2e\x01']
    for (const text of sent) (await tcp(port)).write(text, 'latin1')
    await until(() => plain.length === sent.length)
    expect(plain.map((raw) => (raw.read() as Buffer).toString('latin1')).sort()).toEqual(sent.sort())
    expect([rejected, secured]).toEqual([[], []])
  })

  it('says with an alert that there is no certificate yet', async () => {
    const { port, rejected, addresses, certificates } = await accepting({})
    const socket = await tcp(port)
    socket.write(await clientHello({ servername: 'a.test' }))
    expect((await received(socket)).toString('hex')).toBe(UNRECOGNIZED_NAME)
    expect(await failure(port)).toBe('ERR_SSL_TLSV1_UNRECOGNIZED_NAME')
    expect(rejected).toEqual([
      'no certificate is there yet (asked for a.test)',
      'no certificate is there yet (asked for no name)',
    ])
    expect(addresses).toEqual(['127.0.0.1', '127.0.0.1'])
    certificates.set('any', pairs.ec)
    expect(await failure(port)).toBe('ERR_SSL_TLSV1_UNRECOGNIZED_NAME')
  })

  it('knows the first certificate as soon as it is there', async () => {
    const { port, certificates } = await accepting({ pairs: { ec: pairs.ec } })
    certificates.set('ec', pairs.rsa)
    expect(namesOf(await tlsClient(port))).toBe('rsa.test')
  })

  it('ends a connection whose hello does not come in time, or comes in part', async () => {
    fakeTimers()
    const { port, rejected, addresses, accepted, closed } = await accepting({ pairs, timeoutMs: 1_500 })
    await tcp(port)
    await until(() => accepted.length === 1)
    const slow = await tcp(port)
    slow.write((await clientHello()).subarray(0, 100))
    await until(() => accepted[1]?.bytesRead === 100)
    vi.advanceTimersByTime(1_499)
    expect(rejected).toEqual([])
    vi.advanceTimersByTime(1)
    expect(rejected).toEqual(['no TLS handshake within 1.5 s', 'no TLS handshake within 1.5 s'])
    expect(addresses).toEqual(['127.0.0.1', '127.0.0.1'])
    await until(() => closed.length === 2)
  })

  it('gives a connection no more than its time, from the beginning on, and forgets it when it is over', async () => {
    fakeTimers()
    const { port, rejected, accepted, secured, plain } = await accepting({ pairs })
    const socket = await tcp(port)
    await until(() => accepted.length === 1)
    vi.advanceTimersByTime(TLS_HANDSHAKE_TIMEOUT_MS - 1)
    expect(rejected).toEqual([])
    socket.write(await clientHello())
    await once(socket, 'data')
    vi.advanceTimersByTime(1)
    expect(rejected).toEqual(['no TLS handshake within 10 s'])
    await until(() => accepted[0]?.destroyed === true)
    const done = await tlsClient(port)
    ;(await tcp(port)).write('GET')
    await until(() => secured.length + plain.length === 2)
    vi.advanceTimersByTime(2 * TLS_HANDSHAKE_TIMEOUT_MS)
    expect([rejected.length, done.destroyed, vi.getTimerCount()]).toEqual([1, false, 0])
  })

  it.each([
    ['ends before its hello', (socket: Socket) => void socket.end()],
    ['is reset before its hello', (socket: Socket) => void socket.resetAndDestroy()],
    ['ends in its hello', async (socket: Socket) => void socket.end((await clientHello()).subarray(0, 50))],
    [
      'is reset after its hello',
      async (socket: Socket) => {
        socket.write(await clientHello())
        await once(socket, 'data')
        socket.resetAndDestroy()
      },
    ],
    [
      'ends after its hello',
      async (socket: Socket) => {
        socket.write(await clientHello())
        await once(socket, 'data')
        socket.end()
      },
    ],
  ])('says nothing of a connection that %s', async (_what, leave) => {
    fakeTimers()
    const { port, rejected, accepted, closed, secured, plain } = await accepting({ pairs })
    const socket = await tcp(port)
    await until(() => accepted.length === 1)
    await leave(socket)
    await until(() => closed.length === 1)
    expect([rejected, secured, plain, vi.getTimerCount()]).toEqual([[], [], [], 0])
  })

  it('has nothing left of connections that were gone before they were accepted', async () => {
    fakeTimers()
    let gone = 0
    const { port, rejected, accepted, closed } = await accepting({ pairs, before: () => until(() => gone === 2) })
    for (let i = 1; i <= 2; i += 1) {
      const socket = await tcp(port)
      await until(() => accepted.length === i)
      socket.resetAndDestroy()
      await once(socket, 'close')
      gone += 1
    }
    await until(() => closed.length === 2)
    vi.advanceTimersByTime(TLS_HANDSHAKE_TIMEOUT_MS)
    expect([rejected, vi.getTimerCount()]).toEqual([[], 0])
  })

  it('ends a connection that is closed here in the middle of its handshake', async () => {
    fakeTimers()
    const { port, rejected, secured, accepted, closed } = await accepting({ pairs })
    const socket = await tcp(port)
    socket.write(await clientHello())
    await once(socket, 'data')
    accepted[0]?.destroy()
    await until(() => closed.length === 1)
    expect([rejected, secured, vi.getTimerCount()]).toEqual([[], [], 0])
  })

  it.each([
    ['a hello that is none', () => inRecords(handshake(Buffer.alloc(40), 1)), /^TLS: ERR_SSL_/],
    ['another message', () => inRecords(handshake(Buffer.alloc(40), 2)), /^TLS: ERR_SSL_/],
    ['a record of another version', () => Buffer.from('16090900050100000100', 'hex'), /^TLS: /],
  ])('says what is wrong with %s, and who sent it', async (_what, bytes, reason) => {
    const { port, rejected, addresses } = await accepting({ pairs })
    const socket = await tcp(port)
    socket.write(bytes())
    await received(socket)
    await until(() => rejected.length === 1)
    expect(rejected).toEqual([expect.stringMatching(reason)])
    expect(addresses).toEqual(['127.0.0.1'])
  })

  it('says that a version is too old, and that ciphers do not suit', async () => {
    const { port, rejected } = await accepting({ pairs: { rsa: pairs.rsa } })
    await failure(port, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })
    await until(() => rejected.length === 1)
    await failure(port, { ...only('TLSv1.2'), ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })
    await until(() => rejected.length === 2)
    expect(rejected).toEqual([
      'TLS: the client speaks an old version only, and 1.2 is the oldest that is taken',
      'TLS: the client knows none of the ciphers that are taken',
    ])
  })

  it('leaves a hello that lies in many records, or is very large, to TLS', async () => {
    const { port, rejected } = await accepting({ pairs })
    const message = unwrapped(await clientHello({ servername: 'ec.test' }))
    const split = await tcp(port)
    split.write(inRecords(message, 50))
    expect(((await once(split, 'data')) as [Buffer])[0][0]).toBe(0x16)
    const large = await tcp(port)
    large.write(inRecords(handshake(Buffer.alloc(100_000), 1)))
    await received(large)
    await until(() => rejected.length === 1)
    expect(rejected).toEqual([expect.stringMatching(/^TLS: /)])
  })

  it('knows many connections at once apart', async () => {
    const { port, secured } = await accepting({ pairs })
    const names = ['rsa.test', 'ec.test', 'a.wild.test']
    const clients = await Promise.all(
      Array.from({ length: 24 }, (_, i) => tlsClient(port, { servername: names[i % 3] ?? '' })),
    )
    await until(() => secured.length === 24)
    expect(clients.map(namesOf)).toEqual(clients.map((_, i) => ['rsa.test', 'ec.test', '*.wild.test'][i % 3]))
    for (const { socket, raw } of secured) expect(socket.remotePort).toBe(raw.remotePort)
    expect(new Set(secured.map(({ raw }) => raw)).size).toBe(24)
  })
})
