import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { watchEventLoop } from '../../../src/node/system/event-loop-delay.js'

describe('watchEventLoop', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  it('tells how late each timer comes, until it is ended', () => {
    const delays: number[] = []
    const end = watchEventLoop((delayMs) => delays.push(delayMs))
    vi.advanceTimersByTime(200)
    expect(delays).toEqual([0, 0])
    vi.spyOn(performance, 'now').mockReturnValueOnce(performance.now() + 350)
    vi.advanceTimersByTime(100)
    expect(delays).toEqual([0, 0, 250])
    end()
    end()
    vi.advanceTimersByTime(1_000)
    expect(delays).toHaveLength(3)
  })
})
