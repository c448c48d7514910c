import { describe, expect, it } from 'vitest'
import { PathProbe, SURE_AFTER } from '../../../src/mux/channel/path-probe.js'
import { RoundTrips } from '../../../src/mux/flow/round-trips.js'
import { ManualClock } from '../../support/manual-clock.js'

const FAST = 500_000

/** What the channels of one session share. */
function session() {
  const clock = new ManualClock()
  const count = { received: 0 }
  return { clock, count, roundTrips: new RoundTrips(clock, () => count.received) }
}

function setUp({ clock, count, roundTrips } = session()) {
  let pings = 0
  const path = new PathProbe({ clock, roundTrips }, () => {
    pings += 1
  })
  /** The answer to a PING comes after `ms`, while `bytes` come in. */
  const answer = (ms: number, bytes = 0): void => {
    clock.advance(ms)
    count.received += bytes
    path.answered()
  }
  return { clock, count, roundTrips, path, answer, pings: () => pings }
}

describe('PathProbe: the round trip of a channel', () => {
  it('is measured as it begins, a second time where it was not quick, and then known', () => {
    const { path, answer, pings } = setUp()
    path.measure()
    expect([pings(), path.roundTrip()]).toEqual([1, undefined])
    answer(100)
    expect([pings(), path.roundTrip()]).toEqual([2, undefined])
    answer(90)
    expect([pings(), path.roundTrip()]).toEqual([2, 90])
  })

  it('is measured again after 500 ms by a channel that asks for it, and the shortest counts', () => {
    const { clock, path, answer, pings } = setUp()
    path.measure()
    answer(0.4)
    clock.advance(499)
    expect([path.roundTrip(), pings()]).toEqual([0.4, 1])
    clock.advance(1)
    expect([path.roundTrip(), pings()]).toEqual([0.4, 2])
    answer(0.9)
    expect(path.roundTrip()).toBe(0.4)
  })

  it.each([
    [3, 'queued'],
    [19, 'queued'],
    [20, 20],
    [100, 100],
  ] as const)('that seemed to be %d ms is taken for %s when an answer waits behind fast data', (seemed, taken) => {
    const { clock, path, answer } = setUp()
    path.measure()
    answer(seemed)
    answer(seemed)
    clock.advance(500)
    expect(path.roundTrip()).toBe(seemed)
    answer(30, 30 * FAST + 1)
    expect(path.roundTrip()).toBe(taken)
    // what is seen without a queue counts again
    clock.advance(500)
    path.roundTrip()
    answer(seemed)
    answer(seemed)
    expect(path.roundTrip()).toBe(seemed)
  })

  it('is not changed by a PONG that nobody asked for', () => {
    const { path, answer } = setUp()
    answer(1)
    expect(path.roundTrip()).toBeUndefined()
  })

  it('is its own after four measurements: the channels of one link end at different places', () => {
    const near = setUp()
    near.path.measure()
    near.answer(0.5)
    const far = setUp(near)
    near.clock.advance(250)
    far.path.measure()
    expect(far.path.roundTrip()).toBe(0.5)
    for (let count = 1; count <= SURE_AFTER; count += 1) {
      // a busy machine answers late as well
      expect(far.path.roundTrip()).toBe(0.5)
      far.answer(100)
      far.answer(100)
      near.clock.advance(500)
      far.path.measure()
    }
    expect([near.path.roundTrip(), far.path.roundTrip()]).toEqual([0.5, 100])
  })

  it('is not forgotten over an answer behind fast data', () => {
    const { clock, path, answer } = setUp()
    path.measure()
    answer(0.4)
    for (const [ms, bytes] of [
      [30, 30 * FAST + 1],
      [8, 0],
      [8, 0],
    ] as const) {
      clock.advance(500)
      path.roundTrip()
      answer(ms, bytes)
    }
    expect(path.roundTrip()).toBe(0.4)
  })

  it('is what the first answer said where an end answers no second one', () => {
    const { clock, path, answer, pings } = setUp()
    path.measure()
    answer(60)
    clock.advance(3_000)
    expect([path.roundTrip(), pings()]).toEqual([undefined, 2])
    clock.advance(1)
    expect([path.roundTrip(), pings()]).toEqual([60, 3])
  })
})
