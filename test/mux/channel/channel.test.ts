import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { CLOSE_LINGER_MS } from '../../../src/mux/channel/linger.js'
import { MAX_EARLY_FRAMES } from '../../../src/mux/channel/stream-control.js'
import { ControlOp, encodeControl } from '../../../src/protocol/control.js'
import {
  BASE_LINGER_MS,
  CREDIT_PROBE_MS,
  CREDIT_PROBE_TIMEOUT_MS,
  EARLY_DATA_BYTES,
  INITIAL_WINDOW_BYTES,
  KIB,
  OPEN_TIMEOUT_MS,
} from '../../../src/protocol/limits.js'
import { Compression, encodeConnect, MessageType } from '../../../src/protocol/messages.js'
import { byteStreamContract } from '../../contract/byte-stream.js'
import { settle } from '../../support/manual-clock.js'
import { TestPeer } from '../../support/test-peer.js'
import {
  data,
  disconnect,
  endOfStream,
  reset,
  resetCodes,
  ScriptedPeer,
  sessionPair,
  success,
  TARGET,
  uuid,
  windowUpdate,
} from '../fixture.js'

for (const fastOpen of [false, true]) {
  byteStreamContract(
    fastOpen ? 'a Channel with fast open' : 'a Channel',
    async () => {
      const pair = sessionPair()
      const { near, far } = await pair.open(fastOpen)
      const cleanup = async (): Promise<void> => {
        await settle()
        expect([pair.near.session.channels, pair.far.session.channels]).toEqual([0, 0])
        expect([pair.near.session.heldBytes, pair.far.session.heldBytes]).toEqual([0, 0])
      }
      return { a: near, b: far, cleanup, settle }
    },
    { maxInTransitBytes: INITIAL_WINDOW_BYTES },
  )
}

byteStreamContract(
  'the accepting end of a Channel',
  async () => {
    const { near, far } = await sessionPair().open()
    return { a: far, b: near, settle }
  },
  { maxInTransitBytes: INITIAL_WINDOW_BYTES },
)

const reason = new LinkSocksError('ERR_CANCELLED', 'given up')

/** A channel of ours with credit, its far end written by hand. */
async function credited(credit = 1_000_000, options: { readonly consume?: boolean } = {}) {
  const peer = new ScriptedPeer()
  const stream = await peer.dialled(credit)
  return { peer, id: peer.id, local: new TestPeer(stream, options) }
}

