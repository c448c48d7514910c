import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { DatagramChannel, MAX_WAITING_DATAGRAM_BYTES } from '../../../src/mux/channel/datagrams.js'
import { MAX_DATAGRAM_BYTES } from '../../../src/protocol/limits.js'
import {
  Compression,
  type ConnectMessage,
  encodeConnect,
  encodeConnectResponse,
  encodeDatagram,
  MessageType,
} from '../../../src/protocol/messages.js'
import { pumpDatagrams } from '../../../src/streams/pump.js'
import { DatagramRecorder, datagramSocketContract } from '../../contract/datagram-socket.js'
import { bytesBehindData, dataAmong } from '../../protocol/behind-data.js'
import { settle } from '../../support/manual-clock.js'
import { concat } from '../../support/test-peer.js'
import { disconnect, ScriptedPeer, sessionPair, success, uuid } from '../fixture.js'

const SOURCE = { host: '192.0.2.1', port: 53 }
const TARGET = { host: 'dns.example', port: 53 }

/** Both ends of an association through two sessions. */
async function associated() {
  const accepted: DatagramChannel[] = []
  const connect = (message: ConnectMessage): void => {
    const channel = new DatagramChannel({ host: pair.far.session, id: message.channelId, opener: false })
    channel.accept()
    accepted.push(channel)
  }
  const pair = sessionPair({ far: { handler: { connect } } })
  const near = await pair.near.dialer().associate()
  const far = accepted[0]
  if (far === undefined) throw new Error('nothing was accepted')
  return { pair, near, far }
}

datagramSocketContract('a DatagramChannel', async () => {
  const { near, far } = await associated()
  far.start({ datagram: (data, from) => far.send(data, { ...SOURCE, port: from.port }), close: () => {} })
  return { socket: near, echo: TARGET }
})

describe('A DatagramChannel', () => {
  it('writes nothing behind Data, whatever the datagram and its address are', async () => {
    const place = fc.record({ host: fc.string({ unit: 'grapheme', maxLength: 300 }), port: fc.nat(65_535) })
    const datagram = fc.uint8Array({ maxLength: 2_000 })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(datagram, place), { minLength: 1, maxLength: 8 }), async (sent) => {
        const { pair, near, far } = await associated()
        for (const socket of [near, far]) for (const [bytes, to] of sent) socket.send(bytes, to)
        await settle()
        const messages = [...pair.near.transport.sentMessages, ...pair.far.transport.sentMessages]
        expect(dataAmong(messages).map(bytesBehindData)).toEqual(sent.flatMap(() => [0, 0]))
      }),
      { numRuns: 50 },
    )
  })
})

/** Our end opens, the peer is written by hand. */
async function opened() {
  const peer = new ScriptedPeer()
  const opening = peer.end.dialer().associate()
  await settle()
  await peer.send(success(peer.id))
  const socket = await opening
  if (!(socket instanceof DatagramChannel)) throw new Error('not a DatagramChannel')
  const told = new DatagramRecorder()
  told.start(socket)
  return { peer, id: peer.id, socket, told }
}

const fromTarget = (id: Uint8Array, ...bytes: number[]) =>
  encodeDatagram({ channelId: id, data: Uint8Array.from(bytes), source: SOURCE })

function gzipped(id: Uint8Array, payload: Uint8Array): Uint8Array {
  const message = encodeDatagram({ channelId: id, data: payload, source: SOURCE })
  message[19] = Compression.Gzip
  return message
}

