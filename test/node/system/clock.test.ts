import { afterEach, describe, expect, it, vi } from 'vitest'
import { nodeClock } from '../../../src/node/system/clock.js'
import { clockContract } from '../../contract/clock.js'
import { atEnd } from '../../support/at-end.js'
import { ManualClock } from '../../support/manual-clock.js'

clockContract('nodeClock', () => {
  vi.useFakeTimers()
  atEnd(() => vi.useRealTimers())
  return { clock: nodeClock, pass: async (ms) => void (await vi.advanceTimersByTimeAsync(ms)) }
})

clockContract('ManualClock', () => {
  const clock = new ManualClock()
  return { clock, pass: (ms) => clock.advanceAsync(ms) }
})

describe('nodeClock', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('waits for the whole of a delay longer than one setTimeout', () => {
    vi.useFakeTimers()
    let fired = 0
    nodeClock.after(2 ** 32, () => fired++)
    vi.advanceTimersByTime(2 ** 32 - 1)
    expect(fired).toBe(0)
    vi.advanceTimersByTime(1)
    expect(fired).toBe(1)
  })

  it('cancels a long delay in its later part', () => {
    vi.useFakeTimers()
    let fired = 0
    const timer = nodeClock.after(2 ** 32, () => fired++)
    vi.advanceTimersByTime(2 ** 31 + 100)
    timer.cancel()
    vi.advanceTimersByTime(2 ** 32)
    expect([fired, vi.getTimerCount()]).toEqual([0, 0])
  })

  it('fires by the timers of Node, at most a millisecond early', async () => {
    const began = nodeClock.now()
    await new Promise<void>((resolve) => void nodeClock.after(20, resolve))
    expect(nodeClock.now() - began).toBeGreaterThanOrEqual(19)
  })

  it('does not keep the process alive', () => {
    expect(timerHasRef(() => nodeClock.after(60_000, () => {}))).toBe(false)
  })
})

/** Whether the one timer that `arm` sets would keep the process alive. */
function timerHasRef(arm: () => { cancel(): void }): boolean {
  const spy = vi.spyOn(globalThis, 'setTimeout')
  const timer = arm()
  const handle = spy.mock.results[0]?.value as NodeJS.Timeout
  const hasRef = handle.hasRef()
  timer.cancel()
  spy.mockRestore()
  return hasRef
}
