import ipaddr from 'ipaddr.js'
import { LinkSocksError } from '../../errors.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** Entries of X-Forwarded-For that are looked at; chains of proxies are short. */
const MAX_FORWARDED_HOPS = 16

/** Judges whether an address is one of the reverse proxies whose word is taken. */
export type TrustedProxies = (address: string) => boolean

/**
 * Reads the reverse proxies an operator trusts: CIDRs or single addresses.
 * @throws {LinkSocksError} ERR_OPTION, naming the entry that is neither
 */
export function trustedProxies(cidrs: readonly string[]): TrustedProxies {
  const networks = cidrs.map(parseNetwork)
  return (text) => {
    const address = parseAddress(text)
    return address !== undefined && networks.some(([network, bits]) => matches(address, network, bits))
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
  let known = plainAddress(remoteAddress)
  const hops = forwardedFor?.split(',').slice(-MAX_FORWARDED_HOPS) ?? []
  while (trusted(known)) {
    const hop = parseAddress(stripPort(hops.pop()?.trim() ?? ''))
    if (hop === undefined) return known
    known = hop.toString()
  }
  return known
}

function parseNetwork(text: string): [Address, number] {
  if (ipaddr.isValidCIDR(text)) return unmapped(ipaddr.parseCIDR(text))
  const address = parseAddress(text)
  if (address === undefined) {
    throw new LinkSocksError(
      'ERR_OPTION',
      `trusted proxy '${text}' is neither an address nor a CIDR such as 10.0.0.0/8`,
    )
  }
  return [address, address.kind() === 'ipv4' ? 32 : 128]
}

/** Addresses are compared as IPv4 where they are IPv4-mapped, so networks are too. */
function unmapped([network, bits]: [Address, number]): [Address, number] {
  if (network.kind() === 'ipv4' || bits < 96) return [network, bits]
  const v6 = network as ipaddr.IPv6
  return v6.isIPv4MappedAddress() ? [v6.toIPv4Address(), bits - 96] : [network, bits]
}

function matches(address: Address, network: Address, bits: number): boolean {
  return address.kind() === network.kind() && address.match(network, bits)
}

/** Strict IP text; IPv4-mapped IPv6 as IPv4. */
function parseAddress(text: string): Address | undefined {
  const strict = text.includes(':') ? ipaddr.IPv6.isValid(text) : ipaddr.IPv4.isValidFourPartDecimal(text)
  return strict ? ipaddr.process(text) : undefined
}

function plainAddress(text: string): string {
  return parseAddress(text)?.toString() ?? text
}

/** Some proxies write `address:port` or `[v6]:port`. */
function stripPort(entry: string): string {
  const match = /^\[([^\]]+)\](?::\d+)?$|^([\d.]+):\d+$/.exec(entry)
  return match?.[1] ?? match?.[2] ?? entry
}
