import type { Session } from '../../mux/session.js'
import { encodePartners } from '../../protocol/messages.js'
import type { SentPolicies } from '../policies/sent-policies.js'

export type Role = 'forward' | 'provider' | 'connector'

export type StreamMode = 'forward' | 'reverse' | 'agent'

/** Who is at the other end. */
export interface ClientIdentity {
  /** Random and public: 24 hex digits. */
  readonly id: string
  /** Ascending in the order in which they came. */
  readonly number: number
  readonly role: Role
  readonly tokenId: string
  /** Unix milliseconds. */
  readonly since: number
  /** Clients of one client instance share it; a secret towards everybody else. */
  readonly group: string
  /** It named its instance, and can come back as the same one. */
  readonly returns: boolean
}

/** Where a link comes from. */
export interface LinkOrigin {
  /** IP text. */
  readonly address: string
  /** Of the certificate that its client proved to hold (RFC 4514); `undefined` without one. */
  readonly subject?: string | undefined
}

export interface RelayClientTraits extends Pick<RelayClient, 'extensions' | 'drain' | 'policies'> {
  /** Of its first link. */
  readonly origin: LinkOrigin
}

/** One authenticated client of the relay. */
export class RelayClient {
  readonly identity: ClientIdentity
  readonly session: Session
  /** The client asked for extensions: it keeps order and early data. */
  readonly extensions: boolean
  /** What it was told to judge by; only providers that can. */
  readonly policies: SentPolicies | undefined
  /** Tells the peer that the relay is about to shut down; `undefined` for one that would not understand. */
  readonly drain: (() => void) | undefined
  /** The peer is about to shut down: nothing new for it. */
  draining = false
  /** Where its last link came from. */
  origin: LinkOrigin
  /** That it asked for, or provides. */
  streams = 0
  #partners: number | undefined

  constructor(identity: ClientIdentity, session: Session, { extensions, drain, policies, origin }: RelayClientTraits) {
    this.policies = policies
    this.origin = origin
    this.identity = identity
    this.session = session
    this.extensions = extensions
    this.drain = drain
  }

  get id(): string {
    return this.identity.id
  }

  get group(): string {
    return this.identity.group
  }

  /** Tells the peer its number of partners, if it changed. */
  tellPartners(count: number): void {
    if (count === this.#partners || this.session.ended) return
    this.#partners = count
    this.session.control(encodePartners({ count }))
  }
}
