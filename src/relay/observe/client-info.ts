import type { RelayClient, Role } from '../clients/relay-client.js'
import type { Statistics } from './statistics.js'

/** A client with its session. */
export interface ClientInfo {
  /** Ascending in the order in which they came. */
  readonly number: number
  readonly id: string
  readonly role: Role
  readonly tokenId: string
  readonly address: string
  /** Of its certificate (RFC 4514). */
  readonly subject: string | undefined
  /** Unix milliseconds. */
  readonly since: number
  /** A suspended one lost its connection and may come back. */
  readonly state: 'connected' | 'suspended'
  readonly roundTripMs: number | undefined
  readonly streams: number
  /** Bytes of messages that came from it. */
  readonly receivedBytes: number
  readonly sentBytes: number
}

/** Sums over the whole life of the relay. */
export interface RelayTotals {
  readonly tokens: number
  readonly clients: number
  readonly streams: number
  readonly receivedBytes: number
  readonly sentBytes: number
}

export function clientInfo({ identity, origin: { address, subject }, session, streams }: RelayClient): ClientInfo {
  const { id, number, role, tokenId, since } = identity
  const { receivedBytes, sentBytes, roundTripMs } = session.usage
  const state = session.clock.stopped ? 'suspended' : 'connected'
  return { id, number, role, tokenId, address, subject, since, state, roundTripMs, streams, receivedBytes, sentBytes }
}

/** Bytes of all sessions, those that are over included. */
export function totalsOf(
  clients: Iterable<RelayClient>,
  statistics: Statistics,
): Pick<Statistics, 'receivedBytes' | 'sentBytes'> {
  const receivedBytes: Record<Role, number> = { ...statistics.receivedBytes }
  const sentBytes: Record<Role, number> = { ...statistics.sentBytes }
  for (const { identity, session } of clients) {
    receivedBytes[identity.role] += session.usage.receivedBytes
    sentBytes[identity.role] += session.usage.sentBytes
  }
  return { receivedBytes, sentBytes }
}

export function sumOf(roles: Readonly<Record<Role, number>>): number {
  return roles.forward + roles.provider + roles.connector
}
