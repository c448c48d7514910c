import { INITIAL_WINDOW_BYTES, KIB, MAX_WINDOW_BYTES, MIB } from '../../protocol/limits.js'
import { type RoundTrip, SHORT_PATH_MS } from './round-trips.js'

/** A window that is too small becomes this many times larger: two steps fill a long path. */
const GROWTH = 8
/**
 * A window that was consumed within this many round trips of the path keeps the sender waiting: at one round trip it always
 * waits, and far above that the path, the network or the reader is the limit.
 */
const WAITING_ROUND_TRIPS = 1.5
/** What may wait in queues, beside what the path itself holds: one more round trip, and so many milliseconds. */
const QUEUE_MS = 5
/** A window shrinks where twice as much waits. */
const SHRINKS_FROM = 2
/** A window that took longer was not always waited for: its sender had nothing to send for a while, and no queue is seen. */
const PAUSE_MS = 1_000
/** Busy readers at the end of a short path share this: all of it is queues, and small messages wait behind them. */
const SHORT_PATH_BYTES = 2 * MIB
/** Lower bound of a reader's share. */
const MIN_WINDOW_BYTES = 128 * KIB

export interface WindowUse {
  /** Bytes of the window now. */
  readonly size: number
  /** Milliseconds in which a whole window was consumed; `undefined` before that is known again. */
  readonly took: number | undefined
  /** What the path takes; `undefined` if that is not known. */
  readonly roundTrip: RoundTrip | undefined
  /** Readers of the session that take data as fast as it comes, this one included. */
  readonly busy: number
  /** Much of what the process received waits for slow readers. */
  readonly pressing: boolean
}

/**
 * The size that a window should have: what one sender fills in a round trip of a long path and little more, a share of little for a
 * short one, and what it began with where much waits. Above INITIAL_WINDOW_BYTES it takes room, see GrowthBudget.
 */
export function sizeFor({ size, took, roundTrip, busy, pressing }: WindowUse): number {
  if (pressing) return Math.min(size, INITIAL_WINDOW_BYTES)
  if (took === undefined || roundTrip === undefined) return size
  // so short that larger windows would only be queues
  if (roundTrip === 'queued' || roundTrip < SHORT_PATH_MS) return shareOf(busy)
  if (took < roundTrip * WAITING_ROUND_TRIPS) return Math.min(size * GROWTH, MAX_WINDOW_BYTES)
  const queued = roundTrip + QUEUE_MS
  if (took < roundTrip + SHRINKS_FROM * queued || took > PAUSE_MS) return size
  return Math.min(size, Math.max(shareOf(busy), Math.floor((size * (roundTrip + queued)) / took)))
}

function shareOf(readers: number): number {
  return Math.min(INITIAL_WINDOW_BYTES, Math.max(MIN_WINDOW_BYTES, Math.floor(SHORT_PATH_BYTES / readers)))
}
