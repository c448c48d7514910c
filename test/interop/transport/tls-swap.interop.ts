import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, renameSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { beforeAll, expect, it, vi } from 'vitest'
import type { LinksocksProcess } from '../../support/e2e/process.js'
import { type Scene, sceneOfSuite, sceneOfTest, sha256 } from '../../support/e2e/scene.js'
import { readBytes, socksConnect } from '../../support/e2e/socks.js'
import { download, echoTarget, httpOrigin, tcpTarget, upload } from '../../support/e2e/targets.js'
import { eventually, until, within } from '../../support/wait.js'
import { type LocalCa, localCa } from '../support/local-ca.js'
import { describeWith } from '../support/programs/programs.js'
import {
  askApi,
  LOOPBACK_NAMES,
  mountedSecret,
  replace,
  serialOf,
  shownSerial,
  startTlsServer,
  type TlsServer,
  tlsConnection,
} from '../support/tls-server.js'
import { expectInteractive } from '../support/transport-checks.js'

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 })

const MB = 1024 * 1024
const SWAPS = 100
const STREAMS = 1_000
/** Streams that are opened at a time. */
const BATCH = 100
/** Streams that say something at each swap. */
const TALKING = 40

interface Alarm {
  readonly code: string
  readonly subject: string
  readonly message: string
}

