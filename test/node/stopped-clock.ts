import { vi } from 'vitest'
import { nodeClock } from '../../src/node/system/clock.js'
import { atEnd } from '../support/at-end.js'
import { ManualClock } from '../support/manual-clock.js'

/** Puts a clock that only the test moves in the place of Node's, for all that is opened from here on; until the test ends. */
export function stoppedClock(): ManualClock {
  const clock = new ManualClock()
  const spies = [
    vi.spyOn(nodeClock, 'now').mockImplementation(() => clock.now()),
    vi.spyOn(nodeClock, 'wallTime').mockImplementation(() => clock.wallTime()),
    vi.spyOn(nodeClock, 'after').mockImplementation((delayMs, callback) => clock.after(delayMs, callback)),
  ]
  atEnd(() => {
    for (const spy of spies) spy.mockRestore()
  })
  return clock
}
