import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeUsage, encodeUsage } from '../../../src/relay/tokens/usage-record.js'
import { REMEMBERED_PERIODS, Usage } from '../../../src/relay/traffic/usage.js'
import { utcPeriods } from '../../../src/relay/traffic/utc-periods.js'

const DAY_MS = 86_400_000
const NOON = Date.UTC(2028, 1, 28, 12)

describe('utcPeriods', () => {
  it('names the day and the month of a moment, and when they end', () => {
    expect(utcPeriods(NOON)).toEqual({
      day: '2028-02-28',
      month: '2028-02',
      dayBegins: Date.UTC(2028, 1, 28),
      dayEnds: Date.UTC(2028, 1, 29),
      monthEnds: Date.UTC(2028, 2, 1),
    })
  })

  it('agrees with the calendar at any moment', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (time) => {
        const date = new Date(time)
        const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
        const text = date.toISOString()
        expect(utcPeriods(time)).toEqual({
          day: text.slice(0, 10),
          month: text.slice(0, 7),
          dayBegins: Date.UTC(year, month, day),
          dayEnds: Date.UTC(year, month, day + 1),
          monthEnds: Date.UTC(year, month + 1, 1),
        })
      }),
    )
  })

  it('has the first or last period for a moment that no calendar has', () => {
    expect([utcPeriods(-1).day, utcPeriods(1e15).day, utcPeriods(Number.POSITIVE_INFINITY).month]).toEqual([
      '1970-01-01',
      '9999-12-31',
      '9999-12',
    ])
  })
})

describe('Usage', () => {
  it('counts by day, by month and in all', () => {
    const usage = new Usage(NOON)
    usage.add('up', 10, NOON)
    usage.add('down', 5, NOON)
    usage.add('up', 1, NOON + DAY_MS)
    usage.add('up', 2, NOON + 2 * DAY_MS)
    const at = NOON + 2 * DAY_MS
    expect([usage.of('day', at), usage.of('month', at), usage.of('total', at)]).toEqual([
      { up: 2, down: 0 },
      { up: 2, down: 0 },
      { up: 13, down: 5 },
    ])
    expect(usage.of('month', NOON)).toEqual({ up: 11, down: 5 })
  })

  it('finds what was used in a day that the calendar is set back to', () => {
    const usage = new Usage(NOON)
    usage.add('up', 10, NOON)
    usage.add('up', 20, NOON + 365 * DAY_MS)
    expect(usage.of('day', NOON)).toEqual({ up: 10, down: 0 })
    expect(usage.of('day', NOON + 365 * DAY_MS)).toEqual({ up: 20, down: 0 })
  })

  it('begins no period because somebody looks', () => {
    const usage = new Usage(NOON)
    usage.add('up', 1, NOON)
    for (let day = 1; day < 100; day += 1) usage.of('day', NOON + day * DAY_MS)
    expect(Object.keys(usage.record.days)).toEqual(['2028-02-28'])
  })

  it('counts a day before all that it remembers with the first of them', () => {
    const usage = new Usage(NOON)
    for (let day = 1; day <= REMEMBERED_PERIODS; day += 1) usage.add('up', day, NOON + day * DAY_MS)
    usage.add('up', 100, NOON)
    expect([usage.of('day', NOON).up, usage.of('day', NOON + DAY_MS).up]).toEqual([101, 101])
  })

  it('begins anew when it is reset', () => {
    const usage = new Usage(NOON)
    usage.add('up', 10, NOON)
    usage.reset(NOON + 1)
    expect([usage.since, usage.of('total', NOON), usage.of('day', NOON)]).toEqual([
      NOON + 1,
      { up: 0, down: 0 },
      { up: 0, down: 0 },
    ])
  })

  it('is the same after it was stored', () => {
    const usage = new Usage(NOON)
    for (let day = 0; day < 10; day += 1) usage.add(day % 2 === 0 ? 'up' : 'down', day, NOON + 9 * day * DAY_MS)
    const again = new Usage(NOON + 1, decodeUsage(encodeUsage(usage.record)))
    expect(again.record).toEqual(usage.record)
    expect(Object.keys(usage.record.days)).toHaveLength(REMEMBERED_PERIODS)
  })

  it.each([
    ['nothing', null],
    ['a field more', { since: 1, total: [0, 0], days: {}, months: {}, more: 1 }],
    ['a count below 0', { since: 1, total: [-1, 0], days: {}, months: {} }],
    ['a count that is no integer', { since: 1, total: [0.5, 0], days: {}, months: {} }],
    ['a name that is no day', { since: 1, total: [0, 0], days: { today: [0, 0] }, months: {} }],
    ['a day for a month', { since: 1, total: [0, 0], days: {}, months: { '2030-01-01': [0, 0] } }],
    ['one number for two', { since: 1, total: [0], days: {}, months: {} }],
    ['a list of days', { since: 1, total: [0, 0], days: [], months: {} }],
  ])('does not read a record with %s', (_, record) => {
    expect(() => decodeUsage(new TextEncoder().encode(JSON.stringify(record)))).toThrow(/not what a token used/)
  })
})
