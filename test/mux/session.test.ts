import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { silentLogger } from '../../src/log.js'
import type { ChannelEntry } from '../../src/mux/channel/channel-host.js'
import { MAX_CONTROL_QUEUE_BYTES } from '../../src/mux/flow/scheduler.js'
import { CLOSE_FLUSH_MS, MAX_CHANNELS_PER_SESSION, Session } from '../../src/mux/session.js'
import { LINK_TIMEOUT_MS, PING_INTERVAL_MS } from '../../src/protocol/limits.js'
import {
  encodeAuth,
  encodeConnect,
  encodeLog,
  encodePartners,
  type Message,
  MessageType,
} from '../../src/protocol/messages.js'
import { type ChannelKey, channelKey } from '../../src/protocol/uuid.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { memoryTransportPair } from '../support/memory-transport.js'
import { crypto, data, disconnect, inflate, ScriptedPeer, sessionPair, success, TARGET, uuid } from './fixture.js'

const reason = new LinkSocksError('ERR_CANCELLED', 'given up')
const connectOf = (id: Uint8Array) => encodeConnect({ protocol: 1, channelId: id, target: TARGET })

/** An entry that writes down what it is told. */
class TestEntry implements ChannelEntry {
  readonly told: (string | LinkSocksError)[] = []
  onClosing: () => void = () => {}

  message(_raw: Uint8Array, type: number): void {
    this.told.push(`message ${type}`)
  }

  sessionClosed(error: LinkSocksError): void {
    this.told.push(error)
  }

  sessionClosing(error: LinkSocksError): void {
    this.told.push('closing', error)
    this.onClosing()
  }
}

function attached(peer: ScriptedPeer, id: Uint8Array): TestEntry {
  const entry = new TestEntry()
  peer.end.session.attach(channelKey(id), entry)
  return entry
}

