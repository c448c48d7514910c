import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  delayAtStart,
  dueIn,
  leastBetween,
  MAX_RETRY_MS,
  renewalTime,
  retryDelay,
  timeLeft,
} from '../../../src/node/acme/renewal.js'
import { ManualClock } from '../../support/manual-clock.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const LIFE_MS = 90 * DAY_MS
const TIME = Date.UTC(2026, 0, 1)
const FRESH = { notBefore: TIME - HOUR_MS, notAfter: TIME - HOUR_MS + LIFE_MS, obtainedAt: TIME }
const unit = fc.double({ min: 0, max: 1, noNaN: true })

describe('renewalTime()', () => {
  it('leaves a third of the life, and up to a tenth more by chance', () => {
    expect(renewalTime(FRESH, 0, TIME)).toBe(FRESH.notAfter - 30 * DAY_MS)
    expect(renewalTime(FRESH, 1, TIME)).toBeCloseTo(FRESH.notAfter - 39 * DAY_MS, 0)
    const times = Array.from({ length: 101 }, (_, index) => renewalTime(FRESH, index / 100, TIME))
    expect(times).toEqual([...times].sort((a, b) => b - a))
  })

  it('is never before half of the life and never after two thirds, counted from when it came, whatever the calendar says', () => {
    const any = fc.integer({ min: -100 * 365, max: 100 * 365 })
    const life = fc.integer({ min: 1, max: 400 * DAY_MS })
    fc.assert(
      fc.property(any, life, unit, (wrongDays, lifeMs, random) => {
        const obtainedAt = TIME + wrongDays * DAY_MS
        const time = renewalTime({ notBefore: TIME, notAfter: TIME + lifeMs, obtainedAt }, random, obtainedAt)
        expect(time).toBeGreaterThanOrEqual(obtainedAt + lifeMs / 2 - 1)
        expect(time).toBeLessThanOrEqual(obtainedAt + (lifeMs * 2) / 3 + 1)
      }),
    )
  })

  it('goes by the certificate alone when it seems to come from the future', () => {
    const obtainedAt = TIME + 50 * 365 * DAY_MS
    expect(renewalTime({ ...FRESH, obtainedAt }, 0, TIME)).toBe(FRESH.notAfter - 30 * DAY_MS)
    // and by what is left at most, when that is to come yet
    const before = TIME - 10 * 365 * DAY_MS
    expect(renewalTime({ ...FRESH, obtainedAt }, 0, before)).toBe(before + 60 * DAY_MS)
  })
})

describe('retryDelay()', () => {
  const DELAYS = [10, 20, 40, 80, 160, 320, 640].map((minutes) => minutes * 60_000)

  it('doubles from 10 minutes to 12 hours, and is a quarter more or less by chance', () => {
    expect(DELAYS.map((_, index) => retryDelay(index + 1, 0.5))).toEqual(DELAYS)
    for (const failures of [8, 100, 5_000, Number.MAX_SAFE_INTEGER])
      expect(retryDelay(failures, 0.5)).toBe(MAX_RETRY_MS)
    expect([0, 1].map((random) => retryDelay(1, random))).toEqual([7.5 * 60_000, 12.5 * 60_000])
  })

  it('is as long as the authority asks for, and no shorter for it', () => {
    expect(retryDelay(1, 0.5, DAY_MS)).toBe(DAY_MS)
    expect(retryDelay(1, 0.5, 1)).toBe(10 * 60_000)
  })
})

describe('delayAtStart()', () => {
  it.each<[string, number, number | undefined, number]>([
    ['was to be tried again soon', 1_000, undefined, 1_000],
    ['was to be tried again now', 0, undefined, 0],
    ['was to be tried again before', -DAY_MS, -DAY_MS, 0],
    ['was to be tried again later', DAY_MS, undefined, 60_000],
    ['the authority wants later', DAY_MS, 2 * HOUR_MS, 2 * HOUR_MS],
    ['the authority wanted before', DAY_MS, -HOUR_MS, 60_000],
    ['comes from a calendar that was wrong', 3_650 * DAY_MS, 3_650 * DAY_MS, 7 * DAY_MS],
  ])('is right for what %s', (_what, nextIn, askedIn, expected) => {
    const asked = askedIn === undefined ? undefined : TIME + askedIn
    expect(delayAtStart(TIME + nextIn, asked, TIME)).toBe(expected)
  })
})

