import { addressText } from '../../address.js'
import type { ProxyProtocol, Target } from '../../ports.js'

/** Exceptions that one PAC file may name. */
const MAX_EXCEPTIONS = 64
/** A name or an address with the wild cards of shExpMatch, no longer than a name can be. */
const EXCEPTION = /^[\w.*?:-]{1,253}$/

export const PAC_TYPE = 'application/x-ns-proxy-autoconfig'

/** The exceptions in `?direct=a,b&direct=c`; `undefined` when one is no pattern, or there are too many. */
export function exceptionsOf(query: URLSearchParams): readonly string[] | undefined {
  const patterns = query
    .getAll('direct')
    .flatMap((list) => list.split(','))
    .filter((pattern) => pattern !== '')
  return patterns.length <= MAX_EXCEPTIONS && patterns.every((pattern) => EXCEPTION.test(pattern))
    ? patterns
    : undefined
}

export interface PacOptions {
  /** Where browsers find the port. */
  readonly proxy: Target
  readonly protocols: readonly ProxyProtocol[]
  /** Browsers have no password for SOCKS5. */
  readonly password: boolean
  /** Patterns of hosts that are reached without the proxy. */
  readonly direct: readonly string[]
}

/** A proxy auto-config file. Without exceptions it never says DIRECT: what can't go through the proxy is not to go past it. */
export function pacFile({ proxy, protocols, password, direct }: PacOptions): string {
  const address = addressText(proxy)
  const ways = [`PROXY ${address}`, ...(protocols.includes('socks5') && !password ? [`SOCKS5 ${address}`] : [])]
  const exceptions = direct.map((pattern) => `  if (shExpMatch(host, ${JSON.stringify(pattern)})) return "DIRECT";\n`)
  return `function FindProxyForURL(url, host) {\n${exceptions.join('')}  return ${JSON.stringify(ways.join('; '))};\n}\n`
}