describe('DatagramChannel', () => {
  it('names destinations from the opener and sources from the accepter', async () => {
    const { pair, near, far } = await associated()
    const [atNear, atFar] = [new DatagramRecorder(), new DatagramRecorder()]
    atNear.start(near)
    atFar.start(far)
    near.send(Uint8Array.of(1), TARGET)
    await settle()
    far.send(Uint8Array.of(2), SOURCE)
    await settle()
    expect(atFar.received).toEqual([{ data: Uint8Array.of(1), source: TARGET }])
    expect(atNear.received).toEqual([{ data: Uint8Array.of(2), source: SOURCE }])
    near.close()
    await settle()
    expect([atNear.closes, atFar.closes, pair.near.session.channels, pair.far.session.channels]).toEqual([
      [undefined],
      [undefined],
      0,
      0,
    ])
  })

  it('drops the oldest when the link takes nothing, and counts', async () => {
    const { peer, socket } = await opened()
    peer.transport.pause()
    const size = 60_000
    const count = 60
    for (let i = 0; i < count; i += 1) socket.send(new Uint8Array(size).fill(i), TARGET)
    await settle()
    expect(socket.dropped).toBeGreaterThan(count - MAX_WAITING_DATAGRAM_BYTES / size - 5)
    peer.transport.resume()
    await settle()
    const arrived = peer.of(MessageType.Data).map(({ data }) => data[0])
    expect(arrived.length + socket.dropped).toBe(count)
    expect(socket.sentBytes).toBe(arrived.length * size)
    expect(arrived.at(-1)).toBe(count - 1)
  })

  it('drops and counts what is too large, both ways', async () => {
    const { peer, id, socket, told } = await opened()
    socket.send(new Uint8Array(MAX_DATAGRAM_BYTES + 1), TARGET)
    socket.send(new Uint8Array(MAX_DATAGRAM_BYTES), TARGET)
    await settle()
    expect(peer.of(MessageType.Data).map(({ data }) => data.byteLength)).toEqual([MAX_DATAGRAM_BYTES])
    await peer.send(gzipped(id, new Uint8Array(gzipSync(new Uint8Array(MAX_DATAGRAM_BYTES + 1)))))
    expect([told.received.length, socket.dropped]).toEqual([0, 2])
    expect([socket.sentBytes, socket.receivedBytes]).toEqual([MAX_DATAGRAM_BYTES, 0])
  })

  it('takes gzip datagrams, and a broken one costs nothing but itself', async () => {
    const { peer, id, socket, told } = await opened()
    await peer.send(
      gzipped(id, new Uint8Array(50)),
      gzipped(id, new Uint8Array(gzipSync(Uint8Array.of(1, 2)))),
      fromTarget(id, 3),
    )
    expect(told.received.map(({ data }) => [...data])).toEqual([[1, 2], [3]])
    expect(socket.dropped).toBe(1)
    await peer.send(disconnect(id, 'EOF'))
    expect([told.closes, peer.end.session.channels]).toEqual([[undefined], 0])
  })

  it('ignores datagrams without an address, of unknown compression, or cut', async () => {
    const { peer, id, socket, told } = await opened()
    const control = fromTarget(id, 1)
    control[19] = Compression.Control
    await peer.send(
      encodeDatagram({ channelId: id, data: Uint8Array.of(1) }),
      encodeDatagram({ channelId: id, data: Uint8Array.of(1), target: TARGET }),
      control,
      fromTarget(id, 1, 2, 3).subarray(0, 30),
    )
    expect([told.received, socket.dropped, peer.end.closes]).toEqual([[], 1, []])
    await peer.send(fromTarget(id, 9))
    expect(told.received).toHaveLength(1)
  })

  it('takes a datagram before the answer for the answer', async () => {
    const peer = new ScriptedPeer()
    const opening = peer.end.dialer().associate()
    await settle()
    await peer.send(fromTarget(peer.id, 1))
    await expect(opening).resolves.toBeDefined()
  })

  it('fails as the answer says, and when the far end gives up', async () => {
    const peer = new ScriptedPeer()
    const refused = expect(peer.end.dialer().associate()).rejects.toMatchObject({ code: 'ERR_DIAL_UNSUPPORTED' })
    await settle()
    await peer.send(encodeConnectResponse({ success: false, channelId: peer.id, error: 'no', trailer: { rep: 7 } }))
    await refused
    const gone = expect(peer.end.dialer().associate()).rejects.toMatchObject({ code: 'ERR_DIAL_FAILED' })
    await settle()
    await peer.send(disconnect(peer.id, 'EOF'))
    await gone
    expect(peer.end.session.channels).toBe(0)
  })

  it('ends with its session', async () => {
    const { peer, told } = await opened()
    peer.transport.cut()
    await settle()
    expect(told.closes).toMatchObject([{ code: 'ERR_LINK_LOST' }])
    expect(peer.end.session.channels).toBe(0)
  })

  it('sends nothing after close(), and answers a Disconnect with one', async () => {
    const { peer, id, socket, told } = await opened()
    peer.transport.pause()
    socket.send(new Uint8Array(1_000), TARGET)
    await peer.send(disconnect(id))
    socket.send(new Uint8Array(1_000), TARGET)
    peer.transport.resume()
    await settle()
    expect([told.closes, peer.disconnects]).toEqual([[undefined], ['EOF']])
  })
})

