import ipaddr from 'ipaddr.js'
import { LinkSocksError } from './errors.js'
import { remoteText } from './log.js'
import type { SocketAddress, Target } from './ports.js'

export type Ip = ipaddr.IPv4 | ipaddr.IPv6

/** Largest number of a TCP or UDP port. */
export const MAX_PORT = 65_535

/** Longest host name a SOCKS request or a message can carry, in characters. */
const MAX_HOST_LENGTH = 255

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
const UNSAFE_HOST = /[\s\u0000-\u0020\u007f-\u009f]/

const OCTET = /(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)/.source
const DOTTED_QUAD = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`)
/** What inet_aton may take for an address, and no name that anybody has. */
const NUMBERS = /^(?:\d+|0x[\da-f]+)(?:\.(?:\d+|0x[\da-f]+)){0,3}$/i

/**
 * Strict IP text: a decimal dotted quad, or RFC 4291 section 2.2 text without a zone; anything else is `undefined`. Every destination is
 * read here, most of them names: ipaddr.js throws at those, which costs more than all the rest of a judgement.
 */
export function parseIp(text: string): Ip | undefined {
  if (!text.includes(':')) return DOTTED_QUAD.test(text) ? new ipaddr.IPv4(text.split('.').map(Number)) : undefined
  if (text.includes('%')) return undefined
  // ipaddr.js also takes octal and shortened numbers in a dotted tail
  const tail = text.slice(text.lastIndexOf(':') + 1)
  if (tail.includes('.') && !DOTTED_QUAD.test(tail)) return undefined
  try {
    return ipaddr.IPv6.parse(text)
  } catch {
    return undefined
  }
}

/** An IPv4-mapped IPv6 address as IPv4, so that both compare equal; any other as it is. */
export function unmapped(ip: Ip): Ip {
  if (ip.kind() === 'ipv4') return ip
  const v6 = ip as ipaddr.IPv6
  return v6.isIPv4MappedAddress() ? v6.toIPv4Address() : v6
}

/** The one spelling of an IP text (RFC 5952), an IPv4-mapped address as IPv4; `undefined` when it is none. */
export function canonicalIp(text: string): string | undefined {
  const ip = parseIp(text)
  return ip === undefined ? undefined : unmapped(ip).toString()
}

/** The one spelling of a host: IP text as {@link canonicalIp} writes it, anything else as it is. */
export function canonicalHost(host: string): string {
  return canonicalIp(host) ?? host
}

/** A name that is an IPv6 address in brackets is that address: some programs write the host of a URL as it stands there. */
export function bareHost(name: string): string {
  if (!name.startsWith('[') || !name.endsWith(']')) return name
  const inside = name.slice(1, -1)
  return isIpv6(inside) ? (canonicalIp(inside) ?? name) : name
}

/**
 * The address a resolver would take `host` for without asking anyone: strict IP text, and the spellings of
 * inet_aton (`0xa9fea9fe`, `169.254.1`, a final dot). `undefined` for a domain.
 */
export function literalIp(host: string): string | undefined {
  return parseLiteralIp(host)?.toString()
}

/** The address of {@link literalIp}. */
export function parseLiteralIp(host: string): Ip | undefined {
  const strict = parseIp(host)
  if (strict !== undefined) return unmapped(strict)
  const bare = host.endsWith('.') ? host.slice(0, -1) : host
  return NUMBERS.test(bare) && ipaddr.IPv4.isValid(bare) ? ipaddr.IPv4.parse(bare) : undefined
}

/** A network in CIDR notation, RFC 4632. */
export interface Network {
  readonly address: Ip
  readonly bits: number
}

/** Reads `10.0.0.0/8`; a network of IPv4-mapped addresses is one of IPv4. `undefined` when it is none. */
export function parseNetwork(text: string): Network | undefined {
  if (!ipaddr.isValidCIDR(text)) return undefined
  const [address, bits] = ipaddr.parseCIDR(text)
  const plain = bits < 96 ? address : unmapped(address)
  return { address: plain, bits: plain.kind() === address.kind() ? bits : bits - 96 }
}

/** Whether `ip`, which must be {@link unmapped}, is in a network. */
export function isInNetwork(ip: Ip, { address, bits }: Network): boolean {
  return ip.kind() === address.kind() && ip.match(address, bits)
}

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/**
 * IP text that the system's sockets report, as this program shows it: without a zone, IPv4-mapped IPv6 as IPv4. Sockets
 * spell every address in one way, so this parses nothing; text of any other origin is for {@link canonicalIp}.
 */
export function socketIp(text: string): string {
  if (!isIpv6(text)) return text
  const zone = text.indexOf('%')
  const ip = zone === -1 ? text : text.slice(0, zone)
  return MAPPED_IPV4.exec(ip)?.[1] ?? ip
}

/** The zone of IP text that the system's sockets report; only link-local addresses have one. */
export function socketZone(text: string): string | undefined {
  const zone = text.indexOf('%')
  return zone === -1 ? undefined : text.slice(zone + 1)
}

/** Why a URL that has a zone is refused; the hosts file and DNS carry none either. */
export function zoneRefused(what: string): string {
  return `a URL carries no zone of an IPv6 address (RFC 9844): give an address of the ${what} that is not link-local`
}

/** Whether IP text is a link-local address of IPv6, which names nothing without its zone. */
export function isLinkLocalIpv6(host: string): boolean {
  return /^fe[89ab][\da-f]:/i.test(host)
}

/** Whether only this machine is reached at `host`: an address of loopback in any spelling, or a name under `localhost` (RFC 6761). */
export function isLoopback(host: string): boolean {
  if (/^(.+\.)?localhost\.?$/i.test(host)) return true
  const ip = parseIp(literalIp(host) ?? '')
  return ip?.range() === 'loopback'
}

/** Whether an IP text is IPv6. */
export function isIpv6(text: string): boolean {
  return text.includes(':')
}

/** `host:port` as logs and errors show it, IPv6 in brackets; safe to show even when a peer chose it. */
export function addressText({ host, port }: SocketAddress | Target): string {
  const shown = remoteText(host)
  return isIpv6(host) ? `[${shown}]:${port}` : `${shown}:${port}`
}

/** Whether TCP or UDP can be sent to a port of this number. */
export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= MAX_PORT
}

/** Says why `target` can't be reached by anyone, or `undefined`. */
export function targetProblem({ host, port }: Target): string | undefined {
  const problem = hostProblem(host)
  if (problem !== undefined) return problem
  return isPort(port) ? undefined : `port ${port} cannot be dialled`
}

/** @throws {LinkSocksError} when no one could reach `target`: ERR_DIAL_HOST_UNREACHABLE (empty or broken host), ERR_DIAL_FAILED (port 0) */
export function checkTarget(target: Target): void {
  const problem = targetProblem(target)
  if (problem === undefined) return
  const code = hostProblem(target.host) === undefined ? 'ERR_DIAL_FAILED' : 'ERR_DIAL_HOST_UNREACHABLE'
  throw new LinkSocksError(code, problem)
}

function hostProblem(host: string): string | undefined {
  if (host === '') return 'the host is empty'
  if (host.length > MAX_HOST_LENGTH || UNSAFE_HOST.test(host)) return 'the host is not a name or an address'
  if (isIpv6(host) && canonicalIp(host) === undefined && !hasZone(host)) {
    return 'the host is not a name or an address: there is a port or a scheme in it'
  }
  return undefined
}

/** Whether `host` is IPv6 text with a zone id (RFC 4007 section 11). */
export function hasZone(host: string): boolean {
  const zone = host.indexOf('%')
  return zone !== -1 && parseIp(host.slice(0, zone))?.kind() === 'ipv6'
}

/** Whom an address is counted for: an IPv6 customer has a whole /64 (RFC 6177), which is its first four groups. */
export function networkOf(address: string): string {
  if (!isIpv6(address)) return address
  const [head = '', tail] = address.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : new Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0')
  return [...front, ...zeros, ...back].slice(0, 4).join(':')
}

/** Prefixes, in 16-bit groups, below which the last 32 bits are an IPv4 address. */
const IPV4_IN_LAST_BITS: readonly (readonly number[])[] = [
  [0, 0, 0, 0, 0, 0xffff], // IPv4-mapped, RFC 4291 section 2.5.5.2
  [0, 0, 0, 0, 0, 0], // IPv4-compatible, RFC 4291 section 2.5.5.1
  [0, 0, 0, 0, 0xffff, 0], // IPv4-translated, RFC 2765 section 2.1
  [0x64, 0xff9b, 0, 0, 0, 0], // NAT64, RFC 6052 section 2.1
  [0x64, 0xff9b, 1], // NAT64 of one network, RFC 8215
]

/** The IPv4 address that an IPv6 address leads to or stands for; `parts` are its 16-bit groups. */
export function embeddedIpv4(parts: readonly number[]): ipaddr.IPv4 | undefined {
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
