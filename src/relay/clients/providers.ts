import { SessionPool } from '../../mux/session-pool.js'
import type { Clock } from '../../ports.js'
import type { RelayClient } from './relay-client.js'

/** Requests of one reverse token that may wait for a provider. */
export const MAX_WAITING_FOR_PROVIDER = 10_000

/**
 * The living providers of one reverse token; the pool chooses among them in turn. Those of one instance form a group
 * (`RelayClient.group`).
 */
export type Providers = SessionPool<RelayClient>

export function createProviders(clock: Clock): Providers {
  return new SessionPool({
    clock,
    maxWaiting: MAX_WAITING_FOR_PROVIDER,
    noneText: 'no available reverse clients',
    crowdedText: 'too many requests wait for a provider',
  })
}
