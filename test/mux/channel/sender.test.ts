import { describe, expect, it } from 'vitest'
import { Sender, type SendMode } from '../../../src/mux/channel/sender.js'
import type { Lane, Outgoing, Source } from '../../../src/mux/flow/scheduler.js'
import { EARLY_DATA_BYTES, KIB, MAX_DATA_BYTES, MAX_WINDOW_BYTES } from '../../../src/protocol/limits.js'
import {
  Compression,
  type DataMessage,
  decodeMessage,
  type Message,
  MessageType,
} from '../../../src/protocol/messages.js'
import { concat } from '../../support/test-peer.js'
import { uuid } from '../fixture.js'

function setUp(mode: SendMode) {
  const events: string[] = []
  const lane = { readies: 0, closed: false, messageBytes: 64 * KIB }
  const link = {
    lane: (_source: Source): Lane => ({
      get messageBytes() {
        return lane.messageBytes
      },
      ready: () => {
        lane.readies += 1
      },
      close: () => {
        lane.closed = true
      },
    }),
  }
  const sender = new Sender(uuid(7), link, mode, {
    written: (bytes) => events.push(`written ${bytes}`),
    ended: () => events.push('ended'),
    blocked: () => events.push('blocked'),
  })
  /** Sends all that may be sent; what the transport got. */
  const drain = (): Message[] => {
    const sent: Message[] = []
    for (let bytes = sender.nextBytes(); bytes > 0; bytes = sender.nextBytes()) {
      const outgoing: Outgoing = sender.take()
      const message = decodeMessage(concat(outgoing.head, outgoing.body ?? new Uint8Array()))
      if (message !== undefined) sent.push(message)
      outgoing.sent?.()
    }
    return sent
  }
  return { sender, events, lane, drain }
}

const sizes = (messages: readonly Message[]): number[] =>
  messages
    .filter((message): message is DataMessage => message.type === MessageType.Data)
    .map(({ data }) => data.byteLength)

const total = (messages: readonly Message[]): number => sizes(messages).reduce((sum, size) => sum + size, 0)

