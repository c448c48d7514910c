import type { ResumableTransport } from '../mux/resumable-transport.js'
import type { Crypto } from '../ports.js'
import { UUID_BYTES } from '../protocol/channel-id.js'
import type { Admission } from './authenticate.js'
import { hex } from './token-text.js'

/** A session that can go on with another WebSocket. */
export interface ResumableSession extends Pick<Admission, 'token' | 'role' | 'instance'> {
  readonly transport: ResumableTransport
}

interface Ids {
  current: string
  /** Good until the client has shown that it knows the current one. */
  previous: string | undefined
}

/**
 * Finds sessions by their id, which only their own client may use (docs/protocol.md B.3). Ids are looked up by their hash, so
 * that the time it takes tells nothing about them.
 */
export class Resumption {
  readonly #crypto: Crypto
  readonly #sessions = new Map<string, ResumableSession>()
  readonly #ids = new Map<ResumableSession, Ids>()

  constructor(crypto: Crypto) {
    this.#crypto = crypto
  }

  /** Sessions that it knows. */
  get size(): number {
    return this.#ids.size
  }

  /** @param id what `newId()` gave and the client was told */
  add(id: Uint8Array, session: ResumableSession): void {
    const current = this.#key(id)
    this.#sessions.set(current, session)
    this.#ids.set(session, { current, previous: undefined })
  }

  /** A secret. */
  newId(): Uint8Array {
    return this.#crypto.randomBytes(UUID_BYTES)
  }

  /** The session that an admission names, if who asks is its owner and it can go on from there. */
  find({ resume, token, role, instance }: Admission): ResumableSession | undefined {
    if (resume?.id === undefined) return undefined
    const session = this.#sessions.get(this.#key(resume.id))
    if (session === undefined || session.token !== token) return undefined
    const same = session.role === role && session.instance === instance
    return same && session.transport.accepts(resume.received) ? session : undefined
  }

  /** A new id for who came with `used`, which stays good until `confirmed()`: the answer that tells the new one may be lost. */
  renew(session: ResumableSession, used: Uint8Array): Uint8Array {
    const id = this.newId()
    this.remove(session)
    this.add(id, session)
    const previous = this.#key(used)
    this.#sessions.set(previous, session)
    this.#ids.set(session, { current: this.#key(id), previous })
    return id
  }

  /** The client has its id. */
  confirmed(session: ResumableSession): void {
    const ids = this.#ids.get(session)
    if (ids?.previous === undefined) return
    this.#sessions.delete(ids.previous)
    ids.previous = undefined
  }

  remove(session: ResumableSession): void {
    const ids = this.#ids.get(session)
    if (ids === undefined) return
    this.#ids.delete(session)
    this.#sessions.delete(ids.current)
    if (ids.previous !== undefined) this.#sessions.delete(ids.previous)
  }

  #key(id: Uint8Array): string {
    return hex(this.#crypto.sha256(id))
  }
}
