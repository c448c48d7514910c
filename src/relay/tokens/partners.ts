import type { ReverseToken } from './tokens.js'

/**
 * Tells every link of a tenant how many partners it has (docs/protocol.md A.5). Links are told changes only. Goes once over
 * the links: tenants may have thousands, and each that comes or goes brings us here.
 */
export function tellPartners(tenant: ReverseToken): void {
  const { links } = tenant.providers
  const providers = new Set(links.map((link) => link.group))
  /** Instances with connector links, by the provider instance they reach; `undefined` reaches every one. */
  const connectors = new Map<string | undefined, number>()
  for (const token of tenant.connectors) {
    const reachable = token.owner === undefined ? providers.size : Number(providers.has(token.owner))
    const instances = new Set<string>()
    for (const link of token.links) {
      instances.add(link.group)
      link.tellPartners(reachable)
    }
    connectors.set(token.owner, (connectors.get(token.owner) ?? 0) + instances.size)
  }
  const ofAll = connectors.get(undefined) ?? 0
  for (const link of links) link.tellPartners(ofAll + (connectors.get(link.group) ?? 0))
}
