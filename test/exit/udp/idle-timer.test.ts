import { describe, expect, it } from 'vitest'
import { IdleTimer } from '../../../src/exit/udp/idle-timer.js'
import { ManualClock } from '../../support/manual-clock.js'

describe('IdleTimer', () => {
  it('fires once, the timeout after the last touch', () => {
    const clock = new ManualClock()
    let fired = 0
    const timer = new IdleTimer(clock, 100, () => {
      fired += 1
    })
    clock.advance(60)
    timer.touch()
    clock.advance(99)
    expect(fired).toBe(0)
    clock.advance(1)
    expect(fired).toBe(1)
    clock.advance(1_000)
    expect(fired).toBe(1)
    expect(clock.pending).toBe(0)
  })

  it('never fires once cancelled, also after it was armed again', () => {
    const clock = new ManualClock()
    const timer = new IdleTimer(clock, 100, () => expect.unreachable())
    clock.advance(60)
    timer.touch()
    clock.advance(60)
    timer.cancel()
    clock.advance(1_000)
    expect(clock.pending).toBe(0)
  })
})
