import type { Session } from '../mux/session.js'
import { encodePartners } from '../protocol/messages.js'

export type Role = 'forward' | 'provider' | 'connector'

/** One authenticated link of the relay. */
export class RelayLink {
  readonly role: Role
  readonly session: Session
  /** Links of one client instance share it; a secret towards everybody else. */
  readonly group: string
  /** The client asked for extensions: it keeps order and early data. */
  readonly extensions: boolean
  /** It named its instance, and can come back as the same one. */
  readonly returns: boolean
  /** Tells the peer that the relay is about to shut down, where it would understand. */
  readonly drain: () => void
  /** The peer is about to shut down: nothing new for it. */
  draining = false
  #partners: number | undefined

  constructor(
    role: Role,
    session: Session,
    identity: { group: string; returns: boolean },
    { extensions, drain }: { extensions: boolean; drain: () => void },
  ) {
    this.role = role
    this.session = session
    this.group = identity.group
    this.returns = identity.returns
    this.extensions = extensions
    this.drain = drain
  }

  /** Tells the peer its number of partners, if it changed. */
  tellPartners(count: number): void {
    if (count === this.#partners || this.session.ended) return
    this.#partners = count
    this.session.control(encodePartners({ count }))
  }
}
