import type { ClientInfo } from './admin.js'
import type { RelayLink, Role } from './relay-link.js'
import type { Statistics } from './statistics.js'

export function clientInfo({ identity, session, streams }: RelayLink): ClientInfo {
  const { id, number, role, tokenId, address, since } = identity
  const { receivedBytes, sentBytes, roundTripMs } = session.usage
  const state = session.clock.stopped ? 'suspended' : 'connected'
  return { id, number, role, tokenId, address, since, state, roundTripMs, streams, receivedBytes, sentBytes }
}

/** Bytes of all sessions, those that are over included. */
export function totalsOf(
  links: Iterable<RelayLink>,
  statistics: Statistics,
): Pick<Statistics, 'receivedBytes' | 'sentBytes'> {
  const receivedBytes: Record<Role, number> = { ...statistics.receivedBytes }
  const sentBytes: Record<Role, number> = { ...statistics.sentBytes }
  for (const { identity, session } of links) {
    receivedBytes[identity.role] += session.usage.receivedBytes
    sentBytes[identity.role] += session.usage.sentBytes
  }
  return { receivedBytes, sentBytes }
}

export function sumOf(roles: Readonly<Record<Role, number>>): number {
  return roles.forward + roles.provider + roles.connector
}
