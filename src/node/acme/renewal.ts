import type { Clock } from '../../ports.js'

const DAY_MS = 24 * 3_600_000
/** Part of its life that a certificate has left when it is renewed. */
const LEFT_PART = 1 / 3
/** Part of its life within which that comes earlier, at random: so those of many servers don't come at once. */
const JITTER_PART = 1 / 10
/** Part of its life that a certificate is used for in any case, whatever the calendar of this machine says. */
const USED_PART = 1 / 2
/** Between two certificates for one name, if they live longer, however the calendar jumps. */
const MIN_BETWEEN_MS = DAY_MS
/** Between the first failure and the next attempt; doubled with each further one. */
const FIRST_RETRY_MS = 10 * 60_000
export const MAX_RETRY_MS = 12 * 3_600_000
/** Longest wait after a start of the program for an attempt that failed before it. */
const MAX_WAIT_AT_START_MS = 60_000
/** Longest time that an authority is left alone for because it says so. */
export const MAX_RETRY_AFTER_MS = 7 * DAY_MS

/**
 * Milliseconds after a start of the program until what failed before it is tried again: soon, because somebody may have mended it, but
 * not before the authority wants it.
 * @param nextAt,askedUntil,now Unix milliseconds
 */
export function delayAtStart(nextAt: number, askedUntil: number | undefined, now: number): number {
  const soon = Math.min(nextAt - now, MAX_WAIT_AT_START_MS)
  return Math.max(soon, Math.min((askedUntil ?? 0) - now, MAX_RETRY_AFTER_MS), 0)
}

/** All Unix milliseconds. */
export interface Life {
  readonly notBefore: number
  readonly notAfter: number
  readonly obtainedAt: number
}

/**
 * Unix milliseconds from which a certificate is to be renewed.
 * @param random from 0 to 1
 * @param now Unix milliseconds
 */
export function renewalTime({ notBefore, notAfter, obtainedAt }: Life, random: number, now: number): number {
  const life = notAfter - notBefore
  const time = notAfter - life * (LEFT_PART + random * JITTER_PART)
  const longest = life * (1 - LEFT_PART)
  // the calendar was set back: when it was obtained can't be told
  if (obtainedAt > now) return Math.min(time, now + longest)
  // counted from then it holds for a calendar that is wrong all the time, too
  return Math.min(Math.max(time, obtainedAt + life * USED_PART), obtainedAt + longest)
}

/** Milliseconds that have to pass until the next certificate for a name. */
export function leastBetween({ notBefore, notAfter }: Pick<Life, 'notBefore' | 'notAfter'>): number {
  return Math.min((notAfter - notBefore) * USED_PART, MIN_BETWEEN_MS)
}

/**
 * Milliseconds until the next attempt.
 * @param failures in a row, from 1
 * @param askedFor by the authority
 */
export function retryDelay(failures: number, random: number, askedFor = 0, firstMs = FIRST_RETRY_MS): number {
  const delay = Math.min(firstMs * 2 ** (failures - 1), MAX_RETRY_MS)
  return Math.max(delay * (0.75 + random / 2), askedFor)
}

/** When something is to be done: by the calendar, which may be set, and by the clock, which may stand still while the machine sleeps. */
export interface Due {
  /** Unix milliseconds. */
  readonly at: number
  /** By `Clock.now()`: not before, though the calendar says so, and not after, though the calendar does not. */
  readonly earliest: number
  readonly latest: number
}

/** @param leastMs that pass in any case */
export function dueIn(ms: number, clock: Clock, leastMs = 0): Due {
  const wait = Math.max(ms, leastMs)
  const now = clock.now()
  return { at: clock.wallTime() + wait, earliest: now + leastMs, latest: now + wait }
}

/** Milliseconds that are left, as far as can be told: 0 or less when it is due. */
export function timeLeft({ at, earliest, latest }: Due, clock: Clock): number {
  const now = clock.now()
  return Math.max(Math.min(at - clock.wallTime(), latest - now), earliest - now)
}
