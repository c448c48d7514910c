import { LinkSocksError } from '../errors.js'
import type { Session } from '../mux/session.js'
import { KIB, MIB } from '../protocol/limits.js'

/** What the channels with credit of one link may have waiting in the relay together, whatever their ends granted. */
const MAX_CREDIT_HELD_BYTES = 64 * MIB
/** A channel that holds no more than this is not at fault when its link is over the limit. */
const MODEST_BYTES = 64 * KIB

const totals = new WeakMap<Session, number>()

/**
 * Counts what one channel with credit has waiting, in a total of its link. Its window bounds it, so the link goes on
 * being read; a link whose channels all stall at full windows is bounded by resetting those that still add to it.
 */
export class CreditHold {
  readonly #session: Session
  #bytes = 0

  /** @param bytes what waits already */
  constructor(session: Session, bytes: number) {
    this.#session = session
    this.#count(bytes)
  }

  get bytes(): number {
    return this.#bytes
  }

  /** @throws {LinkSocksError} ERR_LIMIT */
  add(bytes: number): void {
    this.#count(bytes)
    if (this.#bytes > MODEST_BYTES && (totals.get(this.#session) ?? 0) > MAX_CREDIT_HELD_BYTES) {
      throw new LinkSocksError('ERR_LIMIT', 'too much of this link waits for slow readers')
    }
  }

  release(bytes: number): void {
    this.#count(-Math.min(bytes, this.#bytes))
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    totals.set(this.#session, (totals.get(this.#session) ?? 0) + bytes)
  }
}
