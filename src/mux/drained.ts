import type { Clock } from '../ports.js'
import type { Session } from './session.js'

const LOOK_MS = 50

/** Settles when no session has a channel any more, or after `limitMs`. Suspended ones are not waited for. */
export async function drained(sessions: () => readonly Session[], limitMs: number, clock: Clock): Promise<void> {
  const until = clock.now() + limitMs
  const busy = (session: Session): boolean => session.available && session.channels > 0
  while (sessions().some(busy)) {
    const left = until - clock.now()
    if (left <= 0) return
    await new Promise<void>((resolve) => void clock.after(Math.min(left, LOOK_MS), resolve))
  }
}
