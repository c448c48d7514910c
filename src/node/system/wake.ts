import { networkInterfaces } from 'node:os'
import type { Clock, Timer, WatchWake } from '../../ports.js'
import { nodeClock } from './clock.js'

/** How often is looked, in milliseconds. */
export const LOOK_MS = 1_000
/** So much later than expected a look means that the machine slept, or the process was stopped. */
const SLEPT_MS = 5_000

export interface WakeSources {
  readonly clock: Clock
  /** Milliseconds of a clock that goes on while the machine sleeps. */
  readonly wallTime: () => number
  /** Addresses by which this machine is on a network. */
  readonly addresses: () => readonly string[]
}

/** Looks every second whether an address has come up or the machine slept, as long as somebody wants to know. */
export function wakeWatcher({ clock, wallTime, addresses }: WakeSources): WatchWake {
  return (onWake) => {
    let known = new Set(addresses())
    let lookedAt = wallTime()
    let timer: Timer
    const look = (): void => {
      const before = known
      const slept = wallTime() - lookedAt >= LOOK_MS + SLEPT_MS
      known = new Set(addresses())
      lookedAt = wallTime()
      timer = clock.after(LOOK_MS, look)
      if (slept || [...known].some((address) => !before.has(address))) onWake()
    }
    timer = clock.after(LOOK_MS, look)
    return () => timer.cancel()
  }
}

function networkAddresses(): readonly string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, entries = []]) =>
    entries.filter(({ internal }) => !internal).map(({ address }) => `${name} ${address}`),
  )
}

/** The network and the sleep of this machine. */
export const watchWake: WatchWake = wakeWatcher({
  clock: nodeClock,
  wallTime: () => Date.now(),
  addresses: networkAddresses,
})
