import { describe, expect, it } from 'vitest'
import { HeldTotals, MAX_LINK_GROWTH_BYTES, RECEIVED_LIMITS } from '../../src/mux/held-totals.js'
import { ReadGate } from '../../src/mux/read-gate.js'
import { Receiver } from '../../src/mux/receiver.js'
import { INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES, MIB } from '../../src/protocol/limits.js'
import { ManualClock } from '../support/manual-clock.js'

const ROUND_TRIP_MS = 100

/** A receiver with credit behind a path, and the bytes that its sender has credit for. */
class PathEnd {
  readonly clock = new ManualClock()
  readonly receiver: Receiver
  credit = INITIAL_WINDOW_BYTES
  granted = INITIAL_WINDOW_BYTES

  constructor(totals = new HeldTotals(RECEIVED_LIMITS), roundTripMs: number | 'unknown' = ROUND_TRIP_MS) {
    const nothing = { pause: () => {}, resume: () => {} }
    const gate = new ReadGate(nothing, this.clock, nothing)
    const link = { gate, clock: this.clock, totals, recycle: () => {} }
    this.receiver = new Receiver(link, false, {
      grant: (bytes) => {
        this.credit += bytes
        this.granted += bytes
      },
      stalled: () => {},
      unwanted: () => {},
      roundTripMs: () => (roundTripMs === 'unknown' ? undefined : roundTripMs),
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
    ['the path is short', new PathEnd(undefined, 0.1), 1],
    ['no round trip was measured', new PathEnd(undefined, 'unknown'), 0],
  ])('stays as it is where %s', (_name, end, ms) => {
    for (let i = 0; i < 20; i += 1) end.fill(ms)
    expect(end.window).toBe(INITIAL_WINDOW_BYTES)
  })

  it('grows only as far as there is room for its link', () => {
    const totals = new HeldTotals(RECEIVED_LIMITS)
    const link = {}
    expect([totals.grow(link, MAX_LINK_GROWTH_BYTES), totals.grow(link, 1), totals.grow({}, 1)]).toEqual([
      true,
      false,
      true,
    ])
    totals.grow(link, -1)
    expect(totals.grow(link, 1)).toBe(true)
  })

  it('grows only as far as there is room for all windows of the process, and gives it back', () => {
    const totals = new HeldTotals({ linkBytes: 64 * MIB, totalBytes: 64 * MIB })
    const ends = Array.from({ length: 4 }, () => new PathEnd(totals))
    for (let i = 0; i < 8; i += 1) for (const end of ends) end.fill(ROUND_TRIP_MS)
    const grown = ends.reduce((sum, end) => sum + end.window - INITIAL_WINDOW_BYTES, 0)
    expect(grown).toBeGreaterThan(16 * MIB)
    expect(grown).toBeLessThanOrEqual(32 * MIB)
    for (const { receiver } of ends) {
      receiver.finish()
      receiver.stop()
    }
    expect(totals.grow({}, 32 * MIB)).toBe(true)
  })

  it('shrinks to what it began with when much waits for slow readers', () => {
    const totals = new HeldTotals({ linkBytes: 64 * MIB, totalBytes: 64 * MIB })
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
})