describe('DatagramChannel of the accepting end', () => {
  async function asked() {
    const cancels: (LinkSocksError | undefined)[] = []
    const channels: DatagramChannel[] = []
    const connect = (message: ConnectMessage): void => {
      const channel = new DatagramChannel({ host: peer.end.session, id: message.channelId, opener: false })
      channel.onCancel((error) => cancels.push(error))
      channels.push(channel)
    }
    const peer: ScriptedPeer = new ScriptedPeer({ handler: { connect } })
    await peer.send(encodeConnect({ protocol: 2, channelId: uuid(1) }))
    const channel = channels[0]
    if (channel === undefined) throw new Error('nothing was asked')
    return { peer, id: uuid(1), channel, cancels }
  }

  it('sends nothing before its answer', async () => {
    const { peer, channel } = await asked()
    channel.send(Uint8Array.of(1), SOURCE)
    await settle()
    expect(peer.received).toEqual([])
    channel.accept()
    channel.accept()
    await settle()
    expect(peer.received.map(({ type }) => type)).toEqual([MessageType.ConnectResponse, MessageType.Data])
  })

  it('counts datagrams that nobody takes yet as dropped', async () => {
    const { peer, id, channel } = await asked()
    await peer.send(encodeDatagram({ channelId: id, data: Uint8Array.of(1), target: TARGET }))
    expect(channel.dropped).toBe(1)
  })

  it('hears that the asker gave up, or that the session did', async () => {
    const left = await asked()
    await left.peer.send(disconnect(left.id, 'EOF'))
    expect([left.cancels.length, left.peer.end.session.channels]).toEqual([1, 0])
    left.channel.accept()
    const told = new DatagramRecorder()
    told.start(left.channel)
    expect(told.closes).toHaveLength(1)
    const closing = await asked()
    await closing.peer.end.session.close()
    expect(closing.cancels).toMatchObject([{ code: 'ERR_SHUTTING_DOWN' }])
  })

  it('refuses once, with a REP', async () => {
    const { peer, channel, cancels } = await asked()
    channel.refuse(new LinkSocksError('ERR_DIAL_UNSUPPORTED', 'no UDP here'))
    channel.refuse(new LinkSocksError('ERR_DIAL_FAILED', 'again'))
    channel.close()
    await settle()
    expect(peer.received).toMatchObject([{ success: false, trailer: { rep: 7 } }])
    expect([cancels, peer.end.session.channels]).toEqual([[], 0])
  })
})

describe('pumpDatagrams', () => {
  it('joins two associations until one is gone', async () => {
    const [first, second] = [await associated(), await associated()]
    pumpDatagrams(first.far, second.near)
    const [atNear, atFar] = [new DatagramRecorder(), new DatagramRecorder()]
    atNear.start(first.near)
    atFar.start(second.far)
    first.near.send(concat(Uint8Array.of(1)), TARGET)
    await settle()
    second.far.send(Uint8Array.of(2), SOURCE)
    await settle()
    expect([atFar.received.length, atNear.received.length]).toEqual([1, 1])
    second.far.close()
    await settle()
    expect([atNear.closes.length, first.pair.near.session.channels, second.pair.near.session.channels]).toEqual([
      1, 0, 0,
    ])
  })
})