describe('Channel with credit', () => {
  it.each([
    [
      'more than its window',
      (id: Uint8Array) => [data(id, new Uint8Array(INITIAL_WINDOW_BYTES)), data(id, new Uint8Array(1))],
      4,
      'ERR_FLOW_CONTROL',
    ],
    [
      'an end that counts too many bytes',
      (id: Uint8Array) => [data(id, new Uint8Array(5)), endOfStream(id, 6)],
      5,
      'ERR_CHANNEL_PROTOCOL',
    ],
    [
      'an end that counts too few bytes',
      (id: Uint8Array) => [data(id, new Uint8Array(5)), endOfStream(id, 4)],
      5,
      'ERR_CHANNEL_PROTOCOL',
    ],
    [
      'data after the end',
      (id: Uint8Array) => [endOfStream(id, 0), data(id, new Uint8Array(1))],
      5,
      'ERR_CHANNEL_PROTOCOL',
    ],
    ['a second end', (id: Uint8Array) => [endOfStream(id, 0), endOfStream(id, 0)], 5, 'ERR_CHANNEL_PROTOCOL'],
    [
      'a control frame that is cut',
      (id: Uint8Array) => [data(id, Uint8Array.of(1, 0), Compression.Control)],
      5,
      'ERR_MESSAGE_TRUNCATED',
    ],
    ['Data that is cut', (id: Uint8Array) => [data(id, new Uint8Array(9)).subarray(0, 30)], 5, 'ERR_MESSAGE_TRUNCATED'],
    ['an unknown compression', (id: Uint8Array) => [data(id, new Uint8Array(9), 7)], 5, 'ERR_MESSAGE_INVALID'],
    [
      'gzip data that is none',
      (id: Uint8Array) => [data(id, new Uint8Array(40), Compression.Gzip)],
      5,
      'ERR_MESSAGE_INVALID',
    ],
  ])('is reset on %s, and no other channel is', async (_name, messages, code, error) => {
    const peer = new ScriptedPeer()
    const other = new TestPeer(await peer.dialled(1_000))
    const otherId = peer.id
    const local = new TestPeer(await peer.dialled(1_000), { consume: false })
    const { id } = peer
    await peer.send(...messages(id))
    await local.untilClosed()
    await settle()
    expect(local.error).toMatchObject({ code: error })
    expect(peer.frames).toEqual([[3, code]])
    expect(peer.disconnects).toHaveLength(1)
    expect([peer.end.session.channels, peer.end.closes]).toEqual([1, []])
    await peer.send(data(otherId, new Uint8Array(3)))
    expect(other.receivedBytes).toBe(3)
  })

  it('takes exactly its window', async () => {
    const { peer, id, local } = await credited(1_000, { consume: false })
    await peer.send(data(id, new Uint8Array(INITIAL_WINDOW_BYTES)))
    expect([local.receivedBytes, local.closed]).toEqual([INITIAL_WINDOW_BYTES, false])
  })

  it.each([
    [0, 'ERR_CHANNEL_RESET'],
    [1, 'ERR_STREAM_RESET'],
    [4, 'ERR_FLOW_CONTROL'],
    [7, 'ERR_LINK_LOST'],
    [99, 'ERR_CHANNEL_RESET'],
  ])('ends with the error of RESET %i and answers the Disconnect that follows only once', async (code, error) => {
    const { peer, id, local } = await credited()
    await peer.send(reset(id, code), disconnect(id, 'reset'))
    expect(local.error).toMatchObject({ code: error })
    expect([local.ended, peer.disconnects.length, peer.end.session.channels]).toEqual([false, 1, 0])
  })

  it('takes a Disconnect before both ends as an abort, orderly or not', async () => {
    for (const text of [undefined, '', 'EOF', 'broken']) {
      const { peer, id, local } = await credited()
      await peer.send(endOfStream(id, 0), disconnect(id, text))
      expect(local.error).toMatchObject({ code: 'ERR_CHANNEL_RESET' })
    }
  })

  it('sends Disconnect once both directions ended, and ignores a second one and all that follows', async () => {
    const { peer, id, local } = await credited()
    local.write('hello')
    local.end()
    await settle()
    await peer.send(endOfStream(id, 0))
    expect([local.events, peer.disconnects]).toEqual([['end', 'close'], ['EOF']])
    await peer.send(disconnect(id, 'EOF'), data(id, Uint8Array.of(1)), windowUpdate(id, 0), disconnect(id, 'x'))
    expect([peer.disconnects, peer.end.closes, local.events]).toEqual([['EOF'], [], ['end', 'close']])
  })

  it('ignores unknown Ops, empty frames and a second ConnectResponse', async () => {
    const { peer, id, local } = await credited()
    await peer.send(
      data(id, Uint8Array.of(9, 9), Compression.Control),
      data(id, Uint8Array.of(), Compression.Control),
      success(id),
      success(id, 5),
    )
    local.write(new Uint8Array(100_000))
    await settle()
    expect([peer.data.byteLength, local.closed]).toEqual([100_000, false])
  })

  it('takes abort() from inside end(), and tells the far end once', async () => {
    const peer = new ScriptedPeer()
    const stream = await peer.dialled(1_000)
    const closes: unknown[] = []
    stream.start({
      data: () => {},
      end: () => stream.abort(reason),
      written: () => {},
      close: (error) => closes.push(error),
    })
    stream.end()
    await settle()
    await peer.send(endOfStream(peer.id, 0))
    expect([closes, peer.disconnects]).toEqual([[reason], ['given up']])
  })

  it('sends no more than the credit and goes on with each grant', async () => {
    const { peer, id, local } = await credited(100)
    local.write(new Uint8Array(250))
    await settle()
    expect([peer.data.byteLength, local.writtenBytes]).toEqual([100, 100])
    await peer.send(windowUpdate(id, 1))
    expect(peer.data.byteLength).toBe(101)
    await peer.send(windowUpdate(id, 1_000))
    expect(peer.data.byteLength).toBe(250)
  })

  it('lets abort() cut a wait for credit', async () => {
    const { peer, local } = await credited(0)
    local.write(new Uint8Array(250))
    await settle()
    local.abort(reason)
    await settle()
    expect([local.error, peer.frames.at(-1), peer.data.byteLength]).toEqual([reason, [3, 3], 0])
    expect(peer.clock.pending).toBe(2)
  })

  it('closes in order when the far end ends within the linger, and resets it afterwards', async () => {
    const { peer, id, local } = await credited()
    local.write('bye')
    local.close()
    await peer.clock.advanceAsync(CLOSE_LINGER_MS / 100)
    await peer.send(data(id, new Uint8Array(INITIAL_WINDOW_BYTES)), endOfStream(id, INITIAL_WINDOW_BYTES))
    expect([local.error, local.events, peer.disconnects]).toEqual([undefined, ['close'], ['EOF']])
    expect(peer.frames[0]).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 3])
  })

  it('soon resets a far end that goes on sending after close()', async () => {
    const pair = sessionPair()
    const { near, far } = await pair.open()
    const [local, remote] = [new TestPeer(near), new TestPeer(far)]
    remote.write(new Uint8Array(4 * INITIAL_WINDOW_BYTES))
    local.close()
    await pair.clock.advanceAsync(BASE_LINGER_MS - 1)
    expect([local.closed, remote.writtenBytes, remote.closed]).toEqual([false, INITIAL_WINDOW_BYTES, false])
    await pair.clock.advanceAsync(1)
    expect([local.closed, remote.closed]).toEqual([true, true])
    expect(resetCodes(pair.near.sent)).toEqual([3])
    expect([pair.near.session.channels, pair.far.session.channels]).toEqual([0, 0])
  })

  it('resets a far end that never ends, long after close()', async () => {
    const pair = sessionPair()
    const { near, far } = await pair.open()
    const [local, remote] = [new TestPeer(near), new TestPeer(far)]
    local.close()
    await pair.clock.advanceAsync(CLOSE_LINGER_MS - 1)
    expect([local.closed, remote.closed, remote.ended]).toEqual([false, false, true])
    await pair.clock.advanceAsync(1)
    expect([local.closed, remote.closed]).toEqual([true, true])
    expect([pair.near.session.channels, pair.far.session.channels]).toEqual([0, 0])
  })
})

