import { SessionPool } from '../../mux/session-pool.js'
import type { Clock } from '../../ports.js'
import type { Policed } from '../policies/policed-token.js'
import type { RelayClient } from './relay-client.js'

/** Requests of one reverse token that may wait for a provider. */
export const MAX_WAITING_FOR_PROVIDER = 10_000

/**
 * The living providers of one reverse token; the pool chooses among them in turn. Those of one instance form a group
 * (`RelayClient.group`).
 */
export type Providers = SessionPool<RelayClient>

/**
 * Who is to serve what is asked for under policies that say where it leads: those that can judge by them, if any is there or nobody is
 * there yet. @param providers absent: names are looked up before
 * @returns `undefined` where the policies say nothing of that, or nobody can judge
 */
export function judgingProviders(
  tokens: Policed,
  providers: Providers | undefined,
  only?: (client: RelayClient) => boolean,
): ((client: RelayClient) => boolean) | undefined {
  if (providers === undefined || tokens.every(({ traits }) => traits.policy?.egress === undefined)) return undefined
  const there = only === undefined ? providers.entries : providers.entries.filter(only)
  if (there.length > 0 && there.every(({ policies }) => policies === undefined)) return undefined
  return (client) => client.policies !== undefined && only?.(client) !== false
}

export function createProviders(clock: Clock): Providers {
  return new SessionPool({
    clock,
    maxWaiting: MAX_WAITING_FOR_PROVIDER,
    noneText: 'no available reverse clients',
    crowdedText: 'too many requests wait for a provider',
  })
}
