import * as tls from 'node:tls'

/** What Node 22.15 and later have; not in the types of the oldest Node that is served. */
type GetCertificates = (store: 'default' | 'system') => readonly string[]

/** Made once for each list: reading its certificates takes longer than the rest of a handshake. */
const contexts = new WeakMap<GetCertificates, tls.SecureContext>()

/**
 * What TLS with servers trusts: Node's own list with NODE_EXTRA_CA_CERTS, and the system's store where Node can read it. All
 * connections share it.
 * @param getCertificates Node's, @default that of this Node
 * @returns `undefined` where Node can't read the system's store: it then takes its own list by itself
 */
export function trustedAuthorities(
  getCertificates: GetCertificates | undefined = ofNode(),
): tls.SecureContext | undefined {
  if (getCertificates === undefined) return undefined
  const context = contexts.get(getCertificates) ?? contextOf(getCertificates)
  contexts.set(getCertificates, context)
  return context
}

function contextOf(getCertificates: GetCertificates): tls.SecureContext {
  return tls.createSecureContext({ ca: listOf(getCertificates) })
}

function listOf(getCertificates: GetCertificates): string[] {
  return [...new Set([...getCertificates('default'), ...getCertificates('system')])]
}

/** Whom a client trusts, and what it shows. */
export interface ClientContextOptions {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** Made once for the options of a client, which connects again and again. */
const ownContexts = new WeakMap<ClientContextOptions, tls.SecureContext>()

/** @returns `undefined`: Node's own is as good */
export function clientContext(options: ClientContextOptions): tls.SecureContext | undefined {
  if (options.ca === undefined && options.cert === undefined) return trustedAuthorities()
  const known = ownContexts.get(options)
  if (known !== undefined) return known
  const getCertificates = ofNode()
  const ca = options.ca ?? (getCertificates && listOf(getCertificates))
  const { cert, key } = options
  const context = tls.createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) })
  ownContexts.set(options, context)
  return context
}

function ofNode(): GetCertificates | undefined {
  const { getCACertificates } = tls as { readonly getCACertificates?: GetCertificates }
  return getCACertificates
}
