import type { ReverseToken } from './tokens.js'

/**
 * Tells every client of a tenant how many partners it has (docs/protocol.md A.5). Clients are told changes only. Goes once over
 * the clients: tenants may have thousands, and each that comes or goes brings us here.
 */
export function tellPartners(tenant: ReverseToken): void {
  const { entries: clients } = tenant.providers
  const providers = new Set(clients.map((client) => client.group))
  /** Instances with connector clients, by the provider instance they reach; `undefined` reaches every one. */
  const connectors = new Map<string | undefined, number>()
  for (const token of tenant.connectors) {
    const reachable = token.owner === undefined ? providers.size : Number(providers.has(token.owner))
    const instances = new Set<string>()
    for (const client of token.clients) {
      instances.add(client.group)
      client.tellPartners(reachable)
    }
    connectors.set(token.owner, (connectors.get(token.owner) ?? 0) + instances.size)
  }
  const ofAll = connectors.get(undefined) ?? 0
  for (const client of clients) client.tellPartners(ofAll + (connectors.get(client.group) ?? 0))
}
