import type ipaddr from 'ipaddr.js'
import { embeddedIpv4, parseIp } from '../../address.js'
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
