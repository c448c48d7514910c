import { describe, expect, it } from 'vitest'
import { CreditProbe } from '../../../src/mux/channel/credit-probe.js'
import { CREDIT_PROBE_MS, CREDIT_PROBE_TIMEOUT_MS } from '../../../src/protocol/limits.js'
import { ManualClock } from '../../support/manual-clock.js'

function setUp() {
  const clock = new ManualClock()
  const events: string[] = []
  const probe = new CreditProbe(clock, { ask: () => events.push('ask'), unanswered: () => events.push('unanswered') })
  return { clock, events, probe }
}

describe('CreditProbe', () => {
  it('asks after 30 s and gives up 30 s later', () => {
    const { clock, events, probe } = setUp()
    probe.blocked()
    clock.advance(CREDIT_PROBE_MS - 1)
    probe.blocked()
    expect(events).toEqual([])
    clock.advance(1)
    expect(events).toEqual(['ask'])
    probe.blocked()
    clock.advance(CREDIT_PROBE_TIMEOUT_MS - 1)
    expect(events).toEqual(['ask'])
    clock.advance(1)
    expect(events).toEqual(['ask', 'unanswered'])
  })

  it('is answered by any frame, and can be used again', () => {
    const { clock, events, probe } = setUp()
    for (let i = 0; i < 2; i += 1) {
      expect(probe.sawTraffic()).toBe(false)
      probe.blocked()
      clock.advance(CREDIT_PROBE_MS)
      expect(probe.sawTraffic()).toBe(true)
    }
    clock.advance(10 * CREDIT_PROBE_MS)
    expect([events, clock.pending]).toEqual([['ask', 'ask'], 0])
  })

  it('asks nothing after stop()', () => {
    const { clock, events, probe } = setUp()
    probe.blocked()
    probe.stop()
    clock.advance(10 * CREDIT_PROBE_MS)
    expect([events, clock.pending]).toEqual([[], 0])
  })

  it('answers one question, and the next one 15 s later at the earliest', () => {
    const { clock, probe } = setUp()
    expect([probe.questioned(), probe.questioned()]).toEqual([true, false])
    clock.advance(CREDIT_PROBE_MS / 2 - 1)
    expect(probe.questioned()).toBe(false)
    clock.advance(1)
    expect(probe.questioned()).toBe(true)
  })
})
