import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MinuteCount } from '../../../src/relay/policies/minute-count.js'
import { ManualClock } from '../../support/manual-clock.js'

describe('MinuteCount', () => {
  it('forgets what came more than a minute ago', () => {
    const clock = new ManualClock()
    const minute = new MinuteCount(clock)
    minute.add()
    clock.advance(30_000)
    minute.add()
    expect(minute.count).toBe(2)
    clock.advance(35_000)
    expect(minute.count).toBe(1)
    clock.advance(30_000)
    expect(minute.count).toBe(0)
    clock.advance(10 * 60_000)
    minute.add()
    expect(minute.count).toBe(1)
  })

  it('never counts less than came within the last 60 s, nor more than within 65', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 60 }), (pauses) => {
        const clock = new ManualClock()
        const minute = new MinuteCount(clock)
        const times: number[] = []
        for (const pause of pauses) {
          clock.advance(pause)
          minute.add()
          times.push(clock.now())
          const within = (ms: number): number => times.filter((time) => time > clock.now() - ms).length
          expect(minute.count).toBeGreaterThanOrEqual(within(60_000))
          expect(minute.count).toBeLessThanOrEqual(within(65_000))
        }
      }),
    )
  })
})