describe('Channel whose sender has no credit', () => {
  it('asks after 30 s and resets the channel when nothing answers', async () => {
    const { peer, local } = await credited(0)
    local.write('x')
    await peer.clock.advanceAsync(CREDIT_PROBE_MS)
    expect(peer.frames).toEqual([[1, 0, 0, 0, 0]])
    await peer.clock.advanceAsync(CREDIT_PROBE_TIMEOUT_MS)
    expect(local.error).toMatchObject({ code: 'ERR_LINK_TIMEOUT' })
    expect(peer.frames.at(-1)?.[0]).toBe(3)
    expect(peer.end.session.channels).toBe(0)
  })

  it('lives on with each answer, for hours', async () => {
    const { peer, id, local } = await credited(0)
    local.write('x')
    for (let i = 0; i < 100; i += 1) {
      await peer.clock.advanceAsync(CREDIT_PROBE_MS + CREDIT_PROBE_TIMEOUT_MS / 2)
      await peer.send(windowUpdate(id, 0))
    }
    expect(local.closed).toBe(false)
    expect(peer.frames).toHaveLength(100)
    await peer.send(windowUpdate(id, 1))
    await peer.clock.advanceAsync(10 * CREDIT_PROBE_MS)
    expect([peer.data.byteLength, peer.frames.length, local.closed]).toEqual([1, 100, false])
  })

  it('counts from when it last had credit', async () => {
    const { peer, id, local } = await credited(1)
    local.write(new Uint8Array(2))
    await peer.clock.advanceAsync(CREDIT_PROBE_MS - 1)
    await peer.send(windowUpdate(id, 1))
    local.write('x')
    await peer.clock.advanceAsync(CREDIT_PROBE_MS - 1)
    expect(peer.frames).toEqual([])
    await peer.clock.advanceAsync(1)
    expect(peer.frames).toHaveLength(1)
  })

  it('answers a question for its paused reader with the credit not granted yet', async () => {
    const { peer, id, local } = await credited(1_000, { consume: false })
    await peer.send(data(id, new Uint8Array(1_000)))
    local.stream.consume(600)
    await peer.send(windowUpdate(id, 0))
    expect(peer.frames).toEqual([[1, 0, 0, 600 >> 8, 600 & 0xff]])
  })

  it('does not answer an answer for ever', async () => {
    const { peer, id } = await credited()
    for (let i = 0; i < 50; i += 1) await peer.send(windowUpdate(id, 0))
    expect(peer.frames).toHaveLength(1)
    await peer.clock.advanceAsync(CREDIT_PROBE_MS)
    await peer.send(windowUpdate(id, 0))
    expect(peer.frames).toHaveLength(2)
  })
})

