import type { Clock } from '../ports.js'
import type { Session } from './session.js'

const LOOK_MS = 50
/** Between two looks: what is above that is time in which this process stood still. */
const MAX_LOOK_MS = 2 * LOOK_MS

/** Milliseconds without a byte after which an idle stream holds up no end any more. */
export const DRAIN_IDLE_MS = 2_000

export interface DrainLimits {
  /** Milliseconds that streams may take to end by themselves. */
  readonly limitMs: number
  /** Milliseconds after which a stream that carried nothing is not waited for any more. @default {@link DRAIN_IDLE_MS} */
  readonly idleMs?: number | undefined
}

/**
 * Settles when no session has a channel that is used any more, or after `limitMs`. Suspended sessions are not waited for.
 * @param sessions those there are now
 */
export async function drained(
  sessions: () => readonly Session[],
  { limitMs, idleMs = DRAIN_IDLE_MS }: DrainLimits,
  clock: Clock,
): Promise<void> {
  const began = clock.now()
  const idle = new IdleTimes(began)
  for (;;) {
    const now = clock.now()
    const busy = idle.look(sessions(), now) < idleMs
    const left = began + limitMs - now
    if (!busy || left <= 0) return
    await new Promise<void>((resolve) => void clock.after(Math.min(left, LOOK_MS), resolve))
  }
}

/** For how long sessions have carried nothing. */
class IdleTimes {
  readonly #seen = new WeakMap<Session, { bytes: number; idleMs: number }>()
  #lookedAt: number

  constructor(now: number) {
    this.#lookedAt = now
  }

  /** @returns the time of the one that was used last; infinite when none has a channel */
  look(sessions: readonly Session[], now: number): number {
    const passed = Math.min(now - this.#lookedAt, MAX_LOOK_MS)
    this.#lookedAt = now
    let shortest = Number.POSITIVE_INFINITY
    for (const session of sessions) {
      if (holdsChannels(session)) shortest = Math.min(shortest, this.#idleMs(session, passed))
    }
    return shortest
  }

  #idleMs(session: Session, passed: number): number {
    const bytes = session.usage.receivedBytes + session.usage.sentBytes
    const seen = this.#seen.get(session)
    const idleMs = seen?.bytes === bytes ? seen.idleMs + passed : 0
    this.#seen.set(session, { bytes, idleMs })
    return idleMs
  }
}

function holdsChannels(session: Session): boolean {
  return session.available && session.channels > 0
}
