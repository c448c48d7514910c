import { describe, expect, it } from 'vitest'
import { Receiver } from '../../../src/mux/channel/receiver.js'
import { BusyReaders } from '../../../src/mux/flow/busy-readers.js'
import { MAX_SESSION_GROWTH_BYTES } from '../../../src/mux/flow/growth-budget.js'
import { HeldTotals, RECEIVED_LIMITS } from '../../../src/mux/flow/held-totals.js'
import { ReadGate } from '../../../src/mux/flow/read-gate.js'
import { INITIAL_WINDOW_BYTES, KIB, MAX_WINDOW_BYTES, MIB } from '../../../src/protocol/limits.js'
import { ManualClock } from '../../support/manual-clock.js'

const ROUND_TRIP_MS = 100

/** A receiver with credit behind a path, and the bytes that its sender has credit for. */
class PathEnd {
  readonly clock: ManualClock
  readonly receiver: Receiver
  credit = INITIAL_WINDOW_BYTES
  granted = INITIAL_WINDOW_BYTES

  constructor(
    totals = new HeldTotals(RECEIVED_LIMITS),
    roundTripMs: number | 'unknown' = ROUND_TRIP_MS,
    clock = new ManualClock(),
    busyReaders = new BusyReaders(clock),
  ) {
    this.clock = clock
    const nothing = { pause: () => {}, resume: () => {} }
    const gate = new ReadGate(nothing, clock, nothing)
    const link = { gate, clock, totals, busyReaders, recycle: () => {} }
    this.receiver = new Receiver(link, false, {
      grant: (bytes) => {
        this.credit += bytes
        this.granted += bytes
      },
      stalled: () => {},
      unwanted: () => {},
      roundTrip: () => (roundTripMs === 'unknown' ? undefined : roundTripMs),
    })
    this.receiver.useCredit()
    this.receiver.start({ data: () => {}, end: () => {}, written: () => {}, close: () => {} })
  }

  /** The sender uses all its credit, which takes `ms` to arrive and be used up. */
  fill(ms: number): void {
    const bytes = this.credit
    this.credit = 0
    this.clock.advance(ms)
    this.receiver.data(new Uint8Array(bytes))
    this.receiver.consume(bytes)
  }

  /** What the sender may have under way now. */
  get window(): number {
    return this.credit
  }
}

