import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { MAX_HOURS, OpeningHours } from '../../src/policy/opening-hours.js'
import type { PolicyHours } from '../../src/policy-fields.js'

function hours(...list: PolicyHours[]): OpeningHours {
  const made = OpeningHours.of(list)
  if (typeof made === 'string') throw new Error(made)
  return made
}

const at = (text: string): number => Date.parse(text)
const text = (time: number | undefined): string | undefined =>
  time === undefined ? undefined : new Date(time).toISOString().slice(0, 16)

/** Monday to Friday, 8 to 18, in Berlin. */
const OFFICE: PolicyHours = {
  days: ['mon', 'tue', 'wed', 'thu', 'fri'],
  from: '08:00',
  to: '18:00',
  zone: 'Europe/Berlin',
}

describe('OpeningHours.isOpen()', () => {
  it.each([
    // 2026-11-30 is a Monday, UTC+1 in Berlin
    ['2026-11-30T06:59:59.999Z', false],
    ['2026-11-30T07:00:00Z', true],
    ['2026-11-30T16:59:59.999Z', true],
    ['2026-11-30T17:00:00Z', false],
    ['2026-11-29T10:00:00Z', false],
    // in summer UTC+2
    ['2026-07-06T05:59:59Z', false],
    ['2026-07-06T06:00:00Z', true],
    ['2026-07-06T16:00:00Z', false],
  ])('is by the clocks of the zone: %s %s', (time, open) => {
    expect(hours(OFFICE).isOpen(at(time))).toBe(open)
  })

  it.each([
    ['2026-11-27T21:59:00Z', false],
    ['2026-11-27T22:00:00Z', true],
    ['2026-11-28T05:59:00Z', true],
    ['2026-11-28T06:00:00Z', false],
    // it began on Friday, not on Saturday
    ['2026-11-28T22:00:00Z', false],
  ])('goes on past midnight, on the days on which it begins: %s %s', (time, open) => {
    expect(hours({ days: ['fri'], from: '22:00', to: '06:00' }).isOpen(at(time))).toBe(open)
  })

  it('is every day, in UTC, to the end of a day, unless told otherwise', () => {
    const evening = hours({ from: '20:00', to: '24:00' })
    const times = ['2026-11-30T19:59:00Z', '2026-11-30T23:59:59Z', '2026-12-01T00:00:00Z', '2026-12-06T20:00:00Z']
    expect(times.map((time) => evening.isOpen(at(time)))).toEqual([false, true, false, true])
  })

  it('is open when one of several is', () => {
    const both = hours(OFFICE, { days: ['sun'], from: '00:00', to: '24:00', zone: 'Asia/Tokyo' })
    // Saturday evening in Berlin, Sunday in Tokyo
    expect(both.isOpen(at('2026-11-28T16:00:00Z'))).toBe(true)
    expect(both.isOpen(at('2026-11-28T14:00:00Z'))).toBe(false)
  })
})