describe('Session', () => {
  it('gives each message to the entry of its channel', async () => {
    const peer = new ScriptedPeer()
    const [one, two] = [attached(peer, uuid(1)), attached(peer, uuid(2))]
    await peer.send(data(uuid(1), Uint8Array.of(1)), success(uuid(2)), disconnect(uuid(1)))
    expect([one.told, two.told]).toEqual([['message 4', 'message 6'], ['message 5']])
    peer.end.session.detach(channelKey(uuid(1)))
    await peer.send(data(uuid(1), Uint8Array.of(1)))
    expect(one.told).toHaveLength(2)
  })

  it('tells of messages for channels it does not know, and lives without that', async () => {
    const unknown: number[] = []
    const peer = new ScriptedPeer({ handler: { unknownChannel: (_raw, type) => unknown.push(type) } })
    await peer.send(data(uuid(1), Uint8Array.of(1)), success(uuid(2)), disconnect(uuid(1)))
    expect(unknown).toEqual([4, 5, 6])
    const plain = new ScriptedPeer()
    await plain.send(data(uuid(1), Uint8Array.of(1)), success(uuid(2)), disconnect(uuid(1)))
    expect([plain.end.closes, plain.received]).toEqual([[], []])
  })

  it('counts Data for channels it does not have, and nothing else', async () => {
    const peer = new ScriptedPeer()
    attached(peer, uuid(1))
    await peer.send(data(uuid(1), Uint8Array.of(1)), success(uuid(2)), disconnect(uuid(2)))
    expect(peer.end.session.usage.unknownData).toBe(0)
    await peer.send(data(uuid(2), Uint8Array.of(1)), data(uuid(3), Uint8Array.of()))
    expect(peer.end.session.usage.unknownData).toBe(2)
  })

  it('says with which base channels it was lost, before it is over', async () => {
    const told: unknown[] = []
    const handler = { lost: (channels: readonly ChannelKey[]) => told.push(channels) }
    const peer = new ScriptedPeer({ handler })
    peer.end.session.attach(channelKey(uuid(1)), Object.assign(new TestEntry(), { base: true }))
    attached(peer, uuid(2))
    const base = await peer.dialled()
    const baseKey = channelKey(peer.id)
    await peer.dialled(65_536)
    peer.transport.cut()
    await settle()
    expect(told).toEqual([[channelKey(uuid(1)), baseKey]])
    base.close()
    const alone = new ScriptedPeer({ handler })
    attached(alone, uuid(2))
    alone.transport.cut()
    await settle()
    expect(told).toHaveLength(1)
  })

  it('knows whether it ever had a channel', async () => {
    const peer = new ScriptedPeer()
    expect(peer.end.session.used).toBe(false)
    attached(peer, uuid(1))
    peer.end.session.detach(channelKey(uuid(1)))
    expect([peer.end.session.channels, peer.end.session.used]).toEqual([0, true])
  })

  it('gives messages outside of channels to its handler, and ignores late authentication', async () => {
    const controls: Message[] = []
    const peer = new ScriptedPeer({ handler: { control: (message) => controls.push(message) } })
    await peer.send(
      encodePartners({ count: 3 }),
      encodeAuth({ token: 'x', reverse: false, instance: uuid(0) }),
      encodeLog({ level: 'info', message: 'hello' }),
      Uint8Array.of(1, 2, 1),
    )
    expect(controls.map(({ type }) => type)).toEqual([MessageType.Partners, MessageType.Log])
  })

  it('ignores unknown types and another minor version, which it logs once', async () => {
    const peer = new ScriptedPeer()
    await peer.send(
      Uint8Array.of(1, 0x77, 1, 2),
      Uint8Array.of(1, 0),
      Uint8Array.of(0x05, 0x77),
      Uint8Array.of(0x05, 0x77),
    )
    expect(peer.end.closes).toEqual([])
    expect(peer.end.log.named('session.version')).toEqual([{ version: 5 }])
  })

  it('refuses to resume a channel that ended with its link, and opens nothing for it', async () => {
    const opened: unknown[] = []
    const peer = new ScriptedPeer({ handler: { connect: (message) => opened.push(message) } })
    const entry = attached(peer, uuid(2))
    await peer.send(
      Buffer.concat([connectOf(uuid(1)), Uint8Array.of(1)]),
      Buffer.concat([connectOf(uuid(2)), Uint8Array.of(1)]),
    )
    await peer.send(Buffer.concat([encodeConnect({ protocol: 2, channelId: uuid(3) }), Uint8Array.of(7)]))
    expect([opened, entry.told]).toEqual([[], []])
    const error = 'channel expired'
    expect(peer.received).toEqual([
      { type: MessageType.Disconnect, channelId: uuid(1), error },
      { type: MessageType.Disconnect, channelId: uuid(3), error },
    ])
    await peer.send(Buffer.concat([connectOf(uuid(4)), Uint8Array.of(0)]))
    expect(opened).toHaveLength(1)
  })

  it.each([
    ['an empty message', Uint8Array.of(), 'ERR_MESSAGE_TRUNCATED'],
    ['a message without type', Uint8Array.of(1), 'ERR_MESSAGE_TRUNCATED'],
    ['another major version', Uint8Array.of(0x21, 4), 'ERR_MESSAGE_VERSION'],
    ['Data without channel id', data(uuid(1), Uint8Array.of(1)).subarray(0, 18), 'ERR_MESSAGE_TRUNCATED'],
    ['ConnectResponse without channel id', Uint8Array.of(1, 5, 1, 9), 'ERR_MESSAGE_TRUNCATED'],
    ['Disconnect without channel id', Uint8Array.of(1, 6, 1, 9), 'ERR_MESSAGE_TRUNCATED'],
    ['Connect that is cut', connectOf(uuid(1)).subarray(0, 24), 'ERR_MESSAGE_TRUNCATED'],
  ])('ends with a typed error on %s, everything with it', async (_name, message, code) => {
    const peer = new ScriptedPeer()
    const entry = attached(peer, uuid(1))
    await peer.send(message)
    expect(peer.end.closes).toMatchObject([{ code }])
    expect(entry.told).toMatchObject([{ code }])
    expect([peer.closed, peer.end.session.ended, peer.end.session.channels, peer.clock.pending]).toEqual([
      true,
      true,
      0,
      0,
    ])
    expect(peer.end.log.named('session.violation')).toMatchObject([{ code }])
  })

  it.each([7, 8, 9, 10, 11, 12, 13])(
    'ignores and logs a broken message of type %i, which belongs to no channel',
    async (type) => {
      const controls: Message[] = []
      const peer = new ScriptedPeer({ handler: { control: (message) => controls.push(message) } })
      await peer.send(Uint8Array.of(1, type, 0, 0, 0, 9, 1))
      expect([peer.end.closes, controls]).toEqual([[], []])
      expect(peer.end.log.named('session.message.ignored')).toMatchObject([{ code: 'ERR_MESSAGE_TRUNCATED' }])
    },
  )

  it('refuses a Connect where the role has none, and attaches nothing', async () => {
    const peer = new ScriptedPeer({ accepts: false })
    await peer.send(connectOf(uuid(1)))
    expect(peer.of(MessageType.ConnectResponse)).toMatchObject([
      { success: false, channelId: uuid(1), trailer: { rep: 2 } },
    ])
    expect([peer.end.session.channels, peer.end.closes]).toEqual([0, []])
  })

  it('keeps channel ids apart and refuses one in use', () => {
    const peer = new ScriptedPeer()
    attached(peer, uuid(1))
    expect(() => attached(peer, uuid(1))).toThrow(expect.objectContaining({ code: 'ERR_MESSAGE_INVALID' }))
    peer.end.session.detach(channelKey(uuid(1)))
    attached(peer, uuid(1))
    expect(peer.end.session.channels).toBe(1)
  })

  it('holds 20,000 channels and not one more', () => {
    const { session } = new ScriptedPeer().end
    const entry = new TestEntry()
    for (let i = 0; i < MAX_CHANNELS_PER_SESSION; i += 1) session.attach(`${i}`, entry)
    expect(() => session.attach('more', entry)).toThrow(expect.objectContaining({ code: 'ERR_LIMIT' }))
    session.detach('0')
    session.attach('more', entry)
    expect(session.channels).toBe(MAX_CHANNELS_PER_SESSION)
  })

  it('aborts a link whose peer does not read the control messages it provokes', async () => {
    const peer = new ScriptedPeer()
    peer.transport.pause()
    const message = new Uint8Array(1024 * 1024)
    for (let i = 0; i <= MAX_CONTROL_QUEUE_BYTES / message.byteLength + 1; i += 1) peer.end.session.control(message)
    await settle()
    expect(peer.end.closes).toMatchObject([{ code: 'ERR_LIMIT' }])
    expect(peer.end.transport.bufferedAmount).toBe(0)
  })

  it('pings, answers for its own liveness, and ends a silent link', async () => {
    const peer = new ScriptedPeer({ pongs: true })
    const entry = attached(peer, uuid(1))
    await peer.clock.advanceAsync(3 * PING_INTERVAL_MS)
    expect(peer.end.closes).toEqual([])
    peer.end.transport.hold()
    peer.transport.hold()
    await peer.clock.advanceAsync(LINK_TIMEOUT_MS)
    expect(peer.end.closes).toMatchObject([{ code: 'ERR_LINK_TIMEOUT' }])
    expect(entry.told).toMatchObject([{ code: 'ERR_LINK_TIMEOUT' }])
    expect(peer.clock.pending).toBe(0)
  })

  it('ends every entry with the reason of abort(), once', async () => {
    const peer = new ScriptedPeer()
    const entries = [attached(peer, uuid(1)), attached(peer, uuid(2))]
    peer.end.session.abort(reason)
    peer.end.session.abort(new LinkSocksError('ERR_LIMIT', 'again'))
    await settle()
    for (const { told } of entries) expect(told).toEqual([reason])
    expect([peer.end.closes, peer.closed, peer.end.session.channels]).toEqual([[reason], true, 0])
    expect(() => attached(peer, uuid(3))).toThrow(expect.objectContaining({ code: 'ERR_SESSION_CLOSED' }))
    await peer.end.session.close()
    expect(peer.end.closes).toEqual([reason])
  })

  it('tells the others when one entry fails at the end', async () => {
    const peer = new ScriptedPeer()
    const bad = attached(peer, uuid(1))
    bad.sessionClosed = () => {
      throw new Error('broken entry')
    }
    const good = attached(peer, uuid(2))
    peer.end.session.abort(reason)
    expect([good.told, peer.end.closes]).toEqual([[reason], [reason]])
    expect(peer.end.log.named('session.failure')).toEqual([{ reason: 'broken entry' }])
  })

  it.each([
    ['without a close frame', (peer: ScriptedPeer) => peer.transport.abort(), 'ERR_LINK_LOST'],
    ['with a close frame', (peer: ScriptedPeer) => peer.transport.close(1001, 'bye'), 'ERR_LINK_LOST'],
    [
      'with an error',
      (peer: ScriptedPeer) => peer.transport.cut(new LinkSocksError('ERR_MESSAGE_TOO_LARGE', 'too large')),
      'ERR_MESSAGE_TOO_LARGE',
    ],
  ])('ends when its transport goes %s', async (_name, end, code) => {
    const peer = new ScriptedPeer()
    const entry = attached(peer, uuid(1))
    end(peer)
    await settle()
    expect(entry.told).toMatchObject([{ code }])
    expect(peer.end.closes).toMatchObject([{ code }])
    expect(peer.clock.pending).toBe(0)
  })

  it('closes in order: tells entries and peer, flushes, closes', async () => {
    const { near, far, open, clock } = sessionPair()
    await open()
    const closing = near.session.close()
    expect(near.session.close()).toBe(closing)
    await closing
    await settle()
    expect([near.closes, near.session.channels, far.session.channels, clock.pending]).toEqual([[undefined], 0, 0, 0])
    expect(far.closes).toMatchObject([{ code: 'ERR_LINK_LOST' }])
    expect(near.sent.at(-1)?.type).toBe(MessageType.Disconnect)
  })

  it('closes although the peer reads nothing, after twice 2 s', async () => {
    const { near, far, open, clock } = sessionPair()
    const { near: stream } = await open()
    far.transport.pause()
    stream.write(new Uint8Array(1024 * 1024))
    let closed = false
    const closing = near.session.close().then(() => {
      closed = true
    })
    await clock.advanceAsync(CLOSE_FLUSH_MS - 1)
    expect(closed).toBe(false)
    await clock.advanceAsync(1)
    expect(near.closes).toEqual([undefined])
    await clock.advanceAsync(CLOSE_FLUSH_MS)
    await closing
  })

  it('takes no new channel while it closes, and close() again from inside', async () => {
    const peer = new ScriptedPeer()
    const [entry, other] = [attached(peer, uuid(1)), attached(peer, uuid(2))]
    const seen: unknown[] = []
    entry.onClosing = () => {
      seen.push(peer.end.session.close())
      try {
        attached(peer, uuid(3))
      } catch (thrown) {
        seen.push(thrown)
      }
      throw new Error('broken entry')
    }
    const closing = peer.end.session.close(reason)
    await closing
    expect(seen).toEqual([closing, expect.objectContaining({ code: 'ERR_SESSION_CLOSED' })])
    expect(other.told.slice(0, 2)).toEqual(['closing', reason])
    expect(peer.end.closes).toEqual([undefined])
  })

  it('settles close() when the transport dies meanwhile', async () => {
    const { near, far, open } = sessionPair()
    const { near: stream } = await open()
    far.transport.pause()
    stream.write(new Uint8Array(1024 * 1024))
    const closing = near.session.close()
    near.transport.cut()
    await closing
    expect(near.closes).toMatchObject([{ code: 'ERR_LINK_LOST' }])
  })

  it('logs the type of every message when tracing, and nothing else of it', async () => {
    const peer = new ScriptedPeer({ trace: true })
    await peer.send(encodePartners({ count: 3 }))
    peer.end.session.control(encodePartners({ count: 4 }))
    expect(peer.end.log.named('message.received')).toMatchObject([{ type: 10 }])
    expect(peer.end.log.named('message.sent')).toMatchObject([{ type: 10 }])
  })
})

