import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatTime, parseTime } from '../../src/api/timestamp.js'
import { ApiContract } from '../support/api-contract.js'

const LAST = 253_402_300_799_999

describe('parseTime()', () => {
  it.each([
    ['1970-01-01T00:00:00Z', 0],
    ['1970-01-01T00:00:00.000Z', 0],
    ['1970-01-01T00:00:00.1Z', 100],
    ['1970-01-01T00:00:00.001999999Z', 1],
    ['2024-02-29T23:59:59Z', Date.UTC(2024, 1, 29, 23, 59, 59)],
    ['2000-02-29T00:00:00Z', Date.UTC(2000, 1, 29)],
    ['9999-12-31T23:59:59.999999999Z', LAST],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000],
  ])('reads %s', (text, time) => {
    expect(parseTime(text)).toBe(time)
  })

  it.each([
    ...['', 'Z', 'now', '2030', '2030-01', '2030-01-01', '2030-01-01T00:00Z', '2030-01-01T00:00:00'],
    ...['2030-01-01t00:00:00Z', '2030-01-01T00:00:00z', '2030-01-01 00:00:00Z', '20300101T000000Z'],
    ...['2030-01-01T00:00:00+00:00', '2030-01-01T00:00:00-00:00', '2030-01-01T00:00:00+01:00'],
    ...['2030-02-29T00:00:00Z', '1900-02-29T00:00:00Z', '2030-02-30T00:00:00Z', '2030-04-31T00:00:00Z'],
    ...['2030-00-01T00:00:00Z', '2030-13-01T00:00:00Z', '2030-01-00T00:00:00Z', '2030-01-32T00:00:00Z'],
    ...['2030-01-01T24:00:00Z', '2030-01-01T25:00:00Z', '2030-01-01T00:60:00Z', '2030-12-31T23:59:60Z'],
    ...['2030-01-01T00:00:00.Z', '2030-01-01T00:00:00.1234567890Z', '2030-01-01T00:00:00,5Z'],
    ...['+012030-01-01T00:00:00Z', '-000001-01-01T00:00:00Z', '12030-01-01T00:00:00Z', '２０３０-01-01T00:00:00Z'],
    ...[' 2030-01-01T00:00:00Z', '2030-01-01T00:00:00Z\n', '2030-01-01T00:00:00ZZ', '2030-1-1T0:0:0Z'],
  ])('refuses %j', (text) => {
    expect(parseTime(text)).toBeUndefined()
  })

  it('reads what formatTime() writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: LAST }), (time) => {
        expect(formatTime(time)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
        expect(parseTime(formatTime(time))).toBe(time)
      }),
    )
  })

  it('agrees with the document on what is a time', () => {
    const contract = new ApiContract()
    const part = (most: number, digits = 2) =>
      fc.integer({ min: 0, max: most }).map((value) => String(value).padStart(digits, '0'))
    const fraction = fc.constantFrom('', '.', '.5', '.123456789', '.1234567890')
    const zone = fc.constantFrom('Z', 'z', '', '+00:00')
    const parts = fc.tuple(part(9_999, 4), part(13), part(32), part(25), part(61), part(61), fraction, zone)
    fc.assert(
      fc.property(parts, ([year, month, day, hour, minute, second, rest, utc]) => {
        const text = `${year}-${month}-${day}T${hour}:${minute}:${second}${rest}${utc}`
        const problem = contract.bodyProblem('PATCH', '/api/tokens/x', JSON.stringify({ expires_at: text }))
        expect([text, problem === undefined]).toEqual([text, parseTime(text) !== undefined])
      }),
      { numRuns: 2_000 },
    )
  })
})
