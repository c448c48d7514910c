import { describe, expect, it } from 'vitest'
import { Departure } from '../../src/inbound/departure.js'
import { ManualClock } from '../support/manual-clock.js'

describe('Departure', () => {
  it('tells those that listen once, and nobody who has left', () => {
    const departure = new Departure(new ManualClock())
    const heard: string[] = []
    departure.onBegun(() => heard.push('one'))
    const leave = departure.onBegun(() => heard.push('other'))
    leave()
    leave()
    expect(departure.begun).toBe(false)
    departure.begin()
    departure.begin()
    expect([heard, departure.begun]).toEqual([['one'], true])
  })
})
