import { describe, expect, it } from 'vitest'
import { RoundTrips } from '../../src/mux/round-trips.js'
import { ManualClock } from '../support/manual-clock.js'

describe('RoundTrips', () => {
  it('knows nothing before the first answer, and the shortest time from then on', () => {
    const clock = new ManualClock()
    const trips = new RoundTrips(clock)
    expect(trips.shortestMs).toBeUndefined()
    const shortest = [30, 80, 20].map((ms) => {
      const answered = trips.begin()
      clock.advance(ms)
      answered?.()
      clock.advance(ms)
      answered?.()
      clock.advance(1_000)
      return trips.shortestMs
    })
    expect(shortest).toEqual([30, 30, 20])
  })

  it('takes the shorter of two answers where the first one was slow', () => {
    const clock = new ManualClock()
    const trips = new RoundTrips(clock)
    const answered = trips.begin()
    clock.advance(4)
    expect([answered?.(), trips.shortestMs]).toEqual([undefined, undefined])
    clock.advance(3)
    expect([answered?.(), trips.shortestMs]).toEqual([3, 3])
  })

  it('is content with one answer that was quick', () => {
    const clock = new ManualClock()
    const trips = new RoundTrips(clock)
    const answered = trips.begin()
    clock.advance(0.9)
    expect([answered?.(), trips.shortestMs]).toEqual([0.9, 0.9])
  })

  it.each([
    ['first', 0],
    ['second', 1],
  ])('says 0 and learns nothing when the %s answer waited behind data', (_name, quiet) => {
    const clock = new ManualClock()
    const trips = new RoundTrips(clock)
    const answered = trips.begin()
    for (let i = 0; i < quiet; i += 1) {
      clock.advance(10)
      trips.received(10 * 500_000)
      expect(answered?.()).toBeUndefined()
    }
    clock.advance(10)
    trips.received(10 * 500_000 + 1)
    expect([answered?.(), trips.shortestMs]).toEqual([0, undefined])
  })

  it('lets one channel measure at a time, and the next a while later', () => {
    const clock = new ManualClock()
    const trips = new RoundTrips(clock)
    expect([trips.begin(), trips.begin()].map((end) => end === undefined)).toEqual([false, true])
    clock.advance(249)
    expect(trips.begin()).toBeUndefined()
    clock.advance(1)
    expect(trips.begin()).toBeDefined()
  })
})
