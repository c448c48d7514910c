import { LinkSocksError } from './errors.js'
import type { Clock } from './ports.js'

export interface DeadlineOptions<T> {
  readonly clock: Clock
  readonly timeoutMs: number
  /** The caller's own way to end the wait. */
  readonly signal?: AbortSignal | undefined
  /** The error of a wait that took longer than `timeoutMs`. */
  readonly expired: () => LinkSocksError
  /** Disposes of a result that came although nobody waits any more. @default it is only dropped */
  readonly discard?: ((value: T) => void) | undefined
}

/**
 * Runs `run` with a signal that aborts at the deadline or with the caller's signal; the signal's reason is the error
 * then. Timer and listener are gone when it settles.
 * @throws {LinkSocksError} whatever `run` throws, or the reason of the abort
 */
export async function withDeadline<T>(
  run: (signal: AbortSignal) => Promise<T>,
  { clock, timeoutMs, signal, expired, discard }: DeadlineOptions<T>,
): Promise<T> {
  if (signal?.aborted) throw LinkSocksError.cancelled(signal)
  const controller = new AbortController()
  const cancel = (): void => {
    if (signal !== undefined) controller.abort(LinkSocksError.cancelled(signal))
  }
  signal?.addEventListener('abort', cancel, { once: true })
  const timer = clock.after(timeoutMs, () => controller.abort(expired()))
  try {
    const value = await run(controller.signal)
    if (!controller.signal.aborted) return value
    discard?.(value)
    throw LinkSocksError.cancelled(controller.signal)
  } finally {
    timer.cancel()
    signal?.removeEventListener('abort', cancel)
  }
}

/**
 * What `work` comes to, or the reason of `signal` as soon as that aborts, for work that can't be stopped: it then goes on
 * unheard.
 * @throws {LinkSocksError} the reason of the abort; else what `work` throws
 */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(LinkSocksError.cancelled(signal))
    const settle = (): void => signal.removeEventListener('abort', leave)
    signal.addEventListener('abort', leave)
    if (signal.aborted) leave()
    work.finally(settle).then(resolve, reject)
  })
}
