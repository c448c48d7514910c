import { describe, expect, it } from 'vitest'
import { RoundTrips } from '../../../src/mux/flow/round-trips.js'
import { ManualClock } from '../../support/manual-clock.js'

describe('RoundTrips', () => {
  it('knows nothing before the first answer, and the shortest time from then on', () => {
    const clock = new ManualClock()
    const trips = new RoundTrips(clock, () => 0)
    expect(trips.shortestMs).toBeUndefined()
    const shortest = [30, 80, 20].map((ms) => {
      const measurement = trips.begin()
      clock.advance(ms)
      measurement?.answered()
      clock.advance(ms)
      measurement?.answered()
      clock.advance(1_000)
      return trips.shortestMs
    })
    expect(shortest).toEqual([30, 30, 20])
  })

  it('takes the shorter of two answers where the first one was slow', () => {
    const clock = new ManualClock()
    const trips = new RoundTrips(clock, () => 0)
    const measurement = trips.begin()
    clock.advance(4)
    expect([measurement?.answered(), trips.shortestMs]).toEqual([undefined, undefined])
    clock.advance(3)
    expect([measurement?.answered(), trips.shortestMs]).toEqual([3, 3])
  })

  it('is content with one answer that was quick', () => {
    const clock = new ManualClock()
    const trips = new RoundTrips(clock, () => 0)
    const measurement = trips.begin()
    clock.advance(0.9)
    expect([measurement?.answered(), trips.shortestMs]).toEqual([0.9, 0.9])
  })

  it.each([
    ['the first answer waited behind data', [], 'queued'],
    ['the second answer waited behind data, and the first was below 20 ms', [19], 'queued'],
    ['the second answer waited behind data, and the first says that the path is long', [20], 20],
  ] as const)('says when %s', (_name, before, said) => {
    const clock = new ManualClock()
    let received = 0
    const trips = new RoundTrips(clock, () => received)
    const measurement = trips.begin()
    for (const ms of before) {
      clock.advance(ms)
      received += ms * 500_000
      expect(measurement?.answered()).toBeUndefined()
    }
    clock.advance(10)
    received += 10 * 500_000 + 1
    expect([measurement?.answered(), trips.shortestMs]).toEqual([said, said === 'queued' ? undefined : said])
  })

  it('keeps the first answer when the second one is given up', () => {
    const clock = new ManualClock()
    const trips = new RoundTrips(clock, () => 0)
    const measurement = trips.begin()
    expect(measurement?.giveUp()).toBeUndefined()
    clock.advance(30)
    measurement?.answered()
    clock.advance(1_000)
    expect([measurement?.isOlderThan(999), measurement?.isOlderThan(1_000)]).toEqual([true, false])
    expect([measurement?.giveUp(), trips.shortestMs]).toEqual([30, 30])
  })

  it('lets one channel measure at a time, and the next a while later', () => {
    const clock = new ManualClock()
    const trips = new RoundTrips(clock, () => 0)
    expect([trips.begin(), trips.begin()].map((end) => end === undefined)).toEqual([false, true])
    clock.advance(249)
    expect(trips.begin()).toBeUndefined()
    clock.advance(1)
    expect(trips.begin()).toBeDefined()
  })
})
