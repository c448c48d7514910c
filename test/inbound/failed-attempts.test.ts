import { describe, expect, it } from 'vitest'
import { FailedAttempts, MAX_ADDRESSES, MAX_FAILURES, type Verdict } from '../../src/inbound/failed-attempts.js'
import { ManualClock } from '../support/manual-clock.js'

function setUp() {
  const clock = new ManualClock()
  const attempts = new FailedAttempts(clock)
  const fail = (times: number, address = '192.0.2.1'): Verdict => {
    let verdict = attempts.note(address, 'token')
    for (let i = 1; i < times; i += 1) verdict = attempts.note(address, 'token')
    return verdict
  }
  return { clock, attempts, fail }
}

describe('FailedAttempts', () => {
  it('answers the first ten at once, and each further one later', () => {
    const { fail } = setUp()
    expect(fail(10)).toEqual({ delayMs: 0, refused: false })
    expect(fail(1)).toEqual({ delayMs: 250, refused: false })
    expect(fail(1)).toEqual({ delayMs: 500, refused: false })
    expect(fail(20)).toEqual({ delayMs: 3_000, refused: false })
  })

  it('gives no reason beyond the limit', () => {
    const { fail } = setUp()
    expect(fail(MAX_FAILURES).refused).toBe(false)
    expect(fail(1).refused).toBe(true)
  })

  it('forgives one every six seconds', () => {
    const { clock, fail } = setUp()
    fail(11)
    clock.advance(6_000)
    expect(fail(1).delayMs).toBe(250)
    clock.advance(60_000 * 10)
    expect(fail(1).delayMs).toBe(0)
  })

  it('does not hold a flood against its address for ever', () => {
    const { clock, fail } = setUp()
    fail(10_000)
    clock.advance(6_000 * (MAX_FAILURES + 1))
    expect(fail(1)).toEqual({ delayMs: 0, refused: false })
  })

  it('keeps addresses apart, but not those of one /64', () => {
    const { fail } = setUp()
    fail(30, '2001:db8::1')
    expect(fail(1, '2001:db8::2').delayMs).toBe(3_000)
    expect(fail(1, '2001:db8:0:0:1:2:3:4').delayMs).toBe(3_000)
    expect(fail(1, '2001:db8:0:1::1').delayMs).toBe(0)
    expect(fail(1, '192.0.2.2').delayMs).toBe(0)
  })

  it('remembers a bounded number of addresses, and forgets the one that failed longest ago', () => {
    const { attempts, fail } = setUp()
    fail(30, 'first')
    fail(30, 'second')
    for (let i = 0; i < MAX_ADDRESSES - 2; i += 1) attempts.note(`10.0.${i >> 8}.${i & 255}`, 'token')
    attempts.note('first', 'token')
    attempts.note('one more', 'token')
    expect(attempts.addresses).toBe(MAX_ADDRESSES)
    expect(attempts.note('first', 'token').delayMs).toBe(3_000)
    expect(attempts.note('second', 'token').delayMs).toBe(0)
  })

  it('names the network of who failed too often, once for each failure from then on', () => {
    const named: string[] = []
    const attempts = new FailedAttempts(new ManualClock(), (address) => named.push(address))
    for (let i = 0; i <= MAX_FAILURES + 1; i += 1) attempts.note(`2001:db8:1:2::${i}`, 'api_key')
    expect(named).toEqual(['2001:db8:1:2', '2001:db8:1:2'])
    attempts.count('disabled_token')
    expect(attempts.counts).toEqual({ token: 0, disabled_token: 1, api_key: MAX_FAILURES + 2, socks: 0 })
  })
})
