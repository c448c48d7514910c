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
  #partners: number | undefined

  constructor(role: Role, session: Session, identity: { group: string; returns: boolean }, extensions: boolean) {
    this.role = role
    this.session = session
    this.group = identity.group
    this.returns = identity.returns
    this.extensions = extensions
  }

  /** Tells the peer its number of partners, if it changed. */
  tellPartners(count: number): void {
    if (count === this.#partners || this.session.ended) return
    this.#partners = count
    this.session.control(encodePartners({ count }))
  }
}
