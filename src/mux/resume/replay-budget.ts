import { LinkSocksError } from '../../errors.js'
import { MAX_REPLAY_BYTES, MIB, MIN_REPLAY_BYTES } from '../../protocol/limits.js'

/** What the replay buffers of one process may hold beyond the {@link MIN_REPLAY_BYTES} that each has. */
const SHARED_REPLAY_BYTES = 256 * MIB
/** What all suspended sessions of one process may keep together; their number is not bounded by connections. */
const MAX_SUSPENDED_BYTES = 256 * MIB

/** A session without a connection. */
export interface Suspended {
  readonly keptBytes: number
  abort(reason: LinkSocksError): void
}

/** The room that the replay buffers of one process share. */
export class ReplayBudget {
  readonly #sharedBytes: number
  readonly #suspendedBytes: number
  /** The one that is so longest first. */
  readonly #suspended = new Set<Suspended>()
  #taken = 0

  constructor(sharedBytes: number = SHARED_REPLAY_BYTES, suspendedBytes: number = MAX_SUSPENDED_BYTES) {
    this.#sharedBytes = sharedBytes
    this.#suspendedBytes = suspendedBytes
  }

  /** Shared bytes in use. */
  get taken(): number {
    return this.#taken
  }

  /** Whether a buffer that holds `bytes` may take more. */
  hasRoom(bytes: number): boolean {
    return bytes < MIN_REPLAY_BYTES || (bytes < MAX_REPLAY_BYTES && this.#taken < this.#sharedBytes)
  }

  /** A buffer that held `before` bytes holds `after`. */
  move(before: number, after: number): void {
    this.#taken += beyond(after) - beyond(before)
  }

  /** A session lost its connection. Those that lost theirs longest ago end when all of them keep too much. */
  suspended(session: Suspended): void {
    this.#suspended.add(session)
    let bytes = 0
    for (const { keptBytes } of this.#suspended) bytes += keptBytes
    for (const oldest of this.#suspended) {
      if (bytes <= this.#suspendedBytes) return
      bytes -= oldest.keptBytes
      this.#suspended.delete(oldest)
      oldest.abort(new LinkSocksError('ERR_LIMIT', 'too much is kept for sessions that lost their connection'))
    }
  }

  /** It has one again, or is over. Idempotent. */
  resumed(session: Suspended): void {
    this.#suspended.delete(session)
  }
}

function beyond(bytes: number): number {
  return Math.max(0, bytes - MIN_REPLAY_BYTES)
}
