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
      clock.advance(1_000)
      return trips.shortestMs
    })
    expect(shortest).toEqual([30, 30, 20])
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
