import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { beforeAll, expect, it, vi } from 'vitest'
import type { LinksocksProcess } from '../../support/e2e/process.js'
import { type Scene, sceneOfSuite, sceneOfTest } from '../../support/e2e/scene.js'
import { readBytes } from '../../support/e2e/socks.js'
import { tcpTarget } from '../../support/e2e/targets.js'
import { until, untilPasses, within } from '../../support/wait.js'
import { type LocalCa, localCa } from '../support/local-ca.js'
import { describeWith } from '../support/programs/programs.js'
import { askApi, LOOPBACK_NAMES, startTlsServer, type TlsServer, tlsConnection } from '../support/tls-server.js'
import { expectInteractive } from '../support/transport-checks.js'

vi.setConfig({ testTimeout: 120_000 })

/** Of each kind, of which there are five. */
const SLOW = 40
const CROWD = 2_000
/** Between two bytes of those who send one at a time. */
const DRIP_MS = 100
/** Connections that have proven nothing, of which a server keeps so many. */
const PENDING = 1_024
/** What a server may open besides. */
const SPARE_FILES = 50
/** Where strangers come from; the client with a token comes from 127.0.0.1. */
const ELSEWHERE = '127.0.0.2'

/** Does something with a connection that has just been opened, and is to be ended by the server. */
type Stranger = (socket: Socket) => void

const say =
  (...bytes: readonly Uint8Array[]): Stranger =>
  (socket) =>
    void socket.write(Buffer.concat(bytes))

/** One byte at a time, until the connection is over. */
const drip =
  (bytes: Uint8Array): Stranger =>
  (socket) => {
    let sent = 0
    const timer = setInterval(() => socket.write(bytes.subarray(sent, ++sent)), DRIP_MS)
    socket.on('close', () => clearInterval(timer))
  }

/** A connection from elsewhere. */
function stranger(scene: Scene, port: number, act: Stranger, localAddress = ELSEWHERE): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress, allowHalfOpen: true })
  scene.own(() => socket.destroy())
  socket.on('error', () => {}).on('connect', () => act(socket))
  // the end of what the server says is no end of what is said to it
  return socket.resume()
}

/** Settles when all of them are gone: a connection that was ended is closed, as soon as that is seen. */
async function allGone(sockets: readonly Socket[]): Promise<void> {
  const gone = sockets.map(async (socket) => {
    const over = new Promise((resolve) => socket.on('end', resolve).on('close', resolve))
    if (!socket.destroyed && !socket.readableEnded) await over
    socket.destroy()
  })
  await within(Promise.all(gone), 'end of all strangers')
}

/** The first thing that Node's client says. */
async function clientHello(scene: Scene): Promise<Buffer> {
  let found = (_hello: Buffer): void => {}
  const hello = new Promise<Buffer>((resolve) => {
    found = resolve
  })
  const port = await tcpTarget(scene, (socket) => void socket.once('data', found))
  const client = connectTls({ port, host: '127.0.0.1', servername: 'localhost' }).on('error', () => {})
  scene.own(() => client.destroy())
  return await within(hello, 'ClientHello')
}

/** A ClientHello of that many bytes in records of that many, with nothing that makes sense in it. */
function longHello(length: number, recordLength: number): Buffer {
  const message = Buffer.concat([
    Buffer.of(1, length >> 16, (length >> 8) & 255, length & 255),
    Buffer.alloc(length, 1),
  ])
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += recordLength) {
    const piece = message.subarray(at, at + recordLength)
    records.push(Buffer.of(0x16, 3, 1, piece.length >> 8, piece.length & 255), piece)
  }
  return Buffer.concat(records)
}

