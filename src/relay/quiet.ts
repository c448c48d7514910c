import type { Clock } from '../ports.js'

/** How long a relay that takes nothing new waits for requests under way to be answered or passed on, before it goes on to end. */
export const QUIET_LIMIT_MS = 1_000
const LOOK_MS = 10

/** Settles when `isQuiet`, or after `limitMs`, {@link QUIET_LIMIT_MS} at most. */
export async function quiet(isQuiet: () => boolean, limitMs: number, clock: Clock): Promise<void> {
  const end = clock.now() + Math.min(limitMs, QUIET_LIMIT_MS)
  for (;;) {
    const left = end - clock.now()
    if (isQuiet() || left <= 0) return
    await new Promise<void>((resolve) => void clock.after(Math.min(left, LOOK_MS), resolve))
  }
}
