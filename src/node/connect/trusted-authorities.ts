import * as tls from 'node:tls'

/** What Node 22.15 and later have; not in the types of the oldest Node that is served. */
type GetCertificates = (store: 'default' | 'system') => readonly string[]

let known: string[] | undefined

/**
 * The authorities that vouch for servers: Node's own list with NODE_EXTRA_CA_CERTS, and the system's store where Node can read it.
 * @param getCertificates Node's, @default that of this Node
 * @returns `undefined` where Node can't read the system's store: it then takes its own list by itself
 */
export function trustedAuthorities(getCertificates: GetCertificates | undefined = ofNode()): string[] | undefined {
  if (getCertificates === undefined) return undefined
  known ??= [...new Set([...getCertificates('default'), ...getCertificates('system')])]
  return known
}

function ofNode(): GetCertificates | undefined {
  const { getCACertificates } = tls as { readonly getCACertificates?: GetCertificates }
  return getCACertificates
}
