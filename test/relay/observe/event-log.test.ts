import { describe, expect, it } from 'vitest'
import { EventLog, type LoggedEvent, MAX_EVENTS } from '../../../src/relay/observe/event-log.js'
import { ManualClock } from '../../support/manual-clock.js'

const added = (tokenId: string) => ({ type: 'token.added', tokenId, tokenType: 'forward', label: undefined }) as const

function logOf(events: number): EventLog {
  const log = new EventLog(new ManualClock())
  for (let i = 1; i <= events; i += 1) log.emit(added(`${i}`))
  return log
}

const sequences = (events: readonly LoggedEvent[] | undefined) => events?.map(({ sequence }) => sequence)

describe('EventLog', () => {
  it('numbers events from 1 and tells when they happened', () => {
    const clock = new ManualClock()
    const log = new EventLog(clock)
    expect(log.last).toBe(0)
    clock.advance(5)
    log.emit(added('a'))
    expect(log.last).toBe(1)
    expect(log.after(0)).toEqual([{ sequence: 1, time: clock.epoch + 5, event: added('a') }])
  })

  it('gives what came after a known event, and nothing after the last', () => {
    const log = logOf(3)
    expect(sequences(log.after(1))).toEqual([2, 3])
    expect(log.after(3)).toEqual([])
  })

  it('keeps as many as it may, and says when one is gone', () => {
    const log = logOf(MAX_EVENTS)
    expect(log.after(0)).toHaveLength(MAX_EVENTS)
    log.emit(added('one more'))
    expect(log.after(0)).toBeUndefined()
    expect(sequences(log.after(1))?.[0]).toBe(2)
    expect(log.after(1)).toHaveLength(MAX_EVENTS)
  })

  it('knows nothing of events that never were', () => {
    expect(logOf(2).after(3)).toBeUndefined()
  })

  it('tells listeners until they leave, also from within', () => {
    const log = logOf(0)
    const heard: number[] = []
    const leave = log.subscribe(({ sequence }) => {
      heard.push(sequence)
      if (sequence === 2) leave()
    })
    for (const id of ['a', 'b', 'c']) log.emit(added(id))
    leave()
    expect(heard).toEqual([1, 2])
  })
})