describe('Sender', () => {
  it('sends nothing before the answer when it is held, not even the end', () => {
    const { sender, drain, events } = setUp('held')
    sender.write(new Uint8Array(10))
    sender.end()
    expect([drain(), events, sender.blocked]).toEqual([[], [], false])
    sender.useCredit(100)
    expect(drain().map((message) => message.type)).toEqual([MessageType.Data, MessageType.Data])
    expect(events).toEqual(['written 10', 'ended'])
  })

  it('sends 64 KiB early, and counts it against the credit', () => {
    const { sender, drain, events } = setUp('early')
    sender.write(new Uint8Array(100 * KIB))
    expect(total(drain())).toBe(EARLY_DATA_BYTES)
    expect(sender.blocked).toBe(false)
    sender.useCredit(70 * KIB)
    expect(total(drain())).toBe(6 * KIB)
    expect(events.at(-2)).toBe('blocked')
    sender.grant(1_000 * KIB)
    expect(total(drain())).toBe(30 * KIB)
  })

  it('keeps the end for the answer when all data left early', () => {
    const { sender, drain } = setUp('early')
    sender.write(new Uint8Array(5))
    sender.end()
    expect(sizes(drain())).toEqual([5])
    sender.useBase()
    expect(drain()).toEqual([{ type: MessageType.Disconnect, channelId: uuid(7), error: 'EOF' }])
  })

  it('owes the credit that early data took beyond the grant', () => {
    const { sender, drain } = setUp('early')
    sender.write(new Uint8Array(EARLY_DATA_BYTES + 1))
    drain()
    sender.useCredit(10)
    expect(drain()).toEqual([])
    expect(sender.blocked).toBe(true)
    sender.grant(EARLY_DATA_BYTES - 10)
    expect(drain()).toEqual([])
    sender.grant(1)
    expect(total(drain())).toBe(1)
  })

  it('stops exactly at its credit and goes on with the next grant', () => {
    const { sender, drain, events, lane } = setUp('held')
    sender.useCredit(10)
    sender.write(new Uint8Array(25))
    expect(sizes(drain())).toEqual([10])
    expect(events).toEqual(['blocked', 'written 10'])
    const before = lane.readies
    sender.grant(0)
    expect(lane.readies).toBe(before)
    sender.grant(15)
    expect(lane.readies).toBe(before + 1)
    expect(sizes(drain())).toEqual([15])
  })

  it('reports a write that finds no credit as blocked', () => {
    const { sender, events } = setUp('held')
    sender.useCredit(0)
    sender.write(new Uint8Array(1))
    expect([events, sender.blocked]).toEqual([['blocked'], true])
  })

  it('takes no more than 16 MiB of credit', () => {
    const { sender, drain } = setUp('held')
    sender.useCredit(0xffff_ffff)
    const chunk = new Uint8Array(MAX_WINDOW_BYTES / 16)
    for (let i = 0; i < 17; i += 1) sender.write(chunk)
    expect(total(drain())).toBe(MAX_WINDOW_BYTES)
  })

  it('sends messages as large as its lane says with credit and of 256 KiB without', () => {
    const withCredit = setUp('held')
    withCredit.sender.useCredit(MAX_WINDOW_BYTES)
    withCredit.sender.write(new Uint8Array(150 * KIB))
    expect(sizes(withCredit.drain())).toEqual([64 * KIB, 64 * KIB, 22 * KIB])
    withCredit.lane.messageBytes = 100 * KIB
    withCredit.sender.write(new Uint8Array(150 * KIB))
    expect(sizes(withCredit.drain())).toEqual([100 * KIB, 50 * KIB])
    const base = setUp('base')
    for (let i = 0; i < 5; i += 1) base.sender.write(new Uint8Array(100 * KIB))
    expect(sizes(base.drain())).toEqual([MAX_DATA_BYTES, 500 * KIB - MAX_DATA_BYTES])
  })

  it('does not join a short rest with a large chunk behind it', () => {
    const { sender, drain, lane } = setUp('held')
    sender.useCredit(MAX_WINDOW_BYTES)
    lane.messageBytes = 200 * KIB
    sender.write(new Uint8Array(210 * KIB))
    sender.write(new Uint8Array(150 * KIB))
    expect(sizes(drain())).toEqual([200 * KIB, 10 * KIB, 150 * KIB])
  })

  it('joins small chunks', () => {
    const { sender, drain } = setUp('held')
    for (let i = 0; i < 100; i += 1) sender.write(Uint8Array.of(i))
    sender.useCredit(1_000)
    const sent = drain()
    expect(sizes(sent)).toEqual([100])
    expect(sent[0]).toMatchObject({ data: Uint8Array.from({ length: 100 }, (_, i) => i) })
  })

  it('ends with END_OF_STREAM and the count of all bytes, once', () => {
    const { sender, drain, events } = setUp('held')
    sender.useCredit(1_000)
    sender.write(new Uint8Array(300))
    sender.end()
    sender.end()
    sender.write(new Uint8Array(5))
    const end = drain().at(-1)
    expect(end).toMatchObject({ compression: Compression.Control })
    expect(end?.type === MessageType.Data && [...end.data]).toEqual([2, 0, 0, 0, 0, 0, 0, 1, 44])
    expect(drain()).toEqual([])
    expect([events, sender.ended]).toEqual([['written 300', 'ended'], true])
  })

  it('ends for free: the end needs no credit', () => {
    const { sender, drain } = setUp('held')
    sender.useCredit(3)
    sender.write(new Uint8Array(3))
    sender.end()
    expect(drain()).toHaveLength(2)
  })

  it('forgets what is queued when it is stopped', () => {
    const { sender, lane, drain } = setUp('held')
    sender.write(new Uint8Array(3))
    sender.stop()
    sender.useCredit(100)
    expect([lane.closed, drain()]).toEqual([true, []])
  })

  it('goes on with early data when data came before the answer', () => {
    const { sender, drain } = setUp('held')
    sender.write(new Uint8Array(100 * KIB))
    sender.useEarly()
    expect(total(drain())).toBe(EARLY_DATA_BYTES)
    sender.useCredit(100 * KIB)
    sender.useEarly()
    expect(total(drain())).toBe(36 * KIB)
  })
})
