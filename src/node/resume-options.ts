import { RESUME_TIMEOUT_MS } from '../protocol/limits.js'

/** A shorter time is over before a client could be back, in milliseconds. */
export const MIN_RESUME_MS = 1_000

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
