import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { KIB } from '../../../src/protocol/limits.js'
import { pattern } from '../../contract/pattern.js'
import { atEnd } from '../../support/at-end.js'
import { until } from '../../support/wait.js'
import { addressBytes, echoServer, socksRequest, startClient, startServer } from '../library-fixture.js'
import { checkingTarget, checkStream } from './checked-streams.js'
import { type Poisoned, poisonGivenMemory } from './poisoned-memory.js'

vi.setConfig({ testTimeout: 40_000 })

const HOST = '127.0.0.1'
let poisoned: Poisoned

beforeEach(() => {
  poisoned = poisonGivenMemory()
})

afterEach(() => {
  expect(poisoned.spoiled).toEqual([])
  vi.restoreAllMocks()
})

const tlsFile = (name: string): string => readFileSync(new URL(`../../support/tls/${name}`, import.meta.url), 'utf8')

/** A port that ends TLS in front of `port`. */
async function tlsInFrontOf(port: number): Promise<number> {
  const server = createTlsServer({ key: tlsFile('server.key'), cert: tlsFile('server.pem') }, (secure) => {
    const plain = connect(port, HOST)
    plain.on('error', () => secure.destroy()).on('close', () => secure.destroy())
    secure.on('error', () => plain.destroy()).on('close', () => plain.destroy())
    secure.pipe(plain).pipe(secure)
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  atEnd(() => server.close())
  return (server.address() as AddressInfo).port
}

/** The SOCKS port of an agent's connector. */
async function agent(): Promise<number> {
  const { url } = await startServer({
    tokens: [
      { type: 'reverse', token: 'provider' },
      { type: 'connector', token: 'connector', reverseToken: 'provider' },
    ],
  })
  await startClient({ url, token: 'provider', reverse: true })
  const { client } = await startClient({ url, token: 'connector', socks: { port: 0 } })
  return client.socksAddress?.port ?? 0
}

describe('memory that is used again', () => {
  it('keeps streams whole through TLS', async () => {
    const { port } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }] })
    const url = `wss://127.0.0.1:${await tlsInFrontOf(port)}`
    const tls = { ca: tlsFile('ca.pem'), serverName: 'localhost' }
    const { client } = await startClient({ url, token: 'secret', tls, socks: { port: 0 } })
    const socksPort = client.socksAddress?.port ?? 0
    const targetPort = await checkingTarget()
    const streams = Array.from({ length: 8 }, (_, i) =>
      checkStream({ socksPort, targetPort, seed: i, upBytes: 400 * KIB, downBytes: 200 * KIB, slow: i % 2 === 0 }),
    )
    expect((await Promise.all(streams)).filter((wrong) => wrong !== undefined)).toEqual([])
    expect(poisoned.given).toBeGreaterThan(100)
  })

  it('passes pieces of every size around 4 KiB through a relay, each on its own', async () => {
    const { socket, rep } = await socksRequest(await agent(), { host: HOST, port: await echoServer() })
    expect(rep).toBe(0)
    let received = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
    })
    for (let i = 0; i < 120; i += 1) {
      const piece = pattern(4_050 + (i % 30), i)
      received = Buffer.alloc(0)
      socket.write(piece)
      await until(() => received.byteLength >= piece.byteLength)
      expect(Buffer.compare(received, piece)).toBe(0)
    }
  })

  it('keeps datagrams apart that a relay passes on', async () => {
    const { rep, boundPort } = await socksRequest(await agent(), { host: '0.0.0.0', port: 0 }, { cmd: 3 })
    expect(rep).toBe(0)
    const echo = createSocket('udp4', (data, from) => echo.send(data, from.port, from.address)).bind(0, HOST)
    const socket = createSocket('udp4').bind(0, HOST)
    atEnd(() => void echo.close())
    atEnd(() => void socket.close())
    await Promise.all([once(echo, 'listening'), once(socket, 'listening')])
    const right = new Set<number>()
    const wrong: number[] = []
    socket.on('message', (message) => {
      const payload = message.subarray(10)
      const i = payload.readUInt16BE(0)
      if (Buffer.compare(payload, datagram(i)) === 0) right.add(i)
      else wrong.push(i)
    })
    const end = Buffer.alloc(2)
    end.writeUInt16BE(echo.address().port)
    const head = Buffer.concat([Buffer.of(0, 0, 0), addressBytes(HOST), end])
    let sent = 0
    let looks = 0
    await until(() => {
      looks += 1
      // few at a time; datagrams may be lost, so others follow though no answer comes
      if (sent - right.size < 10 || looks % 10 === 0) {
        socket.send(Buffer.concat([head, datagram(sent)]), boundPort, HOST)
        sent += 1
      }
      return right.size >= 300
    })
    expect(wrong).toEqual([])
  })
})

/** Its number, and bytes that follow from it. */
function datagram(i: number): Uint8Array {
  const payload = pattern([100, 1_500, 3_000, 9_000][i % 4] ?? 0, i)
  payload.set([i >> 8, i & 255])
  return payload
}
