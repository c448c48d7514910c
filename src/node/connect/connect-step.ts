import { Socket } from 'node:net'
import { withDeadline } from '../../deadline.js'
import { LinkSocksError } from '../../errors.js'
import { nodeClock } from '../system/clock.js'

export interface ConnectStepOptions {
  readonly timeoutMs: number
  /** What takes so long, for the message. @default the problem says it */
  readonly step?: string | undefined
  readonly signal: AbortSignal | undefined
  /** Destroyed when the step fails. */
  readonly socket?: Socket | undefined
}

/**
 * Runs one step within its time.
 * @throws {LinkSocksError} ERR_CONNECT: `problem` and why; the reason of the caller's signal; ERR_OPTION as it is
 */
export async function connectStep<T>(
  problem: string,
  { timeoutMs, step, signal, socket }: ConnectStepOptions,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timedOut = new LinkSocksError(
    'ERR_CONNECT',
    `${problem}: ${step === undefined ? '' : `${step} `}timed out after ${timeoutMs / 1_000} s`,
  )
  try {
    return await withDeadline(run, {
      clock: nodeClock,
      timeoutMs,
      signal,
      expired: () => timedOut,
      discard: (value) => {
        if (value instanceof Socket) value.destroy()
      },
    })
  } catch (thrown) {
    socket?.destroy()
    if (signal?.aborted) throw LinkSocksError.cancelled(signal)
    const cause = LinkSocksError.from(thrown, 'ERR_CONNECT')
    if (cause === timedOut || cause.code === 'ERR_OPTION') throw cause
    throw new LinkSocksError('ERR_CONNECT', `${problem}: ${cause.message}`, { cause })
  }
}
