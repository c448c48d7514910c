import { MAX_REPLAY_BYTES, MIB, MIN_REPLAY_BYTES } from '../protocol/limits.js'

/** What the replay buffers of one process may hold beyond the {@link MIN_REPLAY_BYTES} that each has. */
const SHARED_REPLAY_BYTES = 256 * MIB

/** The room that the replay buffers of one process share. */
export class ReplayBudget {
  readonly #sharedBytes: number
  #taken = 0

  constructor(sharedBytes: number = SHARED_REPLAY_BYTES) {
    this.#sharedBytes = sharedBytes
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
}

function beyond(bytes: number): number {
  return Math.max(0, bytes - MIN_REPLAY_BYTES)
}
