import ipaddr from 'ipaddr.js'
import { LinkSocksError } from './errors.js'
import { remoteText } from './log.js'
import type { SocketAddress, Target } from './ports.js'

export type Ip = ipaddr.IPv4 | ipaddr.IPv6

/** Longest host name a SOCKS request or a message can carry, in characters. */
const MAX_HOST_LENGTH = 255

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
const UNSAFE_HOST = /[\s\u0000-\u0020\u007f-\u009f]/

/** Strict IP text: a decimal dotted quad, or RFC 4291 section 2.2 text without a zone; anything else is `undefined`. */
export function parseIp(text: string): Ip | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text)
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined
  const tail = text.slice(text.lastIndexOf(':') + 1)
  if (tail.includes('.') && !ipaddr.IPv4.isValidFourPartDecimal(tail)) return undefined
  return ipaddr.IPv6.parse(text)
}

/** The one spelling of an IP text (RFC 5952), an IPv4-mapped address as IPv4; `undefined` when it is none. */
export function canonicalIp(text: string): string | undefined {
  const ip = parseIp(text)
  if (ip === undefined) return undefined
  if (ip.kind() === 'ipv4') return ip.toString()
  const v6 = ip as ipaddr.IPv6
  return v6.isIPv4MappedAddress() ? v6.toIPv4Address().toString() : v6.toRFC5952String()
}

/**
 * The address a resolver would take `host` for without asking anyone: strict IP text, and the spellings of
 * inet_aton (`0xa9fea9fe`, `169.254.1`, a final dot). `undefined` for a domain.
 */
export function literalIp(host: string): string | undefined {
  const strict = canonicalIp(host)
  if (strict !== undefined) return strict
  const bare = host.endsWith('.') ? host.slice(0, -1) : host
  return ipaddr.IPv4.isValid(bare) ? ipaddr.IPv4.parse(bare).toString() : undefined
}

/** Whether an IP text is IPv6. */
export function isIpv6(text: string): boolean {
  return text.includes(':')
}

/** `host:port` as logs and errors show it, IPv6 in brackets; safe to show even when a peer chose it. */
export function addressText({ host, port }: SocketAddress | Target): string {
  const shown = remoteText(host)
  return host.includes(':') ? `[${shown}]:${port}` : `${shown}:${port}`
}

/** Says why `target` can't be reached by anyone, or `undefined`. */
export function targetProblem({ host, port }: Target): string | undefined {
  if (host === '') return 'the host is empty'
  if (host.length > MAX_HOST_LENGTH || UNSAFE_HOST.test(host)) return 'the host is not a name or an address'
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return `port ${port} cannot be dialled`
  return undefined
}

/** @throws {LinkSocksError} ERR_DIAL_FAILED when no one could reach `target` (port 0, empty or broken host) */
export function checkTarget(target: Target): void {
  const problem = targetProblem(target)
  if (problem !== undefined) throw new LinkSocksError('ERR_DIAL_FAILED', problem)
}

/** Whom an address is counted for: an IPv6 customer has a whole /64 (RFC 6177), which is its first four groups. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : new Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0')
  return [...front, ...zeros, ...back].slice(0, 4).join(':')
}
