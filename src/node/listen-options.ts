import { LinkSocksError } from '../errors.js'
import { type ListenAddress, parseListenAddress } from './net/listen-address.js'
import { DEFAULT_PORT, type ServerOptions } from './options.js'

/** Addresses that one server listens on. */
export const MAX_LISTEN_ADDRESSES = 16
/** Port of a server with certificates of its own that is given none: where authorities look. */
const HTTPS_PORT = 443

/** What a caller without types may miss: anything else would ask for less than it seems to. */
const CLIENT_AUTH: readonly (string | undefined)[] = [undefined, 'required', 'optional']

type ListenOptions = Pick<ServerOptions, 'host' | 'port' | 'listen' | 'tls' | 'acme'>

/** Where a server with these options listens. @throws {LinkSocksError} ERR_OPTION */
export function listenAddresses({
  host = '0.0.0.0',
  port,
  listen,
  tls,
  acme,
}: ListenOptions): readonly ListenAddress[] {
  if (listen !== undefined) return listen.map(parseListenAddress)
  const hasTls = acme !== undefined || (tls?.certificates ?? []).length > 0
  return [{ host, port: port ?? (acme === undefined ? DEFAULT_PORT : HTTPS_PORT), tls: hasTls }]
}

/** @throws {LinkSocksError} ERR_OPTION */
export function checkListenAddress(text: string): void {
  parseListenAddress(text)
}

/** Whether any of its addresses speaks TLS. */
export function needsTls(options: ListenOptions): boolean {
  return listenAddresses(options).some((address) => 'tls' in address && address.tls === true)
}

/** @throws {LinkSocksError} ERR_OPTION, naming the option */
export function checkListen(options: ListenOptions): void {
  const { listen, tls, acme } = options
  const refuse = (why: string): never => {
    throw new LinkSocksError('ERR_OPTION', why)
  }
  if (listen !== undefined) {
    if (options.host !== undefined || options.port !== undefined)
      refuse('listen takes the place of host and port: leave them out')
    if (listen.length === 0 || listen.length > MAX_LISTEN_ADDRESSES)
      refuse(`listen must be 1 to ${MAX_LISTEN_ADDRESSES} addresses`)
    for (const [index, address] of listen.entries()) {
      try {
        parseListenAddress(address)
      } catch (thrown) {
        refuse(`listen[${index}]: ${LinkSocksError.from(thrown, 'ERR_OPTION').message}`)
      }
    }
  }
  const hasCertificates = acme !== undefined || (tls?.certificates ?? []).length > 0
  const hasTls = needsTls(options)
  if (hasTls && !hasCertificates) refuse('wss:// needs certificates: tls.certificates or acme')
  if (!hasTls && (hasCertificates || tls?.clientCaFile !== undefined))
    refuse('certificates are for an address with TLS: wss://')
  if (!CLIENT_AUTH.includes(tls?.clientAuth)) refuse("tls.clientAuth must be 'required' or 'optional'")
  if (tls?.clientAuth !== undefined && tls.clientCaFile === undefined) refuse('tls.clientAuth needs tls.clientCaFile')
}