describe('dueIn()', () => {
  it('comes with the calendar, when that is set forward, but not before the least', () => {
    const clock = new ManualClock()
    const due = dueIn(DAY_MS, clock, HOUR_MS)
    expect(timeLeft(due, clock)).toBe(DAY_MS)
    clock.epoch += 10 * DAY_MS
    expect(timeLeft(due, clock)).toBe(HOUR_MS)
    clock.advance(HOUR_MS)
    expect(timeLeft(due, clock)).toBe(0)
  })

  it('comes with the clock, when the calendar is set back', () => {
    const clock = new ManualClock()
    const due = dueIn(DAY_MS, clock)
    clock.epoch -= 50 * 365 * DAY_MS
    clock.advance(DAY_MS - 1)
    expect(timeLeft(due, clock)).toBe(1)
    clock.advance(1)
    expect(timeLeft(due, clock)).toBe(0)
  })

  it('comes with the calendar alone after the machine slept', () => {
    const clock = new ManualClock()
    const due = dueIn(DAY_MS, clock)
    clock.epoch += DAY_MS
    expect(timeLeft(due, clock)).toBe(0)
  })
})

interface Jump {
  readonly hour: number
  /** The calendar is wrong by so much from then on. */
  readonly wrongDays: number
}

/** One name for years, looked at every hour: how often it got a certificate, and for how many hours it had none that was good. */
function live(
  lifeMs: number,
  hours: number,
  first: number,
  jumps: readonly Jump[],
  restarts: readonly number[],
  random: number,
) {
  const clock = new ManualClock()
  const epoch = clock.epoch
  const setWrong = (days: number): void => {
    clock.epoch = epoch + days * DAY_MS
  }
  setWrong(first)
  let due = dueIn(0, clock)
  let kept = { notBefore: 0, notAfter: 0, obtainedAt: 0 }
  let [issued, bare] = [0, 0]
  const wrong = new Map(jumps.map(({ hour, wrongDays }) => [hour, wrongDays]))
  for (let hour = 0; hour < hours; hour += 1) {
    const jump = wrong.get(hour)
    if (jump !== undefined) setWrong(jump)
    if (issued > 0 && restarts.includes(hour))
      due = dueIn(renewalTime(kept, random, clock.wallTime()) - clock.wallTime(), clock)
    const right = epoch + clock.now()
    if (timeLeft(due, clock) <= 0) {
      issued += 1
      kept = { notBefore: right - HOUR_MS, notAfter: right - HOUR_MS + lifeMs, obtainedAt: clock.wallTime() }
      due = dueIn(renewalTime(kept, random, clock.wallTime()) - clock.wallTime(), clock, leastBetween(kept))
    }
    if (right >= kept.notAfter) bare += 1
    clock.advance(HOUR_MS)
  }
  return { issued, bare }
}

describe('a name that is kept for years', () => {
  const years = 3
  const hours = years * 365 * 24
  const wrongDays = fc.integer({ min: -100 * 365, max: 100 * 365 })
  const lifeDays = fc.integer({ min: 6, max: 398 })
  const jumps = fc.array(fc.record({ hour: fc.nat(hours), wrongDays }), { maxLength: 12 })
  const most = (days: number): number => 1 + Math.ceil((years * 365) / (days / 2))

  it('always has a good certificate, and no more of them than half of their life allows, by a calendar that is wrong by any amount', () => {
    const restarts = fc.array(fc.nat(hours), { maxLength: 20 })
    fc.assert(
      fc.property(lifeDays, wrongDays, restarts, unit, (days, wrong, starts, random) => {
        const { issued, bare } = live(days * DAY_MS, hours, wrong, [], starts, random)
        expect(issued).toBeLessThanOrEqual(most(days))
        expect(bare).toBe(0)
      }),
      { numRuns: 25 },
    )
  })

  it('always has one by a calendar that jumps about, which costs one certificate for each jump at most', () => {
    fc.assert(
      fc.property(lifeDays, wrongDays, jumps, unit, (days, first, moves, random) => {
        const { issued, bare } = live(days * DAY_MS, hours, first, moves, [], random)
        expect(issued).toBeLessThanOrEqual(most(days) + moves.length)
        expect(bare).toBe(0)
      }),
      { numRuns: 25 },
    )
  })

  it('gets one a day at most by a calendar that jumps every hour', () => {
    const moves = Array.from({ length: 60 * 24 }, (_, hour) => ({ hour, wrongDays: hour % 2 === 0 ? 0 : 36_500 }))
    const { issued } = live(LIFE_MS, 60 * 24, 0, moves, [], 0.5)
    expect(issued).toBeLessThanOrEqual(61)
  })

  it('is attempted no more than twice a day in the long run while each attempt fails', () => {
    let [time, attempts] = [0, 0]
    for (; time < 365 * DAY_MS; attempts += 1) time += retryDelay(attempts + 1, (attempts % 3) / 2)
    expect(attempts).toBeLessThan(365 * 2.2 + 10)
  })
})
