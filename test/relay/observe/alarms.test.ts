import { describe, expect, it } from 'vitest'
import { Alarms, MAX_ALARMS_OF_A_CODE } from '../../../src/relay/observe/alarms.js'
import { EventLog } from '../../../src/relay/observe/event-log.js'
import { ManualClock } from '../../support/manual-clock.js'

function setUp() {
  const clock = new ManualClock()
  const events = new EventLog(clock)
  const alarms = new Alarms(clock, events)
  const told = () =>
    events.after(0)?.map(({ event }) => ('alarm' in event ? `${event.type} ${event.alarm.subject}` : event.type))
  return { clock, events, alarms, told }
}

describe('Alarms', () => {
  it('raises one for each code and subject, once', () => {
    const { alarms, told, clock } = setUp()
    alarms.raise('port-unavailable', 'a', 'first')
    clock.advance(10)
    alarms.raise('port-unavailable', 'a', 'again')
    alarms.raise('port-unavailable', 'b', 'other')
    expect(alarms.active).toEqual([
      { code: 'port-unavailable', subject: 'a', message: 'first', since: clock.epoch },
      { code: 'port-unavailable', subject: 'b', message: 'other', since: clock.epoch + 10 },
    ])
    expect(told()).toEqual(['alarm.raised a', 'alarm.raised b'])
  })

  it('clears what is on, in silence what is not, and raises it anew', () => {
    const { alarms, told } = setUp()
    alarms.clear('not-stored')
    alarms.raise('not-stored', undefined, 'full')
    alarms.clear('not-stored')
    alarms.clear('not-stored')
    alarms.raise('not-stored', undefined, 'full')
    expect(told()).toEqual(['alarm.raised undefined', 'alarm.cleared undefined', 'alarm.raised undefined'])
  })

  it('clears one without an end of its own when it has not been raised for its time', () => {
    const { alarms, clock } = setUp()
    const raise = (): void => alarms.raiseFor('authentication-failures', '192.0.2.1', 'many', 1_000)
    raise()
    clock.advance(999)
    raise()
    clock.advance(999)
    expect(alarms.active).toHaveLength(1)
    clock.advance(1)
    expect(alarms.active).toEqual([])
    expect(clock.pending).toBe(0)
  })

  it('leaves no timer behind for one that was cleared before its time', () => {
    const { alarms, clock } = setUp()
    alarms.raiseFor('authentication-failures', 'x', 'many', 1_000)
    alarms.clear('authentication-failures', 'x')
    expect(clock.pending).toBe(0)
  })

  it('keeps a bounded number of each code, and hides none of another one behind them', () => {
    const { alarms, clock } = setUp()
    for (let i = 0; i <= MAX_ALARMS_OF_A_CODE; i += 1) alarms.raiseFor('authentication-failures', `${i}`, 'many', 1_000)
    expect(alarms.active).toHaveLength(MAX_ALARMS_OF_A_CODE)
    expect(clock.pending).toBe(MAX_ALARMS_OF_A_CODE)
    alarms.raise('not-stored', undefined, 'full')
    expect(alarms.active.at(-1)).toMatchObject({ code: 'not-stored' })
    alarms.clear('authentication-failures', '0')
    alarms.raise('authentication-failures', 'one more', 'many')
    expect(alarms.active.at(-1)).toMatchObject({ subject: 'one more' })
  })
})
