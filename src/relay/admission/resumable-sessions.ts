import type { ResumableTransport } from '../../mux/resume/resumable-transport.js'
import type { Crypto } from '../../ports.js'
import { hex } from '../../protocol/hex.js'
import { UUID_BYTES } from '../../protocol/uuid.js'
import type { LinkOrigin } from '../clients/relay-client.js'
import type { Admission } from './authenticate.js'

/** A session that can go on with another WebSocket. */
export interface ResumableSession extends Pick<Admission, 'token' | 'role' | 'instance'> {
  readonly transport: ResumableTransport
  /** Told the IP text of where its client comes from, when that is back. */
  readonly cameFrom: (origin: LinkOrigin) => void
}

/** Ids of one session that may be good at a time: who never hears of the next one keeps trying with the same. */
const MAX_IDS = 16

/**
 * Finds sessions by their id, which only their own client may use (docs/protocol.md B.3). Ids are looked up by their hash, so
 * that the time it takes tells nothing about them.
 */
export class ResumableSessions {
  readonly #crypto: Crypto
  readonly #sessions = new Map<string, ResumableSession>()
  /** All that are good, the newest last: until the client is heard it may know any of them. */
  readonly #ids = new Map<ResumableSession, readonly string[]>()

  constructor(crypto: Crypto) {
    this.#crypto = crypto
  }

  /** Sessions that it knows. */
  get size(): number {
    return this.#ids.size
  }

  /** @param id what `newId()` gave and the client was told */
  add(id: Uint8Array, session: ResumableSession): void {
    const key = this.#key(id)
    const keys = [...(this.#ids.get(session) ?? []), key]
    for (const old of keys.splice(0, keys.length - MAX_IDS)) this.#sessions.delete(old)
    this.#sessions.set(key, session)
    this.#ids.set(session, keys)
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

  /** A further id. Those before stay good until `confirmed()`: the answer that tells the new one may be lost. */
  renew(session: ResumableSession): Uint8Array {
    const id = this.newId()
    this.add(id, session)
    return id
  }

  /** The client was heard on the connection that it was told its newest id on. */
  confirmed(session: ResumableSession): void {
    const keys = this.#ids.get(session)
    if (keys === undefined) return
    for (const old of keys.slice(0, -1)) this.#sessions.delete(old)
    this.#ids.set(session, keys.slice(-1))
  }

  remove(session: ResumableSession): void {
    for (const key of this.#ids.get(session) ?? []) this.#sessions.delete(key)
    this.#ids.delete(session)
  }

  #key(id: Uint8Array): string {
    return hex(this.#crypto.sha256(id))
  }
}
