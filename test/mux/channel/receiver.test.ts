import { describe, expect, it } from 'vitest'
import { Receiver } from '../../../src/mux/channel/receiver.js'
import { BusyReaders } from '../../../src/mux/flow/busy-readers.js'
import { HeldTotals, RECEIVED_LIMITS } from '../../../src/mux/flow/held-totals.js'
import { ReadGate } from '../../../src/mux/flow/read-gate.js'
import type { ByteStreamHandler } from '../../../src/ports.js'
import { EARLY_DATA_BYTES, INITIAL_WINDOW_BYTES } from '../../../src/protocol/limits.js'
import { ManualClock } from '../../support/manual-clock.js'

function setUp(answering = false, totals = new HeldTotals(RECEIVED_LIMITS)) {
  const clock = new ManualClock()
  const nothing = { pause: () => {}, resume: () => {} }
  const gate = new ReadGate(nothing, clock, nothing)
  const grants: number[] = []
  const told: (number | 'end' | 'unwanted')[] = []
  const busyReaders = new BusyReaders(clock)
  const receiver = new Receiver({ gate, clock, totals, busyReaders, recycle: () => {} }, answering, {
    grant: (bytes) => grants.push(bytes),
    stalled: () => {},
    unwanted: () => told.push('unwanted'),
    roundTrip: () => undefined,
  })
  const handler: ByteStreamHandler = {
    data: (chunk) => told.push(chunk.byteLength),
    end: () => told.push('end'),
    written: () => {},
    close: () => {},
  }
  return { receiver, gate, grants, told, handler, clock }
}

const code = (expected: string) => expect.objectContaining({ code: expected })

