import type ipaddr from 'ipaddr.js'
import { type Ip, parseIp } from '../address.js'
import { remoteText } from '../log.js'

/** Longest text of an address: a range of two IPv6 addresses that end in dotted quads. */
export const MAX_ADDRESS_ENTRY_LENGTH = 91
/** Most of a rejected text that an error repeats. */
export const MAX_SHOWN = 100

const ADDRESS_BITS = 128
/** The first 96 bits of an IPv4-mapped address, RFC 4291 section 2.5.5.2. */
const MAPPED_BITS = 96
const MAPPED_PREFIX = 0xffffn << 32n

/** Both ends included; none are in it when they are reversed. */
export type Range<T> = readonly [first: T, last: T]

/**
 * CIDR, IP text, `A-B` of two IPs or `192.168.1.1-255` as numbers of 16 bytes, IPv4 in its mapped form.
 * @returns why not, in the deployed words
 */
export function addressRange(text: string): Range<bigint> | string {
  if (text === '') return 'empty address spec'
  const shown = remoteText(text.slice(0, MAX_SHOWN))
  if (text.length > MAX_ADDRESS_ENTRY_LENGTH) return `invalid address "${shown}"`
  if (text.includes('/')) return networkRange(text) ?? `invalid CIDR "${shown}"`
  if (text.includes('-')) return fromTo(text) ?? `invalid address range "${shown}"`
  const ip = parseIp(text)
  return ip === undefined ? `invalid address "${shown}"` : [numberOf(ip), numberOf(ip)]
}

/** `10.0.0.0/8`; bits behind the prefix don't count. */
function networkRange(text: string): Range<bigint> | undefined {
  const [, host = '', prefix = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? []
  const ip = parseIp(host)
  if (ip === undefined) return undefined
  const bits = Number(prefix) + (ip.kind() === 'ipv4' ? MAPPED_BITS : 0)
  if (bits > ADDRESS_BITS) return undefined
  const behind = (1n << BigInt(ADDRESS_BITS - bits)) - 1n
  const last = numberOf(ip) | behind
  return [last - behind, last]
}

/** `10.0.0.1-10.0.0.9`, or `10.0.0.1-9` for a range in the last octet. */
function fromTo(text: string): Range<bigint> | undefined {
  const [from = '', to = '', ...rest] = text.split('-')
  const first = parseIp(from)
  if (first === undefined || rest.length > 0) return undefined
  const octet = first.kind() === 'ipv4' && /^\d{1,3}$/.test(to) ? Number(to) : undefined
  if (octet !== undefined)
    return octet > 0xff ? undefined : [numberOf(first), (numberOf(first) & ~0xffn) | BigInt(octet)]
  const last = parseIp(to)
  return last === undefined ? undefined : [numberOf(first), numberOf(last)]
}

/** An address as a number of 16 bytes, IPv4 in its mapped form. */
export function numberOf(ip: Ip): bigint {
  if (ip.kind() === 'ipv4') return MAPPED_PREFIX | groups((ip as ipaddr.IPv4).octets, 8n)
  return groups((ip as ipaddr.IPv6).parts, 16n)
}

function groups(parts: readonly number[], bits: bigint): bigint {
  return parts.reduce((number, part) => (number << bits) | BigInt(part), 0n)
}

/** As addressRange(), for where a range that is reversed, and has nothing in it, would be a rule that does nothing. */
export function filledRange(text: string): Range<bigint> | string {
  const range = addressRange(text)
  if (typeof range === 'string' || range[0] <= range[1]) return range
  return `reversed address range "${remoteText(text.slice(0, MAX_SHOWN))}"`
}
