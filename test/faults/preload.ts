import { fileURLToPath } from 'node:url'

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

/** The same, and with each of the first two signals the time of day jumps by days. */
export function jumpingClock(leastMs: number): Environment {
  return { ...loading('jumping-clock.mjs', 'early-timers.mjs'), EARLY_MS: `${leastMs}` }
}

/** The program waits so many times as long for what others send. */
export function waitingTimes(factor: number): Environment {
  return { ...loading('waiting-times.mjs'), WAIT_FACTOR: `${factor}` }
}
