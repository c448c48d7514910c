import { describe, expect, it } from 'vitest'
import { LOOK_MS, wakeWatcher, watchWake } from '../../../src/node/system/wake.js'
import { ManualClock } from '../../support/manual-clock.js'

function setUp() {
  const clock = new ManualClock()
  const world = { addresses: ['wlan0 192.0.2.7'], wallTime: 1_000_000 }
  const watch = wakeWatcher({ clock, wallTime: () => world.wallTime, addresses: () => world.addresses })
  let wakes = 0
  const unwatch = watch(() => {
    wakes += 1
  })
  /** A second passes, and so much more by the clock on the wall. */
  const pass = (sleptMs = 0): number => {
    world.wallTime += LOOK_MS + sleptMs
    clock.advance(LOOK_MS)
    return wakes
  }
  return { clock, world, unwatch, pass }
}

describe('watching for a network or a waking machine', () => {
  it('says nothing while nothing changes, nor when the clock is a little late', () => {
    const { pass } = setUp()
    expect([pass(), pass(4_999), pass()]).toEqual([0, 0, 0])
  })

  it('tells of an address that comes up, not of one that goes', () => {
    const { world, pass } = setUp()
    world.addresses = []
    expect(pass()).toBe(0)
    world.addresses = ['wlan0 192.0.2.7']
    expect([pass(), pass()]).toEqual([1, 1])
    world.addresses = ['wlan0 192.0.2.7', 'eth0 2001:db8::7']
    expect([pass(), pass()]).toEqual([2, 2])
  })

  it('tells that the machine slept, once', () => {
    const { pass } = setUp()
    expect([pass(5_000), pass()]).toEqual([1, 1])
  })

  it('survives a clock on the wall that is set back', () => {
    const { pass } = setUp()
    expect([pass(-3_600_000), pass(), pass(6_000)]).toEqual([0, 0, 1])
  })

  it('looks no more when nobody wants to know', () => {
    const { clock, world, unwatch, pass } = setUp()
    unwatch()
    world.addresses = ['new']
    expect([pass(), clock.pending]).toEqual([0, 0])
  })

  it('can look at this machine', () => {
    watchWake(() => expect.fail('nothing has changed'))()
  })
})
