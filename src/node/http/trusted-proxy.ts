import {
  canonicalHost,
  type Ip,
  isInNetwork,
  type Network,
  parseIp,
  parseNetwork,
  socketIp,
  unmapped,
} from '../../address.js'
import { LinkSocksError } from '../../errors.js'

/** Entries of X-Forwarded-For that are looked at; chains of proxies are short. */
const MAX_FORWARDED_HOPS = 16

/** As ipaddr.js knows them: letters and digits behind a percent sign, with IPv6 only. */
const ZONE = /(?<=:.*)%[0-9a-z]+$/i

/** Judges whether an address is one of the reverse proxies whose word is taken. */
export type TrustedProxies = (address: string) => boolean

/**
 * Reads the reverse proxies an operator trusts: CIDRs or single addresses.
 * @throws {LinkSocksError} ERR_OPTION, naming the entry that is neither
 */
export function trustedProxies(cidrs: readonly string[]): TrustedProxies {
  const networks = cidrs.map(trustedNetwork)
  return (text) => {
    const address = parseAddress(text)
    return address !== undefined && networks.some((network) => isInNetwork(address, network))
  }
}

/**
 * Who is at the other end of a request. The connection's own address, unless that is a trusted proxy: then
 * X-Forwarded-For is read from right to left, and the first address that is not a trusted proxy counts. What an
 * untrusted sender wrote there is never believed; an entry that is no address ends the search at the last proxy.
 */
export function clientAddress(
  remoteAddress: string,
  forwardedFor: string | undefined,
  trusted: TrustedProxies,
): string {
  let known = canonicalHost(socketIp(remoteAddress))
  const hops = forwardedFor?.split(',').slice(-MAX_FORWARDED_HOPS) ?? []
  while (trusted(known)) {
    const hop = parseAddress(stripPort(hops.pop()?.trim() ?? ''))
    if (hop === undefined) return known
    known = hop.toString()
  }
  return known
}

function trustedNetwork(text: string): Network {
  const network = parseNetwork(text)
  if (network !== undefined) return network
  const address = parseAddress(text)
  if (address === undefined) {
    throw new LinkSocksError(
      'ERR_OPTION',
      `trusted proxy '${text}' is neither an address nor a CIDR such as 10.0.0.0/8`,
    )
  }
  return { address, bits: address.kind() === 'ipv4' ? 32 : 128 }
}

/** Strict IP text, perhaps with the zone of RFC 4007, which is left out; IPv4-mapped IPv6 counts as IPv4. */
function parseAddress(text: string): Ip | undefined {
  const ip = parseIp(text.replace(ZONE, ''))
  return ip === undefined ? undefined : unmapped(ip)
}

/** Some proxies write `address:port` or `[v6]:port`. */
function stripPort(entry: string): string {
  const match = /^\[([^\]]+)\](?::\d+)?$|^([\d.]+):\d+$/.exec(entry)
  return match?.[1] ?? match?.[2] ?? entry
}
