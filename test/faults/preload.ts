import { fileURLToPath } from 'node:url'
import { jumpingClock } from '../support/e2e/jumping-clock.js'

const DAY_MS = 24 * 3_600_000

type Environment = Readonly<Record<string, string>>

/** The environment of a process that loads modules of this folder before the program. */
function loading(...names: readonly string[]): Environment {
  const paths = names.map((name) => fileURLToPath(new URL(`./${name}`, import.meta.url)))
  return { NODE_OPTIONS: paths.map((path) => `--import=${path}`).join(' ') }
}

/** Timers of `leastMs` and more come with SIGUSR2, after which the log has the event `test.timers`. */
export function earlyTimers(leastMs: number): Environment {
  return { ...loading('early-timers.mjs'), EARLY_MS: `${leastMs}` }
}

/** The same, and with the first of these signals the time of day jumps a day ahead, with the second two days back. */
export function jumpingDays(leastMs: number): Environment {
  const [clock, timers] = [jumpingClock(DAY_MS, -2 * DAY_MS), earlyTimers(leastMs)]
  return { ...clock, ...timers, NODE_OPTIONS: `${clock.NODE_OPTIONS} ${timers.NODE_OPTIONS}` }
}

/** The program waits so many times as long for what others send. */
export function waitingTimes(factor: number): Environment {
  return { ...loading('waiting-times.mjs'), WAIT_FACTOR: `${factor}` }
}
