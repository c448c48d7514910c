import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { silentLogger } from '../../../src/log.js'
import { Channel } from '../../../src/mux/channel/channel.js'
import { Session } from '../../../src/mux/session.js'
import { TcpStream } from '../../../src/node/net/tcp-stream.js'
import { nodeClock } from '../../../src/node/system/clock.js'
import { nodeCrypto } from '../../../src/node/system/crypto.js'
import { nodeInflate } from '../../../src/node/system/inflate.js'
import { FrameReader } from '../../../src/node/websocket/frame-reader.js'
import type { WsTransport } from '../../../src/node/websocket/ws-transport.js'
import { KIB, MIB } from '../../../src/protocol/limits.js'
import { decodeMessage, encodeConnect, MessageType } from '../../../src/protocol/messages.js'
import { newUuid } from '../../../src/protocol/uuid.js'
import { pump } from '../../../src/streams/pump.js'
import { pattern } from '../../contract/pattern.js'
import { until, untilStill } from '../../support/wait.js'
import { clientFrame, WsHost } from '../../support/ws-pair.js'
import { type Poisoned, poisonGivenMemory } from '../net/poisoned-memory.js'
import { socketPair } from '../net/sockets.js'

const BINARY = 2
const host = new WsHost()
let poisoned: Poisoned

beforeAll(() => host.listen())
afterAll(() => host.close())
beforeEach(() => {
  poisoned = poisonGivenMemory()
})
afterEach(() => {
  expect(poisoned.spoiled).toEqual([])
  vi.restoreAllMocks()
})

/** A channel of a session whose peer asked for it, joined with a socket; the peer of the session reads nothing yet. */
async function openChannel(streamControl: number | undefined) {
  const [{ peer, server }, [own, far]] = await Promise.all([host.raw(), socketPair()])
  peer.pause()
  far.on('error', () => {})
  const session = new Session(server, {
    clock: nodeClock,
    crypto: nodeCrypto,
    inflate: nodeInflate,
    log: silentLogger,
    pongs: false,
  })
  onTestFinished(() => {
    server.abort()
    far.destroy()
  })
  session.start({
    connect: ({ channelId, trailer }) => {
      const offer = trailer?.streamControl
      const channel = new Channel({ host: session, id: channelId, opener: false, offer, fastOpen: false })
      channel.accept()
      pump(channel, new TcpStream(own))
    },
    close: () => {},
  })
  const trailer = streamControl === undefined ? undefined : { streamControl }
  const target = { host: 'far.test', port: 1 }
  peer.write(clientFrame(BINARY, encodeConnect({ protocol: 1, channelId: newUuid(nodeCrypto), target, trailer })))
  await until(() => session.channels === 1)
  return { peer, server, far }
}

/** Sends until the kernel takes no more. */
async function fillLine(server: WsTransport): Promise<void> {
  for (let stuck = 0; stuck < 20; stuck = server.bufferedAmount > 0 ? stuck + 1 : 0) {
    // of no type that a session knows
    if (server.bufferedAmount === 0) server.send(new Uint8Array(32 * KIB).fill(0x7f))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Writes one piece and waits until the transport has it. */
async function give(far: Socket, server: WsTransport, piece: Uint8Array): Promise<void> {
  const before = server.bufferedAmount
  far.write(piece)
  await until(() => server.bufferedAmount >= before + piece.byteLength)
}

/** Reads on, up to so many bytes of Data. */
async function readData(peer: Socket, bytes: number): Promise<Buffer> {
  let data = Buffer.alloc(0)
  const reader = new FrameReader(false, {
    message: (raw) => {
      const message = raw[0] === 0x7f ? undefined : decodeMessage(raw)
      if (message?.type === MessageType.Data && message.compression === 0) data = Buffer.concat([data, message.data])
    },
    ping: () => {},
    close: () => {},
  })
  peer.on('data', (chunk: Buffer) => reader.push(chunk))
  peer.resume()
  await until(() => data.byteLength >= bytes)
  return data
}

describe('a line that takes nothing', () => {
  it.each([
    ['with credit', 512 * KIB],
    ['without credit', undefined],
  ])('holds on to what waits in it, whatever small messages follow, %s', async (_name, streamControl) => {
    const { peer, server, far } = await openChannel(streamControl)
    await fillLine(server)
    const sent: Uint8Array[] = []
    for (const [i, bytes] of [
      5_000, 900, 900, 900, 900, 900, 900, 17_000, 3_000, 3_000, 3_000, 3_000, 3_000, 3_000,
    ].entries()) {
      const piece = pattern(bytes, i)
      sent.push(piece)
      await give(far, server, piece)
    }
    const whole = Buffer.concat(sent)
    const received = await readData(peer, whole.byteLength)
    expect(Buffer.compare(received, whole)).toBe(0)
    expect(poisoned.given).toBeGreaterThan(0)
  })

  it('holds on to what waits for a socket whose reader stops again and again', async () => {
    const [from, [near, reader]] = await Promise.all([socketPair(), socketPair()])
    onTestFinished(() => {
      for (const socket of [...from, near, reader]) socket.destroy()
    })
    pump(new TcpStream(from[1]), new TcpStream(near))
    const whole = pattern(16 * MIB)
    from[0].write(whole)
    await untilStill(() => near.bytesWritten)
    const chunks: Buffer[] = []
    let bytes = 0
    reader.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.byteLength
      reader.pause()
      setTimeout(() => reader.resume(), 1)
    })
    reader.resume()
    await until(() => bytes === whole.byteLength)
    expect(Buffer.compare(Buffer.concat(chunks), whole)).toBe(0)
  })
})
