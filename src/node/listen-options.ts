import { LinkSocksError } from '../errors.js'
import { descriptorProblem, type ListenAddress, parseListenAddress } from './net/listen-address.js'
import { DEFAULT_PORT, type ServerOptions } from './options.js'

/** Addresses that one server listens on. */
export const MAX_LISTEN_ADDRESSES = 16
/** Sockets for proxy ports that one server or client is passed. */
export const MAX_SOCKS_SOCKETS = 128
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

type DescriptorOptions = Pick<ServerOptions, 'listen' | 'metricsListen' | 'acme' | 'socksSockets'>

/** Of all sockets that were passed to a server with these options. */
export function inheritedDescriptors(options: DescriptorOptions): readonly number[] {
  return namedDescriptors(options).map(([, fd]) => fd)
}

/** Each after the option that names it. */
function namedDescriptors(options: DescriptorOptions): readonly (readonly [string, number])[] {
  const { listen = [], metricsListen, acme, socksSockets = [] } = options
  const main = listen.map(parseListenAddress)
  const httpListen = acme?.httpListen || undefined
  return [
    ...main.flatMap((address, index) => ('fd' in address ? [[`listen[${index}]`, address.fd] as const] : [])),
    ...(metricsListen !== undefined && 'fd' in metricsListen ? [['metricsListen', metricsListen.fd] as const] : []),
    ...(httpListen !== undefined && 'fd' in httpListen ? [['acme.httpListen', httpListen.fd] as const] : []),
    ...named('socksSockets', socksSockets),
  ]
}

/** @throws {LinkSocksError} ERR_OPTION, naming the option */
export function checkDescriptors(options: DescriptorOptions): void {
  checkEach('socksSockets', options.socksSockets, namedDescriptors(options))
}

/** @throws {LinkSocksError} ERR_OPTION, naming the option */
export function checkSocketList(name: string, fds: readonly number[] | undefined): void {
  if (fds?.length === 0) throw new LinkSocksError('ERR_OPTION', `${name}: at least one`)
  checkEach(name, fds, named(name, fds))
}

function named(name: string, fds: readonly number[] = []): readonly (readonly [string, number])[] {
  return fds.map((fd, index) => [`${name}[${index}]`, fd])
}

/** @param list of sockets for proxy ports */
function checkEach(
  name: string,
  list: readonly number[] | undefined,
  descriptors: readonly (readonly [string, number])[],
): void {
  if (list !== undefined && list.length > MAX_SOCKS_SOCKETS) {
    throw new LinkSocksError('ERR_OPTION', `${name}: at most ${MAX_SOCKS_SOCKETS}`)
  }
  const owners = new Map<number, string>()
  for (const [name, fd] of descriptors) {
    const owner = owners.get(fd)
    const problem = owner === undefined ? descriptorProblem(fd) : `descriptor ${fd} is that of ${owner}`
    if (problem !== undefined) throw new LinkSocksError('ERR_OPTION', `${name}: ${problem}`)
    owners.set(fd, name)
  }
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
