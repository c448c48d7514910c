import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../src/relay/observe/event-log.js'
import { MAX_TOLD, PolicyRefusals, TELL_MS } from '../../../src/relay/observe/policy-refusals.js'
import { Statistics } from '../../../src/relay/observe/statistics.js'
import type { PolicyRefusal } from '../../../src/relay/policies/policed-token.js'
import { RecordingLog } from '../../exit/fakes.js'
import { ManualClock } from '../../support/manual-clock.js'

function setUp() {
  const clock = new ManualClock()
  const log = new RecordingLog()
  const events = new EventLog(clock)
  const statistics = new Statistics()
  const refusals = new PolicyRefusals({ clock, log, events, statistics })
  const refuse = (tokenId: string, more: Partial<PolicyRefusal> = {}): void =>
    refusals.refused({ tokenId, reason: 'egress', ...more })
  const told = () => log.named('policy.refused').map(({ token, count }) => `${token} ${count}`)
  return { clock, log, events, statistics, refusals, refuse, told }
}

describe('PolicyRefusals', () => {
  it('tell of the first at once, and of those that follow after a second, with their number and the last of them', () => {
    const { clock, log, refuse } = setUp()
    refuse('a', { rule: 1, subject: 'one.example:1' })
    refuse('a', { rule: 2, subject: 'two.example:2' })
    refuse('a', { rule: 3, subject: 'three.example:3' })
    clock.advance(TELL_MS - 1)
    expect(log.lines).toHaveLength(1)
    clock.advance(1)
    expect(log.named('policy.refused')).toEqual([
      { token: 'a', reason: 'egress', rule: 1, subject: 'one.example:1', count: 1 },
      { token: 'a', reason: 'egress', rule: 3, subject: 'three.example:3', count: 2 },
    ])
  })

  it('tell the same in the events', () => {
    const { events, refuse } = setUp()
    refuse('a', { reason: 'hours' })
    const told = {
      type: 'policy.refused',
      tokenId: 'a',
      reason: 'hours',
      rule: undefined,
      subject: undefined,
      count: 1,
    }
    expect(events.after(0)?.map(({ event }) => event)).toEqual([told])
  })

  it('keep nothing of a token and reason after a second without any', () => {
    const { clock, refuse, told } = setUp()
    refuse('a')
    clock.advance(TELL_MS)
    expect(clock.pending).toBe(0)
    refuse('a')
    expect(told()).toEqual(['a 1', 'a 1'])
  })

  it('go on by the second for as long as there are some', () => {
    const { clock, refuse, told } = setUp()
    for (let second = 0; second < 3; second += 1) {
      refuse('a')
      refuse('a')
      clock.advance(TELL_MS)
    }
    expect(told()).toEqual(['a 1', 'a 1', 'a 2', 'a 2'])
  })

  it('hold tokens and reasons apart', () => {
    const { log, statistics, refuse } = setUp()
    refuse('a')
    refuse('a', { reason: 'streams' })
    refuse('b')
    expect(log.lines).toHaveLength(3)
    expect(statistics.policyRefusals).toMatchObject({ egress: 2, streams: 1 })
  })

  it('count what comes above their limit, and tell nothing of it until there is room', () => {
    const { clock, statistics, refuse, told } = setUp()
    for (let token = 0; token < MAX_TOLD; token += 1) refuse(`${token}`)
    refuse('more')
    refuse('more')
    refuse('0')
    expect([told().length, clock.pending, statistics.policyRefusals.egress]).toEqual([MAX_TOLD, MAX_TOLD, MAX_TOLD + 3])
    clock.advance(TELL_MS)
    refuse('more')
    expect(told().slice(MAX_TOLD)).toEqual(['0 1', 'more 1'])
  })

  it('tell no more when they are closed, and leave no timer', () => {
    const { clock, statistics, refusals, refuse, told } = setUp()
    refuse('a')
    refuse('a')
    refusals.close()
    refusals.close()
    refuse('a')
    refuse('b')
    expect(clock.pending).toBe(0)
    clock.advance(10 * TELL_MS)
    expect([told(), statistics.policyRefusals.egress]).toEqual([['a 1'], 4])
  })

  it('show what a peer chose in safe letters', () => {
    const { log, refuse } = setUp()
    refuse('a', { subject: 'a\u001b[2Jb:1' })
    expect(log.named('policy.refused')[0]?.subject).not.toContain('\u001b')
  })
})
