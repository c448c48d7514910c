import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import {
  CREDIT_PROBE_MS,
  EARLY_DATA_BYTES,
  INITIAL_WINDOW_BYTES,
  KIB,
  MIB,
  OPEN_TIMEOUT_MS,
} from '../../src/protocol/limits.js'
import { pattern } from '../contract/pattern.js'
import { bytesBehindData, dataAmong } from '../protocol/behind-data.js'
import { settle } from '../support/manual-clock.js'
import { TestPeer } from '../support/test-peer.js'
import { resetCodes, type SessionPair, sessionPair, TARGET } from './fixture.js'

const tables = ({ near, far }: SessionPair): number[] => [
  near.session.channels,
  far.session.channels,
  near.session.heldBytes,
  far.session.heldBytes,
]
const EMPTY = [0, 0, 0, 0]

async function opened(options: { readonly consume?: boolean; readonly fastOpen?: boolean } = {}) {
  const pair = sessionPair()
  const { near, far } = await pair.open(options.fastOpen)
  return { pair, near: new TestPeer(near), far: new TestPeer(far, { consume: options.consume ?? true }) }
}

describe('Two sessions', () => {
  it('write nothing behind Data, however their channels begin, carry bytes and end', async () => {
    const end = fc.constantFrom('end', 'close', 'abort')
    const sizes = fc.array(fc.integer({ min: 0, max: 400 * KIB }), { maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.boolean(), sizes, sizes, end, async (fastOpen, base, up, down, last) => {
        const pair = sessionPair()
        // without an offer the channel has no stream control
        if (base) pair.accepter.offers = false
        const streams = await pair.open(fastOpen)
        const [near, far] = [new TestPeer(streams.near), new TestPeer(streams.far)]
        for (const size of up) near.write(pattern(size))
        for (const size of down) far.write(pattern(size))
        await settle()
        if (last === 'end') near.end()
        else if (last === 'close') near.close()
        else near.abort(new LinkSocksError('ERR_STREAM_RESET', 'gone'))
        far.end()
        await pair.clock.advanceAsync(CREDIT_PROBE_MS)
        const sent = [...pair.near.transport.sentMessages, ...pair.far.transport.sentMessages]
        expect(dataAmong(sent).filter((raw) => bytesBehindData(raw) !== 0)).toEqual([])
      }),
      { numRuns: 30 },
    )
  })

  it('open a channel, carry data and half-closes both ways, and forget it', async () => {
    const { pair, near, far } = await opened()
    near.write('ping')
    expect(await far.read(4)).toEqual(new TextEncoder().encode('ping'))
    near.end()
    await settle()
    expect([far.ended, near.closed, far.closed]).toEqual([true, false, false])
    far.write(pattern(3 * MIB))
    far.end()
    await near.untilClosed()
    expect(Buffer.compare(near.buffered, pattern(3 * MIB))).toBe(0)
    expect([near.events.slice(-2), far.events.slice(-2)]).toEqual([
      ['end', 'close'],
      ['end', 'close'],
    ])
    await settle()
    expect(tables(pair)).toEqual(EMPTY)
  })

  it('refuse with a REP', async () => {
    const pair = sessionPair()
    pair.accepter.accepting = false
    const failed = expect(pair.near.dialer().dial(TARGET)).rejects.toMatchObject({ code: 'ERR_DIAL_NOT_ALLOWED' })
    await settle()
    pair.accepter.channel().refuse(new LinkSocksError('ERR_DIAL_NOT_ALLOWED', 'policy'))
    await failed
    expect(tables(pair)).toEqual(EMPTY)
  })

  it.each([
    ['ERR_STREAM_RESET', 1, 'ERR_STREAM_RESET'],
    ['ERR_CANCELLED', 3, 'ERR_CHANNEL_RESET'],
    ['ERR_SHUTTING_DOWN', 6, 'ERR_SHUTTING_DOWN'],
    ['ERR_DIAL_FAILED', 0, 'ERR_CHANNEL_RESET'],
  ] as const)('pass a reset on: %s as code %i', async (given, code, seen) => {
    const { pair, near, far } = await opened()
    near.abort(new LinkSocksError(given, 'gone'))
    await settle()
    expect(resetCodes(pair.near.sent)).toEqual([code])
    expect([far.error?.code, far.ended]).toEqual([seen, false])
    expect(tables(pair)).toEqual(EMPTY)
  })

  it('let a reset from either end cut a wait for credit', async () => {
    for (const aborting of ['near', 'far'] as const) {
      const { pair, near, far } = await opened({ consume: false })
      near.write(new Uint8Array(2 * MIB))
      await settle()
      const ends = { near, far }
      ends[aborting].abort(new LinkSocksError('ERR_CANCELLED', 'gone'))
      await settle()
      expect([near.closed, far.closed, near.ended, far.ended]).toEqual([true, true, false, false])
      expect(tables(pair)).toEqual(EMPTY)
    }
  })

  it('exhaust the window of a stalled reader, refill it as it reads, and leave others alone', async () => {
    const { pair, near, far } = await opened({ consume: false })
    near.write(new Uint8Array(2 * MIB))
    await settle()
    expect([near.writtenBytes, far.receivedBytes]).toEqual([INITIAL_WINDOW_BYTES, INITIAL_WINDOW_BYTES])
    const other = await pair.open()
    const [otherNear, otherFar] = [new TestPeer(other.near), new TestPeer(other.far)]
    otherNear.write(new Uint8Array(2 * MIB))
    await otherFar.read(2 * MIB)
    far.stream.consume(INITIAL_WINDOW_BYTES / 4)
    await settle()
    expect(far.receivedBytes).toBe((INITIAL_WINDOW_BYTES * 5) / 4)
    for (let left = far.receivedBytes - INITIAL_WINDOW_BYTES / 4; left > 0; ) {
      far.stream.consume(left)
      const before = far.receivedBytes
      await settle()
      left = far.receivedBytes - before
    }
    expect(far.receivedBytes).toBe(2 * MIB)
  })

  it('keep a channel alive whose readers are both paused, without asking for ever', async () => {
    const pair = sessionPair()
    const { near, far } = await pair.open()
    const [a, b] = [new TestPeer(near, { consume: false }), new TestPeer(far, { consume: false })]
    a.write(new Uint8Array(2 * MIB))
    b.write(new Uint8Array(2 * MIB))
    await settle()
    const before = pair.near.sent.length + pair.far.sent.length
    const rounds = 20
    await pair.clock.advanceAsync(rounds * CREDIT_PROBE_MS)
    expect([a.closed, b.closed]).toEqual([false, false])
    expect(pair.near.sent.length + pair.far.sent.length - before).toBeLessThanOrEqual(4 * rounds)
    a.stream.consume(INITIAL_WINDOW_BYTES)
    await settle()
    expect(a.receivedBytes).toBe(2 * INITIAL_WINDOW_BYTES)
  })

  it('do not ping-pong when an answer crosses a grant', async () => {
    const { pair, near, far } = await opened({ consume: false })
    near.write(new Uint8Array(INITIAL_WINDOW_BYTES + 1))
    await settle()
    pair.near.transport.hold()
    await pair.clock.advanceAsync(CREDIT_PROBE_MS)
    // the question is on its way; a grant of the far end arrives before its answer
    far.stream.consume(INITIAL_WINDOW_BYTES / 4)
    await settle()
    pair.near.transport.letGo()
    await settle()
    const before = pair.near.sent.length + pair.far.sent.length
    expect([near.closed, far.receivedBytes]).toEqual([false, INITIAL_WINDOW_BYTES + 1])
    for (let i = 0; i < 20; i += 1) await settle()
    expect(pair.near.sent.length + pair.far.sent.length).toBe(before)
    expect(before).toBeLessThan(30)
  })

  it('cancel an opening; its late success leaves no orphan', async () => {
    const pair = sessionPair()
    pair.accepter.accepting = false
    const controller = new AbortController()
    const failed = expect(pair.near.dialer().dial(TARGET, { signal: controller.signal })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    })
    await settle()
    // the success and the Disconnect cross on the way
    pair.near.transport.hold()
    controller.abort()
    await failed
    const channel = pair.accepter.channel()
    channel.accept()
    const far = new TestPeer(channel)
    await settle()
    expect([far.closed, pair.far.session.channels]).toEqual([false, 1])
    pair.near.transport.letGo()
    await settle()
    expect(far.error).toBeDefined()
    expect(tables(pair)).toEqual(EMPTY)
  })

  it('cancel an opening while the far end dials', async () => {
    const pair = sessionPair()
    pair.accepter.accepting = false
    const controller = new AbortController()
    const failed = expect(pair.near.dialer().dial(TARGET, { signal: controller.signal })).rejects.toThrow()
    await settle()
    controller.abort()
    await failed
    await settle()
    expect(pair.accepter.cancels).toHaveLength(1)
    pair.accepter.channel().accept()
    await settle()
    expect(tables(pair)).toEqual(EMPTY)
  })

  it('time an opening out at both ends', async () => {
    const pair = sessionPair()
    pair.accepter.accepting = false
    const failed = expect(pair.near.dialer().dial(TARGET)).rejects.toMatchObject({ code: 'ERR_DIAL_TIMEOUT' })
    await pair.clock.advanceAsync(OPEN_TIMEOUT_MS)
    await failed
    expect(pair.accepter.cancels).toHaveLength(1)
    expect(tables(pair)).toEqual(EMPTY)
  })

  it('carry early data with fast open, held until the destination answers', async () => {
    const pair = sessionPair()
    pair.accepter.accepting = false
    const near = new TestPeer(await pair.near.dialer(true).dial(TARGET))
    const bytes = pattern(200 * KIB)
    near.write(bytes)
    near.end()
    await settle()
    expect(near.writtenBytes).toBe(EARLY_DATA_BYTES)
    const channel = pair.accepter.channel()
    channel.accept()
    const far = new TestPeer(channel)
    await settle()
    expect(Buffer.compare(far.buffered, bytes)).toBe(0)
    expect([far.ended, near.writtenBytes]).toEqual([true, 200 * KIB])
    far.write('late')
    far.end()
    await settle()
    expect([near.text, tables(pair)]).toEqual(['late', EMPTY])
  })

  it('deliver what the target says first, before the opener listens', async () => {
    const pair = sessionPair()
    const dialling = pair.near.dialer().dial(TARGET)
    await settle()
    const far = new TestPeer(pair.accepter.channel())
    far.write('220 ready\r\n')
    far.end()
    await settle()
    const near = new TestPeer(await dialling)
    expect([near.text, near.ended, near.closed]).toEqual(['220 ready\r\n', true, false])
  })

  it.each([
    ['is cut', (pair: SessionPair) => pair.near.transport.cut()],
    ['is aborted from one end', (pair: SessionPair) => pair.near.transport.abort()],
    [
      'falls silent',
      async (pair: SessionPair) => {
        pair.near.transport.hold()
        pair.far.transport.hold()
        await pair.clock.advanceAsync(60_000)
      },
    ],
  ])('settle everything when the transport %s', async (_name, lose) => {
    const pair = sessionPair()
    const ends: TestPeer[] = []
    for (let i = 0; i < 20; i += 1) {
      const { near, far } = await pair.open()
      ends.push(new TestPeer(near, { consume: i % 2 === 0 }), new TestPeer(far, { consume: i % 3 === 0 }))
      ends.at(-2)?.write(new Uint8Array(MIB))
      if (i % 4 === 0) ends.at(-1)?.end()
      if (i % 5 === 0) ends.at(-2)?.close()
    }
    await settle()
    pair.accepter.accepting = false
    const dials = Array.from({ length: 5 }, () => pair.near.dialer().dial(TARGET))
    const failed = Promise.allSettled(dials)
    await settle()
    await lose(pair)
    await settle()
    expect((await failed).every(({ status }) => status === 'rejected')).toBe(true)
    expect(ends.filter((end) => !end.closed)).toEqual([])
    // what had ended both ways before may have closed in order; all others tell the loss
    expect(ends.filter((end) => end.error === undefined && !end.ended && !end.events.includes('close'))).toEqual([])
    expect(pair.accepter.cancels).toHaveLength(5)
    expect([pair.near.closes.length, pair.far.closes.length, tables(pair), pair.clock.pending]).toEqual([
      1,
      1,
      EMPTY,
      0,
    ])
  })

  it('interleave a small channel with bulk ones', async () => {
    const pair = sessionPair()
    const bulk: TestPeer[] = []
    for (let i = 0; i < 8; i += 1) {
      const { near, far } = await pair.open()
      bulk.push(new TestPeer(far))
      const writer = new TestPeer(near)
      for (let j = 0; j < 16; j += 1) writer.write(new Uint8Array(64 * KIB))
    }
    const small = await pair.open()
    const reader = new TestPeer(small.far)
    pair.near.transport.hold()
    small.near.start({ data: () => {}, end: () => {}, written: () => {}, close: () => {} })
    small.near.write(new Uint8Array(10))
    const before = bulk.map((end) => end.receivedBytes)
    for (let frames = 0; reader.receivedBytes === 0 && frames < 100; frames += 1) {
      pair.near.transport.flush(1)
      await settle()
    }
    expect(reader.receivedBytes).toBe(10)
    for (const [index, end] of bulk.entries()) {
      // one round of the scheduler, and what the transport's own buffer held
      expect(end.receivedBytes - (before[index] ?? 0)).toBeLessThanOrEqual(3 * 64 * KIB)
    }
    pair.near.transport.letGo()
    await Promise.all(bulk.map((end) => end.until(() => end.receivedBytes === MIB)))
  })

  it('open and end a thousand channels and leave nothing', async () => {
    const pair = sessionPair()
    const before = pair.clock.pending
    for (let i = 0; i < 1_000; i += 1) {
      const { near, far } = await pair.open(i % 2 === 0)
      const [a, b] = [new TestPeer(near), new TestPeer(far)]
      a.write('x')
      if (i % 3 === 0) a.abort(new LinkSocksError('ERR_CANCELLED', 'gone'))
      else {
        a.end()
        b.end()
      }
    }
    await settle()
    expect([tables(pair), pair.clock.pending]).toEqual([EMPTY, before])
  })
})