describeWith(['openssl'], 'the certificate of a server', () => {
  const suite = sceneOfSuite()
  const scene = sceneOfTest()
  let ca: LocalCa
  const bundles: string[] = []
  beforeAll(async () => {
    ca = await localCa(suite, 'Authority of this test')
    for (let count = 0; count < 6; count += 1) bundles.push(await ca.certificate({ names: LOOPBACK_NAMES }))
  })
  const bundle = (index: number): string => bundles[index % bundles.length] ?? ''

  /** Asks the server to read its files, and waits until it has. */
  async function reload({ process }: TlsServer): Promise<void> {
    const before = process.events('cli.reloaded').length
    process.kill('SIGHUP')
    await until(() => process.events('cli.reloaded').length > before)
  }

  /** Those that speak of certificates: a busy machine has others. */
  async function alarms(server: TlsServer): Promise<readonly Alarm[]> {
    const all = (await askApi<{ alarms: readonly Alarm[] }>(scene, server, 'server')).alarms
    return all.filter(({ code }) => code.startsWith('certificate-'))
  }

  const client = async (url: string) => await scene.listener(url, ['-t', 'F', '--ca-file', ca.file])

  function expectOneLink(server: TlsServer, process: LinksocksProcess): void {
    for (const event of ['link.suspended', 'link.resumed', 'link.lost'])
      expect(server.process.events(event)).toEqual([])
    for (const event of ['link.down', 'session.lost']) expect(process.events(event)).toEqual([])
    expect(process.events('link.up')).toHaveLength(1)
  }

  it(`changes ${SWAPS} times under ${STREAMS} streams, and none of them notices`, async () => {
    const server = await startTlsServer(scene, bundle(0), ['-t', 'F'])
    const { process, socksPort } = await client(server.url)
    const echo = await echoTarget(scene)
    const streams: Socket[] = []
    while (streams.length < STREAMS) {
      const opening = Array.from({ length: BATCH }, () => socksConnect(scene, socksPort, ['127.0.0.1', echo]))
      streams.push(...(await Promise.all(opening)))
    }
    const clients = async () => (await askApi<{ clients: readonly object[] }>(scene, server, 'clients')).clients
    const identity = { id: expect.any(String), since: expect.any(String), streams: STREAMS }
    const [before] = await clients()
    expect(before).toMatchObject(identity)

    let swapping = true
    const bulk = carryBulk(scene, socksPort, () => swapping)
    try {
      for (let swap = 1; swap <= SWAPS; swap += 1) {
        // said before the swap, and heard after it
        const said = randomBytes(TALKING)
        const talking = Array.from(said, (_, index) => streams[(swap * TALKING + index) % STREAMS] as Socket)
        for (const [index, stream] of talking.entries()) stream.write(said.subarray(index, index + 1))
        server.files.put(bundle(swap))
        await reload(server)
        expect(await shownSerial(scene, server.port), `swap ${swap}`).toBe(serialOf(bundle(swap)))
        const heard = await Promise.all(talking.map((stream) => readBytes(stream, 1)))
        expect(Buffer.concat(heard)).toEqual(said)
      }
    } finally {
      swapping = false
    }
    expect(await bulk).toBeGreaterThan(0)
    const last = await Promise.all(streams.map((stream, index) => say(stream, index & 255)))
    expect(last.filter((whole) => !whole)).toEqual([])
    expect(await clients()).toMatchObject([{ ...before, ...traffic }])
    expectOneLink(server, process)
    expect(process.events('link.up')).toHaveLength(1)
    expect(server.process.events('certificate.not-loaded')).toEqual([])
  })

  it('stays when what takes its place is no good, and an alarm says so until something good comes', async () => {
    const server = await startTlsServer(scene, bundle(0), ['-t', 'F'])
    const { cert, key } = server.files
    const expired = await ca.certificate({ names: LOOPBACK_NAMES, endYear: 2021 })
    const whole = readFileSync(bundle(1), 'utf8')
    const pipe = (): void => {
      execFileSync('mkfifo', [`${cert}.new`])
      renameSync(`${cert}.new`, cert)
    }
    const wrong: readonly (readonly [() => void, RegExp])[] = [
      [() => replace(cert, whole.slice(0, 300)), /certificate .*has no end: the file is not whole/],
      [() => replace(key, readFileSync(key, 'utf8').slice(0, 80)), /the key has no end: the file is not whole/],
      [() => server.files.put(bundle(1), bundle(2)), /the key does not belong to the certificate/],
      [() => server.files.put(expired), /the certificate has expired \(2021-01-01/],
      [() => replace(cert, randomBytes(2_000)), /it holds no PEM certificate/],
      [() => replace(cert, ''), /it holds no PEM certificate/],
      [() => replace(cert, whole.replace(/.{30}\n-----END/, `${'A'.repeat(30)}\n-----END`)), /damaged|not belong|ERR_/],
      [() => rmSync(cert), /can't read .*cert\.pem: it is not there/],
      [() => rmSync(key), /can't read .*key\.pem: it is not there/],
      [pipe, /cert\.pem is no ordinary file/],
    ]
    for (const [index, [put, reason]] of wrong.entries()) {
      const good = serialOf(bundle(index))
      const refused = server.process.events('certificate.not-loaded').length
      put()
      await reload(server)
      const lines = server.process.events('certificate.not-loaded').slice(refused)
      const said = String(lines.at(-1)?.reason)
      expect(said).toMatch(reason)
      expect(said).not.toContain('PRIVATE KEY')
      expect(await shownSerial(scene, server.port), said).toBe(good)
      const message = expect.stringMatching(reason)
      expect(await alarms(server)).toMatchObject([{ code: 'certificate-not-loaded', subject: cert, message }])
      server.files.put(bundle(index + 1))
      await reload(server)
      expect(await alarms(server), said).toEqual([])
      expect(await shownSerial(scene, server.port), said).toBe(serialOf(bundle(index + 1)))
    }
  })

  it('changes when its files do, without anybody asking for it', async () => {
    const server = await startTlsServer(scene, bundle(0), ['-t', 'F'])
    server.files.put(bundle(1))
    await comesToShow(server, bundle(1))
    server.files.put(bundle(2), bundle(3))
    await server.process.event('certificate.not-loaded')
    expect(await alarms(server)).toMatchObject([{ code: 'certificate-not-loaded', subject: server.files.cert }])
    expect(await shownSerial(scene, server.port)).toBe(serialOf(bundle(1)))
    server.files.put(bundle(2))
    await comesToShow(server, bundle(2))
    expect(await alarms(server)).toEqual([])
    expect(server.process.events('cli.reloading')).toEqual([])
  })

  it('changes with the directory that its files are links into', async () => {
    const server = await startTlsServer(scene, bundle(0), ['-t', 'F'], mountedSecret(scene))
    server.files.put(bundle(1))
    await comesToShow(server, bundle(1))
    server.files.put(bundle(2))
    await reload(server)
    expect(await shownSerial(scene, server.port)).toBe(serialOf(bundle(2)))
    expect(server.process.events('certificate.not-loaded')).toEqual([])
  })

  it('changes in the middle of handshakes, and all of them come to their end', async () => {
    const server = await startTlsServer(scene, bundle(0), ['-t', 'F'])
    const { port, holding, goOn } = await halfHellos(scene, server.port)
    const handshakes = Array.from({ length: 20 }, () => tlsConnection(scene, port, { ca: readFileSync(ca.file) }))
    await until(() => holding() === handshakes.length)
    server.files.put(bundle(1))
    await reload(server)
    goOn()
    const shown = (await Promise.all(handshakes)).map((socket) => socket.getPeerCertificate().serialNumber)
    expect(new Set(shown)).toEqual(new Set([serialOf(bundle(1))]))
    expect(server.process.events('http.rejected')).toEqual([])
  })

  it('is the newest one after any number of signals', async () => {
    const server = await startTlsServer(scene, bundle(0), ['-t', 'F'])
    const { process, socksPort } = await client(server.url)
    for (let count = 1; count <= 300; count += 1) {
      server.files.put(bundle(count))
      server.process.kill('SIGHUP')
      if (count % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await comesToShow(server, bundle(300))
    await eventually('end of all reloads', () => {
      const [asked, done] = ['cli.reloading', 'cli.reloaded'].map((event) => server.process.events(event).length)
      return asked === done || undefined
    })
    await expectInteractive(scene, socksPort, 3)
    expectOneLink(server, process)
  })

  /** Waits until new handshakes show the certificate of a bundle. */
  async function comesToShow(server: TlsServer, path: string): Promise<void> {
    const serial = serialOf(path)
    await eventually(`serial number ${serial}`, async () => {
      return (await shownSerial(scene, server.port)) === serial || undefined
    })
  }
})

/** What changes of a client while something flows. */
const traffic = {
  rtt_ms: expect.anything(),
  streams: expect.any(Number),
  received_bytes: expect.any(Number),
  sent_bytes: expect.any(Number),
}

/** Transfers down and up, one after another, as long as it is asked to. @returns how many there were */
async function carryBulk(scene: Scene, socksPort: number, goesOn: () => boolean): Promise<number> {
  const content = randomBytes(8 * MB)
  const digest = sha256(content)
  const origin = await httpOrigin(scene, content)
  const open = (): Promise<Socket> => socksConnect(scene, socksPort, ['127.0.0.1', origin])
  let count = 0
  do {
    const [down, up] = await Promise.all([download(await open()), upload(await open(), content)])
    expect([down, up]).toEqual([digest, digest])
    count += 1
  } while (goesOn())
  return count
}

/** Whether a byte comes back. */
async function say(stream: Socket, byte: number): Promise<boolean> {
  stream.write(Buffer.of(byte))
  const [heard] = await readBytes(stream, 1)
  return heard === byte
}

/** Passes on the beginning of each connection to `target`, and the rest when it is told to. */
async function halfHellos(scene: Scene, target: number) {
  let goOn = (): void => {}
  const gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  let held = 0
  const port = await tcpTarget(scene, (socket) => {
    const out = scene.connect(target)
    out.pipe(socket)
    socket.once('data', (hello: Buffer) => {
      socket.pause()
      out.write(hello.subarray(0, 100), () => {
        held += 1
      })
      void within(gate, 'permission to go on').then(
        () => {
          out.write(hello.subarray(100))
          socket.pipe(out)
        },
        () => socket.destroy(),
      )
    })
  })
  return { port, holding: () => held, goOn }
}