describe('Session.start()', () => {
  const inert = () => {
    const clock = new ManualClock()
    const [near, far] = memoryTransportPair()
    const session = new Session(near, { clock, crypto, inflate, log: silentLogger, pongs: false })
    const told: (string | LinkSocksError | undefined)[] = []
    const handler = {
      control: () => told.push('control'),
      close: (error?: LinkSocksError) => told.push('close', error),
    }
    return { clock, far, session, told, start: () => session.start(handler) }
  }

  it('is the moment from which on the handler hears of what came', async () => {
    const { far, told, start } = inert()
    far.send(encodePartners({ count: 1 }))
    await settle()
    expect(told).toEqual([])
    start()
    await settle()
    expect(told).toEqual(['control'])
  })

  it('is the moment from which on the peer is pinged, and its silence counts', () => {
    const { clock, session, start } = inert()
    expect(clock.pending).toBe(0)
    start()
    expect(clock.pending).toBe(2)
    session.abort(reason)
    expect(clock.pending).toBe(0)
  })

  it('takes one handler: a second one is refused, and the first goes on', async () => {
    const { far, session, told, start } = inert()
    start()
    expect(() => session.start({ close: () => told.push('second') })).toThrow(TypeError)
    far.send(encodePartners({ count: 1 }))
    await settle()
    session.abort(reason)
    expect(told).toEqual(['control', 'close', reason])
  })

  it('tells the end of a session that was ended before, once', async () => {
    const { clock, session, told, start } = inert()
    session.abort(reason)
    expect(told).toEqual([])
    start()
    session.abort(reason)
    await settle()
    expect([told, session.ended, clock.pending]).toEqual([['close', reason], true, 0])
  })
})