describe('Channel whose answer was overtaken by a relay', () => {
  it('takes data for the answer, and still takes credit from the ConnectResponse', async () => {
    const peer = new ScriptedPeer()
    const dialling = peer.end.dialer().dial(TARGET)
    await settle()
    await peer.send(data(peer.id, new Uint8Array(10)))
    const local = new TestPeer(await dialling)
    local.write(new Uint8Array(100 * KIB))
    await settle()
    expect([local.receivedBytes, peer.data.byteLength]).toEqual([10, EARLY_DATA_BYTES])
    await peer.send(endOfStream(peer.id, 10))
    expect(local.ended).toBe(false)
    await peer.send(success(peer.id, 80 * KIB))
    expect([local.ended, peer.data.byteLength]).toEqual([true, 80 * KIB])
  })

  it('is a base channel when the ConnectResponse says so, or never comes', async () => {
    for (const lost of [false, true]) {
      const peer = new ScriptedPeer()
      const dialling = peer.end.dialer().dial(TARGET)
      await settle()
      await peer.send(data(peer.id, new Uint8Array(10)), endOfStream(peer.id, 99))
      const local = new TestPeer(await dialling)
      local.write(new Uint8Array(1_000_000))
      if (lost) await peer.clock.advanceAsync(OPEN_TIMEOUT_MS)
      else await peer.send(success(peer.id))
      expect([local.closed, local.ended, peer.data.byteLength]).toEqual([false, false, 1_000_000])
    }
  })

  it('fails when a failure follows the data', async () => {
    const peer = new ScriptedPeer()
    const dialling = peer.end.dialer().dial(TARGET)
    await settle()
    await peer.send(data(peer.id, new Uint8Array(10)))
    const local = new TestPeer(await dialling)
    await peer.send(Uint8Array.of(1, 5, 0, ...peer.id, 7, ...new TextEncoder().encode('refused')))
    expect(local.error).toMatchObject({ code: 'ERR_DIAL_REFUSED' })
    expect(peer.end.session.channels).toBe(0)
  })

  it('is aborted when too many control frames come first', async () => {
    const peer = new ScriptedPeer()
    const failed = expect(peer.end.dialer().dial(TARGET)).rejects.toMatchObject({ code: 'ERR_CHANNEL_PROTOCOL' })
    await settle()
    for (let i = 0; i <= MAX_EARLY_FRAMES; i += 1) await peer.send(windowUpdate(peer.id, 1))
    await failed
    expect(peer.disconnects).toHaveLength(1)
  })
})

