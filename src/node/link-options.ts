import { LinkSocksError } from '../errors.js'
import { PING_TIMES, type PingTimes } from '../mux/keepalive.js'
import { RESUME_TIMEOUT_MS } from '../protocol/limits.js'

/** Below this pings would be most of what an idle link carries, in milliseconds. */
export const MIN_PING_MS = 100
/** A shorter time is over before a client could be back, in milliseconds. */
export const MIN_RESUME_MS = 1_000

export interface PingOptions {
  /** Milliseconds between two pings of the other end. @default 20_000 */
  readonly pingIntervalMs?: number | undefined
  /** Milliseconds without anything from the other end after which a link is given up. @default 45_000 */
  readonly pingTimeoutMs?: number | undefined
}

/** @throws {LinkSocksError} ERR_OPTION: an end that answers every ping would be given up */
export function pingTimes({ pingIntervalMs, pingTimeoutMs }: PingOptions): PingTimes {
  const times = {
    intervalMs: pingIntervalMs ?? PING_TIMES.intervalMs,
    timeoutMs: pingTimeoutMs ?? PING_TIMES.timeoutMs,
  }
  if (times.timeoutMs > times.intervalMs) return times
  const text = `pingTimeoutMs (${times.timeoutMs}) must be longer than pingIntervalMs (${times.intervalMs})`
  throw new LinkSocksError('ERR_OPTION', text)
}

export interface ResumeOptions {
  /** Let streams survive the loss of their WebSocket, where the other end can do that too. @default true */
  readonly resume?: boolean | undefined
  /** Milliseconds that streams wait for a lost WebSocket to be replaced, at least 1_000. @default 60_000 */
  readonly resumeTimeoutMs?: number | undefined
}

/** Milliseconds; 0 when it is switched off. */
export function resumeTimeout({ resume = true, resumeTimeoutMs = RESUME_TIMEOUT_MS }: ResumeOptions): number {
  return resume ? resumeTimeoutMs : 0
}