describe('a window', () => {
  it('follows a long path up to 16 MiB and no further', () => {
    const end = new PathEnd()
    const seen = Array.from({ length: 8 }, () => {
      end.fill(ROUND_TRIP_MS)
      return end.window
    })
    expect(seen.at(-1)).toBe(MAX_WINDOW_BYTES)
    expect(Math.max(...seen)).toBe(MAX_WINDOW_BYTES)
    expect(seen.filter((bytes) => bytes === MAX_WINDOW_BYTES).length).toBeGreaterThanOrEqual(3)
  })

  it.each([
    ['the reader or the network is slower than the window', new PathEnd(), 10 * ROUND_TRIP_MS],
    ['the path is short', new PathEnd(undefined, 0.9), 0],
    ['no round trip was measured', new PathEnd(undefined, 'unknown'), 0],
  ])('stays as it is where %s', (_name, end, ms) => {
    for (let i = 0; i < 20; i += 1) end.fill(ms)
    expect(end.window).toBe(INITIAL_WINDOW_BYTES)
  })

  it('grows only as far as there is room for all windows of the process, and gives it back', () => {
    const totals = new HeldTotals({ sessionBytes: 64 * MIB, totalBytes: 64 * MIB })
    const ends = Array.from({ length: 4 }, () => new PathEnd(totals))
    for (let i = 0; i < 8; i += 1) for (const end of ends) end.fill(ROUND_TRIP_MS)
    const grown = ends.reduce((sum, end) => sum + end.window - INITIAL_WINDOW_BYTES, 0)
    expect(grown).toBeGreaterThan(16 * MIB)
    expect(grown).toBeLessThanOrEqual(32 * MIB)
    for (const { receiver } of ends) {
      receiver.finish()
      receiver.stop()
    }
    expect(totals.growth.take({}, 32 * MIB)).toBe(true)
  })

  it('shrinks to what it began with when much waits for slow readers', () => {
    const totals = new HeldTotals({ sessionBytes: 64 * MIB, totalBytes: 64 * MIB })
    const end = new PathEnd(totals)
    for (let i = 0; i < 4; i += 1) end.fill(ROUND_TRIP_MS)
    expect(end.window).toBeGreaterThan(INITIAL_WINDOW_BYTES)
    const other = {}
    totals.count(other, 40 * MIB)
    for (let i = 0; i < 4; i += 1) end.fill(ROUND_TRIP_MS)
    expect(end.window).toBe(INITIAL_WINDOW_BYTES)
    totals.count(other, -40 * MIB)
    for (let i = 0; i < 4; i += 1) end.fill(ROUND_TRIP_MS)
    expect(end.window).toBeGreaterThan(INITIAL_WINDOW_BYTES)
  })

  it('shrinks to what its path carries when more than that waits, at once and not by and by', () => {
    const totals = new HeldTotals(RECEIVED_LIMITS)
    const end = new PathEnd(totals)
    for (let i = 0; i < 8; i += 1) end.fill(ROUND_TRIP_MS)
    expect(end.window).toBe(MAX_WINDOW_BYTES)
    // the network became eight times slower
    const rate = MAX_WINDOW_BYTES / (8 * ROUND_TRIP_MS)
    const fill = (): void => end.fill(Math.max(ROUND_TRIP_MS, end.window / rate))
    for (let i = 0; i < 3; i += 1) fill()
    // two round trips and 5 ms
    expect(Math.round(end.window / rate)).toBe(205)
    const settled = end.window
    for (let i = 0; i < 20; i += 1) fill()
    expect(end.window).toBe(settled)
    end.receiver.finish()
    end.receiver.stop()
    expect(totals.growth.take({}, MAX_SESSION_GROWTH_BYTES)).toBe(true)
  })

  describe('at the end of a short path', () => {
    /** So many readers of one link, each of which takes all it gets, turn by turn. */
    const readers = (count: number) => {
      const clock = new ManualClock()
      const busy = new BusyReaders(clock)
      return Array.from({ length: count }, () => new PathEnd(undefined, 0.2, clock, busy))
    }
    const run = (ends: readonly PathEnd[], turns = 12) => {
      for (let i = 0; i < turns; i += 1) for (const end of ends) end.fill(1)
    }

    it.each([
      [1, 512],
      [4, 512],
      [8, 256],
      [16, 128],
      [64, 128],
    ])('is what %d busy readers have of 2 MiB each, 128 to 512 KiB: %d', (count, kib) => {
      const ends = readers(count)
      run(ends)
      expect(new Set(ends.map((end) => end.window))).toEqual(new Set([kib * KIB]))
    })

    it('is whole again when the other readers rest or are gone', () => {
      const ends = readers(8)
      run(ends)
      for (const { receiver } of ends.slice(4)) receiver.finish()
      run(ends.slice(0, 4))
      expect(ends[0]?.window).toBe(512 * KIB)
      run(ends.slice(0, 4), 1)
    })

    it('takes and gives back no room for growth', () => {
      const totals = new HeldTotals(RECEIVED_LIMITS)
      const clock = new ManualClock()
      const busy = new BusyReaders(clock)
      const ends = Array.from({ length: 16 }, () => new PathEnd(totals, 0.2, clock, busy))
      run(ends)
      for (const { receiver } of ends) receiver.stop()
      const link = {}
      expect([totals.growth.take(link, MAX_SESSION_GROWTH_BYTES), totals.growth.take(link, 1)]).toEqual([true, false])
    })
  })
})
