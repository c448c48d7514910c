import type { Timer } from '../ports.js'
import type { Session } from './session.js'

/** Sessions asked for one request at a time, when those before owe an answer. */
export const MAX_SESSIONS_AT_ONCE = 3

interface Entry {
  readonly session: Pick<Session, 'available' | 'whenSilent'>
}

interface BesidesOptions<T, R> {
  readonly open: (entry: T) => Promise<R>
  /** Disposes of what came too late. */
  readonly discard: (opened: R) => void
  /** One that was not asked yet and owes nothing. */
  readonly next: (asked: readonly T[]) => T | undefined
  /** Told whose failure is that of the whole, before it is thrown. */
  readonly failed?: ((entry: T) => void) | undefined
}

/** What one that was asked failed with. */
interface Failure<T> {
  readonly entry: T
  readonly thrown: unknown
}

/**
 * Opens something through `first`, and when the peer of that owes an answer through others besides, up to {@link MAX_SESSIONS_AT_ONCE} in
 * all. The first success counts. It fails when all have: with the first refusal, or when there was none with the last loss of a session.
 */
export function openBesides<T extends Entry, R>(
  first: T,
  { open, discard, next, failed }: BesidesOptions<T, R>,
): Promise<R> {
  return new Promise((resolve, reject) => {
    const asked: T[] = []
    const timers: Timer[] = []
    let waiting = 0
    let over = false
    const settle = (action: () => void): void => {
      over = true
      for (const timer of timers) timer.cancel()
      action()
    }
    let refusal: Failure<T> | undefined
    const fail = (failure: Failure<T>): void => {
      waiting -= 1
      if (failure.entry.session.available) refusal ??= failure
      if (over || waiting > 0) return
      const told = refusal ?? failure
      failed?.(told.entry)
      settle(() => reject(told.thrown))
    }
    const ask = (entry: T): void => {
      asked.push(entry)
      waiting += 1
      open(entry).then(
        (opened) => (over ? discard(opened) : settle(() => resolve(opened))),
        (thrown: unknown) => fail({ entry, thrown }),
      )
      if (asked.length < MAX_SESSIONS_AT_ONCE) timers.push(entry.session.whenSilent(askNext))
    }
    const askNext = (): void => {
      const entry = next(asked)
      if (entry !== undefined) ask(entry)
    }
    ask(first)
  })
}
