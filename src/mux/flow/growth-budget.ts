import { MIB } from '../../protocol/limits.js'

/** By how much the windows of one session may have grown, all together: less than a relay holds for a session before it gives up channels. */
export const MAX_SESSION_GROWTH_BYTES = 32 * MIB

/** The room into which the windows of channels grow: {@link MAX_SESSION_GROWTH_BYTES} a session, and a total of all sessions. */
export class GrowthBudget {
  readonly #maxBytes: number
  readonly #takenOf = new Map<object, number>()
  #taken = 0

  /** @param maxBytes of all sessions together */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Takes `bytes` for a window of `session`. @returns false when there is no room for them, and nothing is taken */
  take(session: object, bytes: number): boolean {
    const taken = (this.#takenOf.get(session) ?? 0) + bytes
    if (taken > MAX_SESSION_GROWTH_BYTES || this.#taken + bytes > this.#maxBytes) return false
    this.#taken += bytes
    this.#takenOf.set(session, taken)
    return true
  }

  /** Gives back `bytes` of what was taken for `session`. */
  giveBack(session: object, bytes: number): void {
    const left = (this.#takenOf.get(session) ?? 0) - bytes
    this.#taken -= bytes
    if (left > 0) this.#takenOf.set(session, left)
    else this.#takenOf.delete(session)
  }
}
