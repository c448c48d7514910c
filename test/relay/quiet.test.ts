import { describe, expect, it } from 'vitest'
import { QUIET_LIMIT_MS, quiet } from '../../src/relay/quiet.js'
import { ManualClock } from '../support/manual-clock.js'

function waiting(isQuiet: () => boolean, limitMs = 60_000) {
  const clock = new ManualClock()
  const waited = { over: false }
  void quiet(isQuiet, limitMs, clock).then(() => {
    waited.over = true
  })
  return { clock, waited }
}

describe('quiet', () => {
  it('waits for nothing where it is quiet already', async () => {
    const { clock, waited } = waiting(() => true)
    await clock.advanceAsync(0)
    expect([waited.over, clock.pending]).toEqual([true, 0])
  })

  it('settles soon after it has become quiet', async () => {
    let isQuiet = false
    const { clock, waited } = waiting(() => isQuiet)
    await clock.advanceAsync(500)
    expect(waited.over).toBe(false)
    isQuiet = true
    await clock.advanceAsync(10)
    expect([waited.over, clock.pending]).toEqual([true, 0])
  })

  it.each([
    ['a second', 60_000, QUIET_LIMIT_MS],
    ['the limit of the drain', 15, 15],
  ])('waits no longer than %s', async (_, limitMs, ends) => {
    const { clock, waited } = waiting(() => false, limitMs)
    await clock.advanceAsync(ends - 1)
    expect(waited.over).toBe(false)
    await clock.advanceAsync(1)
    expect([waited.over, clock.pending]).toEqual([true, 0])
  })
})
