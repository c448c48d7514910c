import { isInNetwork, isLoopback, literalIp, parseIp, parseNetwork } from '../../address.js'
import type { SocketAddress } from '../../ports.js'

export interface ServerProxyOptions {
  /** Named by the user; wins over the environment, loopback hosts included. */
  readonly serverProxy?: string | undefined
  /** Where http_proxy, https_proxy, all_proxy and no_proxy are looked up. @default none */
  readonly proxyEnv?: Readonly<Record<string, string | undefined>> | undefined
}

/** A proxy as somebody wrote it. */
export interface NamedProxy {
  readonly url: string
  /** The variable it is from; absent for an option. */
  readonly variable?: string | undefined
}

/**
 * The proxy on the way to the server at `url` (ws, wss, http or https), as the user or the environment wrote it, `http://` put
 * before a bare `host:port`, and `socks://` of the environment, which desktops write there, as `socks5://`. From the environment: http_proxy for ws and http, https_proxy for wss and https, all_proxy for both, lower
 * case before upper case; never for loopback hosts and those in no_proxy.
 * @returns `undefined` to connect directly
 */
export function serverProxyFor(
  url: string,
  { serverProxy, proxyEnv = {} }: ServerProxyOptions,
): NamedProxy | undefined {
  if (serverProxy !== undefined) return { url: withScheme(serverProxy) }
  const { protocol, hostname, port } = new URL(url)
  const secure = protocol === 'wss:' || protocol === 'https:'
  const named = lookUp(proxyEnv, secure ? 'https_proxy' : 'http_proxy') ?? lookUp(proxyEnv, 'all_proxy')
  if (named === undefined) return undefined
  const host = bareHost(hostname)
  if (isLoopback(host)) return undefined
  const portNumber = port === '' ? (secure ? 443 : 80) : Number(port)
  if (isExempt(host, portNumber, lookUp(proxyEnv, 'no_proxy')?.text ?? '')) return undefined
  return { url: withScheme(named.text).replace(/^socks:/i, 'socks5:'), variable: named.variable }
}

const VARIABLES = ['http_proxy', 'https_proxy', 'all_proxy'].flatMap((name) => [name, name.toUpperCase()])

/** Variables of `env` that name a proxy where a client is about to listen itself: it would wait for itself. */
export function variablesAt(
  { host, port }: SocketAddress,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const everywhere = host === '0.0.0.0' || host === '::'
  return VARIABLES.filter((name) => {
    const { hostname, port: named } = parsed(withScheme(env[name]?.trim() ?? ''))
    const proxy = bareHost(hostname)
    return named === String(port) && (proxy === host || ((everywhere || isLoopback(host)) && isLoopback(proxy)))
  })
}

function parsed(url: string): { readonly hostname: string; readonly port: string } {
  // a scheme that URL knows nothing of, so that it leaves out no port
  const [, rest = ''] = /^[\w+.-]+:(.*)$/.exec(url) ?? []
  return URL.canParse(`proxy:${rest}`) ? new URL(`proxy:${rest}`) : { hostname: '', port: '' }
}

interface Found {
  readonly text: string
  readonly variable: string
}

/** An empty variable counts as absent. */
function lookUp(env: Readonly<Record<string, string | undefined>>, name: string): Found | undefined {
  for (const variable of [name, name.toUpperCase()]) {
    const text = env[variable]?.trim()
    if (text) return { text, variable }
  }
  return undefined
}

function withScheme(proxy: string): string {
  return proxy.includes('://') ? proxy : `http://${proxy}`
}

/** Lower case, without the brackets of IPv6 and the final dot of a name. */
function bareHost(hostname: string): string {
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  return host.toLowerCase().replace(/\.$/, '')
}

/** Whether an entry of no_proxy names `host`: entries are separated by commas or spaces, `*` names every host. */
function isExempt(host: string, port: number, noProxy: string): boolean {
  return noProxy.split(/[\s,]+/).some((entry) => entry !== '' && names(entry.toLowerCase(), host, port))
}

/**
 * Whether one entry names `host`. Its addresses are read as a resolver reads them, by literalIp(), not by the strict
 * parseIp(): variables of the environment are written for many programs, which take `0x7f.1` too.
 */
function names(entry: string, host: string, port: number): boolean {
  if (entry === '*') return true
  if (entry.includes('/')) return isInCidr(host, entry)
  const { pattern, port: wanted } = splitPort(entry)
  if (wanted !== undefined && wanted !== port) return false
  const ip = literalIp(host)
  if (ip !== undefined) return literalIp(pattern) === ip
  const suffix = pattern.replace(/^\*?\./, '').replace(/\.$/, '')
  return suffix !== '' && (host === suffix || host.endsWith(`.${suffix}`))
}

/** `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address. */
function splitPort(entry: string): { pattern: string; port?: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(entry)
  if (match === null) return { pattern: entry }
  const pattern = match[1] ?? match[2] ?? ''
  return match[3] === undefined ? { pattern } : { pattern, port: Number(match[3]) }
}

function isInCidr(host: string, cidr: string): boolean {
  const ip = parseIp(literalIp(host) ?? '')
  const network = parseNetwork(cidr)
  return ip !== undefined && network !== undefined && isInNetwork(ip, network)
}