describe('Receiver', () => {
  it('with credit counts what is not used up in the totals of the links, and takes no more than they allow', () => {
    const totals = new HeldTotals({ sessionBytes: 100_000, totalBytes: 1_000_000 })
    const { receiver, handler } = setUp(false, totals)
    receiver.useCredit()
    receiver.start(handler)
    receiver.data(new Uint8Array(100_000))
    expect(() => receiver.data(new Uint8Array(1))).toThrow(code('ERR_LIMIT'))
    receiver.consume(50_000)
    expect(totals.bytes).toBe(50_001)
    receiver.data(new Uint8Array(1))
    receiver.finish()
    expect(totals.bytes).toBe(50_002)
    receiver.stop()
    expect([totals.bytes, totals.sessions]).toEqual([0, 0])
  })

  it('delivers what came before start() in order, however many pieces it came in', () => {
    const { receiver, handler } = setUp()
    const seen: number[] = []
    for (let i = 0; i < 100_000; i += 1) receiver.data(Uint8Array.of(i % 251))
    receiver.start({ ...handler, data: (chunk) => seen.push(chunk[0] ?? -1) })
    expect(seen.length).toBe(100_000)
    expect(seen.every((byte, i) => byte === i % 251)).toBe(true)
  })

  it('keeps what comes before start(), then delivers it and the end in order', () => {
    const { receiver, told, handler } = setUp()
    receiver.useCredit()
    receiver.data(new Uint8Array(3))
    receiver.data(new Uint8Array(0))
    receiver.data(new Uint8Array(4))
    receiver.end()
    receiver.end()
    expect(told).toEqual([])
    receiver.start(handler)
    expect(told).toEqual([3, 4, 'end'])
  })

  it.each(['stop', 'discard'] as const)('delivers nothing after %s() from inside start()', (method) => {
    const { receiver, told, handler } = setUp()
    receiver.useCredit()
    for (let i = 0; i < 3; i += 1) receiver.data(new Uint8Array(1))
    receiver.end()
    receiver.start({
      ...handler,
      data: (chunk) => {
        handler.data(chunk)
        receiver[method]()
      },
    })
    expect(told).toEqual([1])
  })

  it('takes the whole window and not a byte more', () => {
    const { receiver, handler } = setUp()
    receiver.useCredit()
    receiver.start(handler)
    receiver.data(new Uint8Array(INITIAL_WINDOW_BYTES))
    expect(() => receiver.data(new Uint8Array(1))).toThrow(code('ERR_FLOW_CONTROL'))
  })

  it('grants again as bytes are used up, not as they arrive', () => {
    const { receiver, handler, grants } = setUp()
    receiver.useCredit()
    receiver.start(handler)
    receiver.data(new Uint8Array(INITIAL_WINDOW_BYTES))
    expect(grants).toEqual([])
    receiver.consume(INITIAL_WINDOW_BYTES / 4 - 1)
    expect(grants).toEqual([])
    receiver.consume(1)
    expect(grants).toEqual([INITIAL_WINDOW_BYTES / 4])
    receiver.data(new Uint8Array(INITIAL_WINDOW_BYTES / 4))
    expect(() => receiver.data(new Uint8Array(1))).toThrow(code('ERR_FLOW_CONTROL'))
  })

  it('never grants for bytes that were not received, or twice for the same', () => {
    const { receiver, handler, grants } = setUp()
    receiver.useCredit()
    receiver.start(handler)
    receiver.data(new Uint8Array(300_000))
    receiver.consume(300_000)
    receiver.consume(INITIAL_WINDOW_BYTES)
    expect(grants).toEqual([300_000])
  })

  it('grants nothing after discard(), and tells when the sender has no credit left', () => {
    const { receiver, handler, grants, told } = setUp()
    receiver.useCredit()
    receiver.start(handler)
    receiver.data(new Uint8Array(300_000))
    receiver.discard()
    receiver.discard()
    receiver.consume(300_000)
    receiver.data(new Uint8Array(INITIAL_WINDOW_BYTES - 300_001))
    expect([grants, receiver.flushCredit(), told]).toEqual([[], 0, [300_000]])
    receiver.data(new Uint8Array(1))
    expect([grants, told]).toEqual([[], [300_000, 'unwanted']])
  })

  it('tells at discard() when the sender has no credit left by then', () => {
    const { receiver, told } = setUp()
    receiver.useCredit()
    receiver.data(new Uint8Array(INITIAL_WINDOW_BYTES))
    receiver.discard()
    expect(told).toEqual(['unwanted'])
  })

  it('grants nothing after the end', () => {
    const { receiver, handler, grants } = setUp()
    receiver.useCredit()
    receiver.start(handler)
    receiver.data(new Uint8Array(INITIAL_WINDOW_BYTES))
    receiver.end()
    receiver.consume(INITIAL_WINDOW_BYTES)
    expect(grants).toEqual([])
  })

  it('refuses data after the end', () => {
    const { receiver } = setUp()
    receiver.useCredit()
    receiver.end()
    expect(() => receiver.data(new Uint8Array(1))).toThrow(code('ERR_CHANNEL_PROTOCOL'))
  })

  it('takes 64 KiB before the answer from a peer that offered stream control', () => {
    const { receiver } = setUp(true)
    receiver.data(new Uint8Array(EARLY_DATA_BYTES))
    expect(() => receiver.data(new Uint8Array(1))).toThrow(code('ERR_FLOW_CONTROL'))
  })

  it('counts early data against the window', () => {
    const { receiver, gate } = setUp(true)
    receiver.data(new Uint8Array(EARLY_DATA_BYTES))
    expect(gate.bufferedBytes).toBe(EARLY_DATA_BYTES)
    receiver.useCredit()
    expect(gate.bufferedBytes).toBe(0)
    receiver.data(new Uint8Array(INITIAL_WINDOW_BYTES - EARLY_DATA_BYTES))
    expect(() => receiver.data(new Uint8Array(1))).toThrow(code('ERR_FLOW_CONTROL'))
  })

  it('holds what a base channel delivers until it is used up, its end or not', () => {
    const { receiver, gate, handler } = setUp()
    receiver.useBase()
    receiver.start(handler)
    receiver.data(new Uint8Array(1_000))
    receiver.consume(400)
    expect(gate.bufferedBytes).toBe(600)
    receiver.end()
    receiver.finish()
    expect(gate.bufferedBytes).toBe(600)
    receiver.consume(600)
    expect(gate.bufferedBytes).toBe(0)
  })

  it('counts nothing any more after stop()', () => {
    const { receiver, gate, handler } = setUp()
    receiver.useBase()
    receiver.start(handler)
    receiver.data(new Uint8Array(1_000))
    receiver.stop()
    receiver.stop()
    receiver.consume(1_000)
    expect(gate.bufferedBytes).toBe(0)
  })
})