describe('OpeningHours.opensAt()', () => {
  it.each([
    ['in the hours', '2026-11-30T08:30:00Z', '2026-11-30T08:30'],
    ['before them', '2026-11-30T03:00:30Z', '2026-11-30T07:00'],
    ['after them', '2026-11-30T17:00:00Z', '2026-12-01T07:00'],
    ['at a weekend', '2026-11-27T17:00:00Z', '2026-11-30T07:00'],
    ['over the end of summer time', '2026-10-23T16:00:00Z', '2026-10-26T07:00'],
    ['over its beginning', '2026-03-27T17:00:00Z', '2026-03-30T06:00'],
  ])('%s', (_name, time, opens) => {
    expect(text(hours(OFFICE).opensAt(at(time)))).toBe(opens)
  })

  it('is on a day of 23 hours, seen from the last hour of the week before', () => {
    const sundays = hours({ days: ['sun'], from: '00:00', to: '00:15', zone: 'America/New_York' })
    expect(text(sundays.opensAt(at('2026-03-02T04:00:00Z')))).toBe('2026-03-08T05:00')
  })

  it('is when clocks go on, where they skip the time', () => {
    // on 2026-03-29 there is no 02:30 in Berlin
    const skipped = hours({ days: ['sun'], from: '02:30', to: '04:00', zone: 'Europe/Berlin' })
    expect(skipped.isOpen(at('2026-03-29T01:30:00Z'))).toBe(true)
    expect(text(skipped.opensAt(at('2026-03-28T12:00:00Z')))).toBe('2026-03-29T01:00')
  })

  it('is the first of two where clocks go back', () => {
    // on 2026-10-25 it is 02:00 twice in Berlin
    const twice = hours({ days: ['sun'], from: '02:00', to: '04:00', zone: 'Europe/Berlin' })
    for (const now of ['2026-10-24T12:00:00Z', '2026-10-19T01:00:00Z'])
      expect(text(twice.opensAt(at(now)))).toBe('2026-10-25T00:00')
  })

  it('is the same weekday of the next week where the time of today is over', () => {
    expect(text(hours({ days: ['mon'], from: '08:00', to: '09:00' }).opensAt(at('2026-11-30T09:00:00Z')))).toBe(
      '2026-12-07T08:00',
    )
  })

  it('never names a time at which it is closed, and misses none before', () => {
    const day = fc.constantFrom('mon' as const, 'wed' as const, 'sun' as const)
    const clock = fc.tuple(fc.integer({ min: 0, max: 23 }), fc.constantFrom('00', '15', '30'))
    const time = clock.map(([hour, minute]) => `${String(hour).padStart(2, '0')}:${minute}`)
    const zone = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Auckland')
    const window = fc.record({ days: fc.uniqueArray(day, { minLength: 1 }), from: time, to: time, zone })
    const moment = fc.integer({ min: at('2026-01-01T00:00Z'), max: at('2027-01-01T00:00Z') })
    fc.assert(
      fc.property(
        fc.array(
          window.filter(({ from, to }) => from !== to),
          { minLength: 1, maxLength: 3 },
        ),
        moment,
        (list, now) => {
          const made = hours(...list)
          const opens = made.opensAt(now)
          if (opens === undefined) throw new Error('never open')
          expect(made.isOpen(opens)).toBe(true)
          // all windows begin at quarters of an hour
          for (let before = now; before < opens; before += 15 * 60_000) expect(made.isOpen(before)).toBe(false)
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('OpeningHours.of()', () => {
  it.each([
    [{ from: '8:00', to: '18:00' }, 'from must be a time such as 08:00: "8:00"'],
    [{ from: '24:00', to: '18:00' }, 'from must be a time such as 08:00: "24:00"'],
    [{ from: '08:60', to: '18:00' }, 'from must be a time such as 08:00: "08:60"'],
    [{ from: '08:00', to: '24:01' }, 'to must be a time such as 18:00 or 24:00: "24:01"'],
    [{ from: '08:00', to: '08:00' }, 'from and to must not be the same: 00:00 to 24:00 is a whole day'],
    [{ days: [], from: '08:00', to: '09:00' }, 'days must be some of mon, tue, wed, thu, fri, sat, sun'],
    [{ days: ['monday'], from: '08:00', to: '09:00' }, 'days must be some of mon, tue, wed, thu, fri, sat, sun'],
    [{ from: '08:00', to: '09:00', zone: 'Europe/Atlantis' }, 'there is no time zone "Europe/Atlantis"'],
    [{ from: '08:00', to: '09:00', zone: '' }, 'there is no time zone ""'],
  ])('refuses %j', (wrong, why) => {
    expect(OpeningHours.of([wrong as PolicyHours])).toBe(why)
  })

  it(`takes ${MAX_HOURS} times, and no more`, () => {
    expect(OpeningHours.of(Array(MAX_HOURS).fill(OFFICE))).toBeInstanceOf(OpeningHours)
    expect(OpeningHours.of(Array(MAX_HOURS + 1).fill(OFFICE))).toBe('at most 100 times')
  })

  it('knows further time zones when there are more than it keeps ready', () => {
    const spelled = (n: number): string =>
      [...'europe/berlin'].map((letter, at) => ((n >> at) & 1 ? letter.toUpperCase() : letter)).join('')
    const names = new Set(Array.from({ length: 4_096 }, (_, n) => spelled(n)))
    const many = [...names].slice(0, 1_001).map((zone) => hours({ from: '08:00', to: '09:00', zone }))
    const time = at('2026-01-05T07:30:00Z')
    expect(many.every((one) => one.isOpen(time) && !one.isOpen(time - 3_600_000))).toBe(true)
  })
})

describe('the module', () => {
  it('makes no format before one is wanted: the first of a process takes megabytes', async () => {
    const made = vi.spyOn(Intl, 'DateTimeFormat')
    vi.resetModules()
    await import('../../src/policy/opening-hours.js')
    expect(made).not.toHaveBeenCalled()
    made.mockRestore()
  })
})
