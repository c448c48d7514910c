import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { limitInbound } from '../../../src/node/websocket/limit-inbound.js'
import type { WsTransport } from '../../../src/node/websocket/ws-transport.js'
import { pattern } from '../../contract/pattern.js'
import { TransportRecorder } from '../../contract/transport-recorder.js'
import { until, untilStill } from '../../support/wait.js'
import { clientFrame, WsHost } from '../../support/ws-pair.js'
import { closePayload, frame, KEY } from './frames.js'
import { readWithWs } from './ws-oracle.js'

const BINARY = 2
const CLOSE = 8
const PING = 9

const host = new WsHost()

beforeAll(() => host.listen())
afterAll(() => host.close())

interface Started {
  readonly peer: Socket
  readonly server: WsTransport
  readonly seen: TransportRecorder
  /** What the peer got: as `ws` reads it. */
  readonly got: () => readonly string[]
}

async function started(): Promise<Started> {
  const { peer, server } = await host.raw()
  const seen = new TransportRecorder()
  const chunks: Buffer[] = []
  peer.on('data', (chunk: Buffer) => chunks.push(chunk))
  onTestFinished(() => {
    server.abort()
    peer.destroy()
  })
  server.start(seen)
  return { peer, server, seen, got: () => readWithWs(chunks).told }
}

const one = clientFrame(BINARY, Uint8Array.of(1))

describe('WsTransport and its frames', () => {
  it('delivers what came in one segment with the handshake', async () => {
    const accepted = host.next()
    const peer = connect(host.port, '127.0.0.1')
    const request =
      'GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'
    const last = frame({ opcode: CLOSE, payload: closePayload(4001), key: KEY })
    peer.end(Buffer.concat([Buffer.from(request), one, clientFrame(BINARY, pattern(10_000)), last]))
    const server = await accepted
    await untilStill(() => server.socket.bytesRead)
    const seen = new TransportRecorder()
    server.start(seen)
    expect((await seen.closed()).code).toBe(4001)
    expect(seen.messages.map((message) => message.byteLength)).toEqual([1, 10_000])
  })

  it.each([
    [1002, clientFrame(3, new Uint8Array(0))],
    [1002, Buffer.of(0x82, 0)],
    [1007, clientFrame(1, Buffer.of(0xff))],
    [1009, clientFrame(BINARY, new Uint8Array(0), 2 ** 31)],
    [1002, frame({ opcode: CLOSE, payload: closePayload(1005), key: KEY })],
  ])('tells the peer the status code %d of its violation and delivers nothing behind it', async (code, violation) => {
    const { peer, seen, got } = await started()
    peer.write(Buffer.concat([one, violation, one, frame({ opcode: PING, key: KEY })]))
    await until(() => got().length > 0)
    peer.write(one)
    peer.end()
    await seen.closed()
    expect(got()).toEqual([expect.stringMatching(`^close ${code} .`)])
    expect(seen.messages.length).toBe(1)
  })

  it('answers a close frame with its code, and delivers nothing behind it', async () => {
    const { peer, seen, got } = await started()
    const close = frame({ opcode: CLOSE, payload: closePayload(4321, 'why'), key: KEY })
    peer.write(Buffer.concat([one, close, one, clientFrame(3, new Uint8Array(0))]))
    await until(() => got().length > 0)
    peer.end(one)
    expect(await seen.closed()).toEqual({ code: 4321, reason: 'why', error: undefined })
    expect(got()).toEqual(['close 4321 '])
    expect(seen.messages.length).toBe(1)
  })

  it('answers a close frame without a code by one without a code', async () => {
    const { peer, seen, got } = await started()
    peer.end(frame({ opcode: CLOSE, key: KEY }))
    expect((await seen.closed()).code).toBe(1005)
    await until(() => got().length > 0)
    expect(got()).toEqual(['close 1005 '])
  })

  it('answers a ping with its payload', async () => {
    const { peer, got } = await started()
    peer.write(frame({ opcode: PING, payload: 'are you there', key: KEY }))
    const [bytes] = (await once(peer, 'data')) as [Buffer]
    expect(bytes).toEqual(frame({ opcode: 10, payload: 'are you there' }))
    expect(got()).toEqual([])
  })

  it('tells nothing after close() of the handler when whoever counts ended it', async () => {
    const { peer, server, seen } = await started()
    limitInbound(server, 100)
    let atClose: number | undefined
    seen.close = () => {
      atClose = seen.activities
    }
    peer.write(clientFrame(BINARY, new Uint8Array(1_000)))
    await until(() => atClose !== undefined)
    await untilStill(() => seen.activities)
    expect([seen.activities, seen.messages]).toEqual([atClose, []])
  })

  it.each(['client', 'server'] as const)('calls sent in the order of the messages, as a %s', async (role) => {
    const pair = await host.pair()
    const from = pair[role]
    const to = role === 'client' ? pair.server : pair.client
    const far = new TransportRecorder()
    from.start(new TransportRecorder())
    onTestFinished(() => {
      from.abort()
      to.abort()
    })
    const sent: number[] = []
    // enough that it does not all lie in the kernel
    const sizes = Array.from({ length: 200 }, (_, i) => [100_000, 3, 5_000, 4_090, 1][i % 5] ?? 0)
    for (const [i, bytes] of sizes.entries()) from.send(pattern(bytes), undefined, () => sent.push(i))
    to.start(far)
    await far.until(() => far.messages.length === sizes.length)
    await until(() => sent.length === sizes.length)
    expect(sent).toEqual(sizes.map((_, i) => i))
    expect(far.messages.map((message) => message.byteLength)).toEqual(sizes)
  })

  it('keeps that order for messages that come after the close frame of the peer', async () => {
    const { peer, server, seen } = await started()
    peer.pause()
    const sent: string[] = []
    for (let i = 0; server.bufferedAmount < 1_000_000; i += 1) {
      server.send(pattern(100_000), undefined, () => sent.push(`${i}`))
      await new Promise((resolve) => setImmediate(resolve))
    }
    peer.write(frame({ opcode: CLOSE, payload: closePayload(1000), key: KEY }))
    await seen.until(() => seen.activities > 0)
    const before = sent.length
    server.send(Uint8Array.of(1), undefined, () => sent.push('late'))
    server.send(Uint8Array.of(2), undefined, () => sent.push('later'))
    expect(sent.length).toBe(before)
    peer.resume()
    await seen.closed()
    await until(() => sent.includes('later'))
    expect(sent).toEqual([...Array.from({ length: sent.length - 2 }, (_, i) => `${i}`), 'late', 'later'])
  })
})
