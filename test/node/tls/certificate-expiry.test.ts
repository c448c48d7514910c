import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/log.js'
import { CertificateExpiry, EXPIRY_LOOK_MS, expiryLevel } from '../../../src/node/tls/certificate-expiry.js'
import type { CertificatePair } from '../../../src/node/tls/certificate-pair.js'
import { ManualClock } from '../../support/manual-clock.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const END = Date.parse('2026-06-01T00:00:00Z')

const pair = (lifeMs: number, notAfter = END): CertificatePair =>
  ({ notBefore: notAfter - lifeMs, notAfter }) as CertificatePair

const LIVES: readonly (readonly [string, life: number, first: number, second: number])[] = [
  ['a year', 365 * DAY, 14 * DAY, 3 * DAY],
  ['90 days', 90 * DAY, 14 * DAY, 3 * DAY],
  ['56 days', 56 * DAY, 14 * DAY, 3 * DAY],
  ['36 days', 36 * DAY, 9 * DAY, 3 * DAY],
  ['6 days', 6 * DAY, 1.5 * DAY, 12 * HOUR],
  ['an hour', HOUR, HOUR / 4, HOUR / 12],
]

describe('expiryLevel', () => {
  it.each(LIVES)('of a certificate for %s', (_name, life, first, second) => {
    const level = (leftMs: number): number => expiryLevel(pair(life), END - leftMs)
    expect([level(life), level(first + 1), level(first), level(second + 1), level(second), level(1)]).toEqual([
      ...[0, 0, 1, 1, 2, 2],
    ])
    expect([level(0), level(-1), level(-1_000 * DAY)]).toEqual([3, 3, 3])
  })
})

function setUp(now: number) {
  const clock = new ManualClock()
  clock.epoch = now
  const pairs = new Map<string, CertificatePair>()
  const said: string[] = []
  const expiry = new CertificateExpiry({
    pairs: () => pairs,
    clock,
    log: silentLogger,
    alarms: {
      raise: (code, subject, message) => said.push(`${code} ${subject}: ${message}`),
      clear: (code, subject) => said.push(`${code} ${subject} cleared`),
    },
  })
  const heard = (): readonly string[] => said.splice(0)
  return { clock, pairs, expiry, heard }
}

const RAISED = 'certificate-expiring a: the certificate ends 2026-06-01T00:00:00.000Z: replace it'
const EXPIRED = 'certificate-expiring a: the certificate has expired (2026-06-01T00:00:00.000Z): replace it'
const CLEARED = 'certificate-expiring a cleared'

describe('CertificateExpiry', () => {
  it('warns at each limit, once, and when it is over', () => {
    const { clock, pairs, expiry, heard } = setUp(END - 14 * DAY - EXPIRY_LOOK_MS)
    pairs.set('a', pair(90 * DAY))
    expiry.look()
    heard()
    clock.advance(EXPIRY_LOOK_MS - 1)
    expect(heard()).toEqual([])
    clock.advance(1)
    expect(heard()).toEqual([CLEARED, RAISED])
    clock.advance(11 * DAY - 1)
    expect(heard()).toEqual([])
    clock.advance(1)
    expect(heard()).toEqual([CLEARED, RAISED])
    clock.advance(3 * DAY - 1)
    expect(heard()).toEqual([])
    clock.advance(1)
    expect(heard()).toEqual([CLEARED, EXPIRED])
    clock.advance(10 * DAY)
    expect(heard()).toEqual([])
    expect(clock.pending).toBe(1)
  })

  it('says nothing of one that is good for long', () => {
    const { pairs, expiry, heard, clock } = setUp(END - 80 * DAY)
    pairs.set('a', pair(90 * DAY))
    expiry.look()
    clock.advance(DAY)
    expect(heard().filter((line) => line !== CLEARED)).toEqual([])
  })

  it('ends the alarm when the certificate is replaced', () => {
    const { pairs, expiry, heard } = setUp(END - DAY)
    pairs.set('a', pair(90 * DAY)).set('b', pair(90 * DAY, END + 90 * DAY))
    expiry.look()
    expect(heard().filter((line) => line.includes(' a'))).toEqual([CLEARED, RAISED])
    pairs.set('a', pair(90 * DAY, END + 80 * DAY))
    expiry.look()
    expect(heard()).toEqual([CLEARED])
    expiry.look()
    expect(heard()).toEqual([])
  })

  it('names the end of the new certificate where that one is near as well', () => {
    const { pairs, expiry, heard } = setUp(END - 2 * DAY)
    pairs.set('a', pair(90 * DAY))
    expiry.look()
    heard()
    pairs.set('a', pair(90 * DAY, END + DAY / 2))
    expiry.look()
    expect(heard()).toEqual([CLEARED, RAISED.replace('01T00', '01T12')])
  })

  it('follows a clock that is set back', () => {
    const { clock, pairs, expiry, heard } = setUp(END)
    pairs.set('a', pair(90 * DAY))
    expiry.look()
    expect(heard()).toEqual([CLEARED, EXPIRED])
    clock.epoch -= 60 * DAY
    clock.advance(EXPIRY_LOOK_MS)
    expect(heard()).toEqual([CLEARED])
  })

  it('looks on with one timer however often it is asked, and no more after close()', () => {
    const { clock, pairs, expiry, heard } = setUp(END - 15 * DAY)
    pairs.set('a', pair(90 * DAY))
    for (let i = 0; i < 3; i += 1) expiry.look()
    expect(clock.pending).toBe(1)
    heard()
    expiry.close()
    expiry.close()
    expiry.look()
    expect(clock.pending).toBe(0)
    clock.advance(20 * DAY)
    expect(heard()).toEqual([])
  })
})
