import type { RelayLink } from './relay-link.js'
import type { ReverseToken } from './tokens.js'

/** Tells every link of a tenant how many partners it has (docs/protocol.md A.5). Links are told changes only. */
export function tellPartners(tenant: ReverseToken): void {
  for (const token of tenant.connectors) {
    const reachable = token.owner === undefined ? tenant.providers.groups : Number(tenant.providers.has(token.owner))
    for (const link of token.links) link.tellPartners(reachable)
  }
  for (const link of tenant.providers.links) link.tellPartners(connectorsOf(tenant, link))
}

function connectorsOf(tenant: ReverseToken, provider: RelayLink): number {
  const groups = new Set<string>()
  for (const { owner, links } of tenant.connectors) {
    if (owner !== undefined && owner !== provider.group) continue
    for (const link of links) groups.add(link.group)
  }
  return groups.size
}
