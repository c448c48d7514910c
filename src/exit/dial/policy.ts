import ipaddr from 'ipaddr.js'
import { parseIp } from '../../address.js'
import type { EgressPolicy } from '../../ports.js'

const NOT_AN_ADDRESS = 'not an IP address'

/**
 * What an exit reaches unless told otherwise: everything but unspecified (0.0.0.0/8, ::), multicast, broadcast and
 * link-local addresses (cloud metadata at 169.254.169.254 is one), also where an IPv6 address embeds such an IPv4
 * address. Loopback and private networks are allowed: reaching them is what a tunnel is for.
 */
export const defaultEgressPolicy: EgressPolicy = ({ host }) => {
  const ip = parseIp(host)
  // a zone names an interface of this machine, which is no business of the far side
  if (ip === undefined) return NOT_AN_ADDRESS
  return ip.kind() === 'ipv4' ? problemOfIpv4(ip as ipaddr.IPv4) : problemOfIpv6(ip as ipaddr.IPv6)
}

/** Leaves every decision to whoever named the address: for the way to a proxy that the operator chose. */
export const allowAll: EgressPolicy = () => undefined

function problemOfIpv4(ip: ipaddr.IPv4): string | undefined {
  switch (ip.range()) {
    case 'unspecified':
      return 'unspecified address'
    case 'broadcast':
      return 'broadcast address'
    case 'multicast':
      return 'multicast address'
    case 'linkLocal':
      return 'link-local address'
    default:
      return undefined
  }
}

function problemOfIpv6(ip: ipaddr.IPv6): string | undefined {
  switch (ip.range()) {
    case 'loopback':
      return undefined
    case 'unspecified':
      return 'unspecified address'
    case 'multicast':
      return 'multicast address'
    case 'linkLocal':
      return 'link-local address'
    default: {
      const embedded = embeddedIpv4(ip.parts)
      const why = embedded === undefined ? undefined : problemOfIpv4(embedded)
      return why === undefined ? undefined : `${why} inside an IPv6 address`
    }
  }
}

/** Prefixes, in 16-bit groups, below which the last 32 bits are an IPv4 address. */
const IPV4_IN_LAST_BITS: readonly (readonly number[])[] = [
  [0, 0, 0, 0, 0, 0xffff], // IPv4-mapped, RFC 4291 section 2.5.5.2
  [0, 0, 0, 0, 0, 0], // IPv4-compatible, RFC 4291 section 2.5.5.1
  [0, 0, 0, 0, 0xffff, 0], // IPv4-translated, RFC 2765 section 2.1
  [0x64, 0xff9b, 0, 0, 0, 0], // NAT64, RFC 6052 section 2.1
  [0x64, 0xff9b, 1], // NAT64 of one network, RFC 8215
]

function embeddedIpv4(parts: readonly number[]): ipaddr.IPv4 | undefined {
  // 6to4, RFC 3056 section 2
  if (parts[0] === 0x2002) return ipv4Of(parts[1], parts[2])
  if (IPV4_IN_LAST_BITS.some((prefix) => prefix.every((group, at) => parts[at] === group))) {
    return ipv4Of(parts[6], parts[7])
  }
  return undefined
}

function ipv4Of(high = 0, low = 0): ipaddr.IPv4 {
  return new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff])
}