describe('Channel of the accepting end', () => {
  async function asked(streamControl?: number) {
    const peer = new ScriptedPeer()
    peer.accepter.accepting = false
    const trailer = streamControl === undefined ? undefined : { streamControl }
    await peer.send(encodeConnect({ protocol: 1, channelId: uuid(1), target: TARGET, trailer }))
    return { peer, id: uuid(1), channel: peer.accepter.channel() }
  }

  it('answers with stream control only when the Connect offered it', async () => {
    for (const offer of [undefined, 100_000]) {
      const { peer, channel } = await asked(offer)
      channel.accept()
      channel.accept()
      await settle()
      const streamControl = offer === undefined ? undefined : INITIAL_WINDOW_BYTES
      expect(peer.of(MessageType.ConnectResponse)).toMatchObject([{ success: true }])
      expect(peer.of(MessageType.ConnectResponse)[0]?.trailer?.streamControl).toBe(streamControl)
    }
  })

  it('answers two PINGs with their numbers, and no more of a flood', async () => {
    const { peer, channel } = await asked(100_000)
    channel.accept()
    await settle()
    const ping = (id: number) =>
      encodeControl(peer.accepter.connects[0]?.channelId ?? new Uint8Array(16), { op: ControlOp.Ping, id })
    await peer.send(ping(7), ...Array.from({ length: 1_000 }, () => ping(8)))
    expect(peer.frames.filter(([op]) => op === 5)).toEqual([
      [5, 0, 0, 0, 7],
      [5, 0, 0, 0, 8],
    ])
    await peer.clock.advanceAsync(250)
    await peer.send(ping(9))
    expect(peer.frames.filter(([op]) => op === 5).at(-1)).toEqual([5, 0, 0, 0, 9])
  })

  it('never sends data before its answer', async () => {
    const { peer, channel } = await asked(100_000)
    channel.write(Uint8Array.of(1))
    await settle()
    expect(peer.received).toEqual([])
    channel.accept()
    await settle()
    expect(peer.received[0]?.type).toBe(MessageType.ConnectResponse)
    expect(peer.data).toEqual(Uint8Array.of(1))
  })

  it('refuses with the REP of the reason, once', async () => {
    const { peer, channel } = await asked(100_000)
    channel.refuse(new LinkSocksError('ERR_DIAL_REFUSED', 'refused'))
    channel.refuse(new LinkSocksError('ERR_DIAL_FAILED', 'again'))
    channel.accept()
    channel.abort(reason)
    await settle()
    expect(peer.received).toMatchObject([{ success: false, error: 'refused', trailer: { rep: 5 } }])
    expect([peer.end.session.channels, peer.accepter.cancels]).toEqual([0, []])
  })

  it('keeps 64 KiB of early data and refuses more, which ends the dial', async () => {
    const { peer, id, channel } = await asked(100_000)
    await peer.send(data(id, new Uint8Array(EARLY_DATA_BYTES)))
    expect(peer.received).toEqual([])
    await peer.send(data(id, new Uint8Array(1)))
    expect(peer.received).toMatchObject([{ success: false }])
    expect(peer.accepter.cancels).toMatchObject([{ code: 'ERR_FLOW_CONTROL' }])
    channel.accept()
    const local = new TestPeer(channel)
    expect([local.error?.code, local.receivedBytes, peer.end.session.channels]).toEqual(['ERR_FLOW_CONTROL', 0, 0])
    await settle()
    expect(peer.received).toHaveLength(1)
  })

  it.each([
    ['with credit', 100_000, 'EOF'],
    ['without credit', undefined, 'EOF'],
    ['without credit', undefined, 'gone'],
  ])('hears that the asker %s gave up while it dials (%s, %s)', async (_name, offer, text) => {
    const { peer, id, channel } = await asked(offer)
    await peer.send(disconnect(id, text))
    expect([peer.accepter.cancels.length, peer.end.session.channels, peer.disconnects.length]).toEqual([1, 0, 1])
    channel.accept()
    channel.refuse(reason)
    await settle()
    expect(peer.of(MessageType.ConnectResponse)).toEqual([])
    expect(new TestPeer(channel).error).toBeDefined()
  })

  it('delivers what an asker without credit sent before it left', async () => {
    const { peer, id, channel } = await asked()
    await peer.send(data(id, Uint8Array.of(1, 2, 3)), disconnect(id, 'EOF'))
    expect(peer.accepter.cancels).toEqual([])
    channel.accept()
    const local = new TestPeer(channel)
    expect([local.buffered, local.events]).toEqual([Uint8Array.of(1, 2, 3), ['data', 'end', 'close']])
    await settle()
    expect([peer.disconnects, peer.end.session.channels, peer.end.session.heldBytes]).toEqual([['EOF'], 0, 0])
  })

  it('tells the dial when the session closes or is lost', async () => {
    const closing = await asked(100_000)
    await closing.peer.end.session.close()
    expect(closing.peer.accepter.cancels).toMatchObject([{ code: 'ERR_SHUTTING_DOWN' }])
    const lost = await asked(100_000)
    lost.peer.transport.cut()
    await settle()
    expect(lost.peer.accepter.cancels).toMatchObject([{ code: 'ERR_LINK_LOST' }])
  })
})
