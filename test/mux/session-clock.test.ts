import { describe, expect, it } from 'vitest'
import { SessionClock } from '../../src/mux/session-clock.js'
import { ManualClock } from '../support/manual-clock.js'

function clocks() {
  const below = new ManualClock(1_000)
  const clock = new SessionClock(below)
  const fired: string[] = []
  const timer = (delayMs: number, name: string) => clock.after(delayMs, () => fired.push(name))
  return { below, clock, fired, timer }
}

describe('SessionClock', () => {
  it('runs with the clock below', () => {
    const { below, clock, fired, timer } = clocks()
    timer(100, 'a')
    below.advance(99)
    expect([clock.now(), clock.stopped, fired]).toEqual([1_099, false, []])
    below.advance(1)
    expect([clock.now(), fired]).toEqual([1_100, ['a']])
  })

  it('stands still between stop() and resume(), time after time', () => {
    const { below, clock } = clocks()
    for (const turn of [1, 2, 3]) {
      below.advance(10)
      clock.stop()
      below.advance(1_000)
      expect([clock.now(), clock.stopped]).toEqual([1_000 + 10 * turn, true])
      clock.resume()
      expect([clock.now(), clock.stopped]).toEqual([1_000 + 10 * turn, false])
    }
  })

  it('tells for how long it has been running, and nothing while it stands still', () => {
    const { below, clock } = clocks()
    expect(clock.runningMs).toBe(Number.POSITIVE_INFINITY)
    for (const ran of [30, 40]) {
      clock.stop()
      below.advance(10)
      expect(clock.runningMs).toBe(0)
      clock.resume()
      below.advance(ran)
      expect(clock.runningMs).toBe(ran)
    }
  })

  it('takes a second stop() or resume() for none', () => {
    const { below, clock, fired, timer } = clocks()
    timer(50, 'a')
    clock.resume()
    clock.stop()
    below.advance(20)
    clock.stop()
    below.advance(20)
    clock.resume()
    clock.resume()
    below.advance(49)
    expect([clock.now(), fired]).toEqual([1_049, []])
    below.advance(1)
    expect(fired).toEqual(['a'])
  })

  it('fires a timer that ran out meanwhile after the time that was left of it', () => {
    const { below, clock, fired, timer } = clocks()
    timer(100, 'a')
    below.advance(70)
    clock.stop()
    below.advance(5_000)
    clock.resume()
    below.advance(29)
    expect(fired).toEqual([])
    below.advance(1)
    below.advance(10_000)
    expect([fired, below.pending]).toEqual([['a'], 0])
  })

  it('lets a timer stand still with it that runs out only later', () => {
    const { below, clock, fired, timer } = clocks()
    timer(100, 'a')
    clock.stop()
    below.advance(60)
    clock.resume()
    below.advance(99)
    expect(fired).toEqual([])
    below.advance(1)
    expect(fired).toEqual(['a'])
  })

  it('counts every stop that a timer lived through', () => {
    const { below, clock, fired, timer } = clocks()
    timer(30, 'a')
    for (let turn = 0; turn < 3; turn += 1) {
      below.advance(9)
      clock.stop()
      below.advance(500)
      clock.resume()
    }
    below.advance(2)
    expect(fired).toEqual([])
    below.advance(1)
    expect(fired).toEqual(['a'])
  })

  it('gives a timer that begins while it stands still its whole time from resume() on', () => {
    const { below, clock, fired, timer } = clocks()
    clock.stop()
    below.advance(10)
    timer(100, 'a')
    below.advance(1_000)
    clock.resume()
    below.advance(99)
    expect(fired).toEqual([])
    below.advance(1)
    expect(fired).toEqual(['a'])
  })

  it('fires what was due at the stop as soon as it goes on', () => {
    const { below, clock, fired, timer } = clocks()
    clock.stop()
    timer(0, 'a')
    below.advance(10)
    expect(fired).toEqual([])
    clock.resume()
    expect(fired).toEqual(['a'])
  })

  it('keeps the order of its timers', () => {
    const { below, clock, fired, timer } = clocks()
    timer(50, 'second')
    timer(40, 'first')
    clock.stop()
    below.advance(1_000)
    clock.resume()
    below.advance(1_000)
    expect(fired).toEqual(['first', 'second'])
  })

  it('never fires a timer that was cancelled, running, parked or going on', () => {
    const { below, clock, fired, timer } = clocks()
    timer(10, 'running').cancel()
    const parked = timer(10, 'parked')
    const goingOn = timer(10, 'going on')
    clock.stop()
    below.advance(20)
    parked.cancel()
    parked.cancel()
    clock.resume()
    below.advance(5)
    goingOn.cancel()
    below.advance(1_000)
    expect([fired, below.pending]).toEqual([[], 0])
  })

  it('lets one timer cancel another that goes on with it', () => {
    const { below, clock, fired } = clocks()
    clock.stop()
    clock.after(0, () => other.cancel())
    const other = clock.after(0, () => fired.push('cancelled'))
    below.advance(1)
    clock.resume()
    below.advance(1_000)
    expect([fired, below.pending]).toEqual([[], 0])
  })

  it('parks what is left when a timer stops it again', () => {
    const { below, clock, fired, timer } = clocks()
    clock.stop()
    clock.after(0, () => clock.stop())
    timer(0, 'a')
    below.advance(1)
    clock.resume()
    expect([fired, clock.stopped]).toEqual([[], true])
    clock.resume()
    expect(fired).toEqual(['a'])
  })
})