/** Descriptors that a process has open. */
function openFiles({ pid }: LinksocksProcess): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function expectNoFailure(process: LinksocksProcess): void {
  expect(process.log.filter(({ level }) => level === 'error')).toEqual([])
  expect(process.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'))).toEqual([])
}

describeWith(['openssl'], 'the TLS of a server, before strangers', () => {
  const suite = sceneOfSuite()
  const scene = sceneOfTest()
  let ca: LocalCa
  let bundle = ''
  let hello: Buffer
  beforeAll(async () => {
    ca = await localCa(suite, 'Authority of this test')
    bundle = await ca.certificate({ names: LOOPBACK_NAMES })
    hello = await clientHello(suite)
  })

  const client = async (url: string) => await scene.listener(url, ['-t', 'F', '--ca-file', ca.file])

  /** Strangers of five kinds, all at once, and a client with a token all the while. @returns when the server has ended all of them */
  async function slowOnes(server: TlsServer, socksPort: number): Promise<void> {
    const kinds: readonly Stranger[] = [
      () => {},
      drip(hello),
      say(hello),
      say(hello, randomBytes(200)),
      say(hello.subarray(0, hello.length / 2)),
    ]
    const sockets = kinds.flatMap((act) => Array.from({ length: SLOW }, () => stranger(scene, server.port, act)))
    let going = true
    const all = allGone(sockets).finally(() => {
      going = false
    })
    do {
      await expectInteractive(scene, socksPort, 3)
      const socket = await tlsConnection(scene, server.port, { ca: readFileSync(ca.file), rejectUnauthorized: true })
      socket.destroy()
    } while (going)
    await all
  }

  it('ends those who are slow or send garbage, serves others meanwhile, and keeps nothing of them', async () => {
    const server = await startTlsServer(scene, bundle, ['-t', 'F'])
    const { process, socksPort } = await client(server.url)
    await slowOnes(server, socksPort)
    const before = openFiles(server.process)
    await slowOnes(server, socksPort)
    await untilPasses(() => expect(openFiles(server.process)).toBeLessThanOrEqual(before))
    expect(process.events('link.down')).toEqual([])
    const reasons = server.process.events('http.rejected', { address: ELSEWHERE }).map(({ reason }) => String(reason))
    expect(new Set(reasons)).toContain('no TLS handshake within 10 s')
    for (const reason of reasons) expect(reason).toMatch(/^(no TLS handshake within 10 s|TLS: .+)$/)
    expectNoFailure(server.process)
  })

  it.each([
    ['elsewhere', [ELSEWHERE]],
    ['many places', Array.from({ length: 100 }, (_, index) => `127.0.1.${index + 1}`)],
    ['where it is', ['127.0.0.1']],
  ])(`lets a client with a token in while ${CROWD} strangers are there, from %s`, async (_where, addresses) => {
    const server = await startTlsServer(scene, bundle, ['-t', 'F'])
    let opened = 0
    const count = (socket: Socket): void => {
      opened += 1
      if (opened % 2 === 0) say(hello)(socket)
    }
    const before = openFiles(server.process)
    for (let index = 0; index < CROWD; index += 1) {
      stranger(scene, server.port, count, addresses[index % addresses.length])
    }
    // to their own machine: those for which the queue of the server's port has no room are not told so
    await until(() => opened === CROWD)
    const { process, socksPort } = await client(server.url)
    await expectInteractive(scene, socksPort, 5)
    expect(await askApi(scene, server, 'server')).toMatchObject({ clients: 1 })
    expect(openFiles(server.process)).toBeLessThan(before + PENDING + SPARE_FILES)
    expect(process.events('link.up')).toHaveLength(1)
    expectNoFailure(server.process)
  })

  it('ends those whose ClientHello is none, or too long, and goes on', async () => {
    const server = await startTlsServer(scene, bundle, ['-t', 'F'])
    const odd: readonly Uint8Array[] = [
      longHello(60_000, 16_000),
      longHello(130_000, 16_000),
      longHello(0xffffff, 16_384).subarray(0, 300_000),
      longHello(60_000, 1).subarray(0, 60_000),
      // records of no bytes, and one that is longer than allowed
      Buffer.concat(Array.from({ length: 100 }, () => Buffer.of(0x16, 3, 1, 0, 0))),
      Buffer.concat([Buffer.of(0x16, 3, 1, 0xff, 0xff), Buffer.alloc(65_535, 1)]),
      // of SSL 3, and of SSL 2 with room for version 3
      Buffer.concat([
        Buffer.of(0x16, 3, 0, 0, 45, 1, 0, 0, 41, 3, 0),
        Buffer.alloc(32, 7),
        Buffer.of(0, 0, 2, 0, 5, 1, 0),
      ]),
      Buffer.concat([Buffer.of(0x80, 28, 1, 3, 0, 0, 3, 0, 0, 0, 16, 0, 0, 5), Buffer.alloc(16, 7)]),
      // an alert, and data, where a ClientHello is awaited
      Buffer.of(0x15, 3, 1, 0, 2, 1, 0),
      Buffer.concat([Buffer.of(0x16, 3, 1, 0, 4, 1, 0, 0, 0), Buffer.of(0x17, 3, 3, 0, 1, 0)]),
      randomBytes(10_000).fill(0x16, 0, 1),
    ]
    await allGone(odd.map((bytes) => stranger(scene, server.port, say(bytes))))
    expect(await askApi(scene, server, 'server')).toMatchObject({ clients: 0 })
    expectNoFailure(server.process)
  })

  it('is not held up by a ClientHello in records of one byte each, byte by byte', async () => {
    const server = await startTlsServer(scene, bundle, ['-t', 'F'])
    const bytes = longHello(10_000, 1)
    const slow = Array.from({ length: 20 }, () =>
      stranger(scene, server.port, (socket) => {
        socket.setNoDelay(true)
        for (let at = 0; at < bytes.length && at < 20_000; at += 6) socket.write(bytes.subarray(at, at + 6))
      }),
    )
    expect(await askApi(scene, server, 'server')).toMatchObject({ clients: 0 })
    await allGone(slow)
    expectNoFailure(server.process)
  })

  it.each(['SIGTERM', 'SIGINT'] as const)('is ended by %s in the middle of handshakes', async (signal) => {
    const server = await startTlsServer(scene, bundle, ['-t', 'F'])
    const { process } = await client(server.url)
    const kinds: readonly Stranger[] = [() => {}, say(hello.subarray(0, 50)), say(hello), drip(hello)]
    const sockets = kinds.flatMap((act) => Array.from({ length: 10 }, () => stranger(scene, server.port, act)))
    const answered = tlsConnection(scene, server.port)
    await answered
    expect(await server.process.end(signal)).toBe(0)
    await allGone(sockets)
    await process.event('link.down')
    expect(server.process.events('cli.close-timeout')).toEqual([])
    expectNoFailure(server.process)
  })

  it('takes the first request that comes in one piece with the end of the handshake', async () => {
    const server = await startTlsServer(scene, bundle, ['-t', 'F'])
    const socket = connectTls({
      port: server.port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: readFileSync(ca.file),
    })
    scene.own(() => socket.destroy())
    // before the handshake: Node sends it with its own Finished
    socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect((await readBytes(socket, 12)).toString()).toBe('HTTP/1.1 200')
  })
})
