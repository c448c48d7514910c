import type ipaddr from 'ipaddr.js'
import { type Ip, MAX_PORT, parseIp } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import { remoteText } from '../../log.js'
import type { AccessRule, EgressPolicy, SocketAddress } from '../../ports.js'
import { RecentRefusals } from './recent-refusals.js'

/** Rules of one list. */
export const MAX_ACCESS_RULES = 1_000
/** Addresses of all rules of one list together, and as many ports. */
export const MAX_ACCESS_ENTRIES = 2_000
/** Longest text of an address: a range of two IPv6 addresses that end in dotted quads. */
export const MAX_ACCESS_ADDRESS_LENGTH = 91

/** Why an address is refused. */
export const ACCESS_REFUSAL = 'blocked by access control'

const ADDRESS_BITS = 128
/** The first 96 bits of an IPv4-mapped address, RFC 4291 section 2.5.5.2. */
const MAPPED_BITS = 96
const MAPPED_PREFIX = 0xffffn << 32n

/** Both ends included; none are in it when they are reversed. */
type Range<T> = readonly [first: T, last: T]

interface CompiledRule {
  /** None: any. */
  readonly addresses: readonly Range<bigint>[]
  /** None: any. */
  readonly ports: readonly Range<number>[]
}

/**
 * A list of rules that allow, ready to judge: a destination is allowed when one rule has both its address and its port.
 * Addresses are compared as numbers of 16 bytes, IPv4 as its mapped form, so that `::/0` covers IPv4 too.
 */
export class AccessList {
  /** As they were given. */
  readonly rules: readonly AccessRule[]
  readonly #rules: readonly CompiledRule[]

  /** @throws {LinkSocksError} ERR_OPTION, which names the rule and repeats the entry */
  constructor(rules: readonly AccessRule[]) {
    if (rules.length > MAX_ACCESS_RULES) throw invalid(`at most ${MAX_ACCESS_RULES} access rules`)
    checkCount('addresses', rules)
    checkCount('ports', rules)
    this.#rules = rules.map((rule, index) => compiled(rule, index + 1))
    this.rules = rules.map(copyOf)
  }

  /** Whether a rule has this address, which is IP text without a zone; anything else is refused. */
  allows({ host, port }: SocketAddress): boolean {
    const ip = parseIp(host)
    if (ip === undefined) return false
    const number = numberOf(ip)
    return this.#rules.some(({ addresses, ports }) => has(ports, port) && has(addresses, number))
  }
}

/** @returns `undefined` for a list without rules, which limits nothing. @throws {LinkSocksError} ERR_OPTION */
export function accessList(rules: readonly AccessRule[] | undefined): AccessList | undefined {
  return rules === undefined || rules.length === 0 ? undefined : new AccessList(rules)
}

/** Asked at each request, so that rules may change; `undefined` limits nothing. */
export type AccessSource = () => AccessList | undefined

/** Those of `sources` that limit anything now: an address has to be in each of them. */
export function listsOf(sources: readonly AccessSource[]): readonly AccessList[] {
  return sources.flatMap((source) => source() ?? [])
}

/** A policy that asks `policy` first and then each of `access`. */
export function withAccess(policy: EgressPolicy, access: readonly AccessSource[]): EgressPolicy {
  const refusals = new RecentRefusals()
  return (address, protocol) => {
    const why = policy(address, protocol)
    if (why !== undefined) return why
    return refusals.allows(address, listsOf(access)) ? undefined : ACCESS_REFUSAL
  }
}

/**
 * One rule as the command line has it: `ADDR:PORT`, split at the last colon, so that IPv6 needs no brackets.
 * @throws {LinkSocksError} ERR_OPTION, in the deployed words
 */
export function parseAccessRule(text: string): AccessRule {
  const refused = (why: string): LinkSocksError =>
    invalid(`invalid --access-rule "${remoteText(text.slice(0, MAX_SHOWN))}": ${why}`)
  const colon = text.lastIndexOf(':')
  if (colon < 0) throw refused('want ADDR:PORT')
  const address = text.slice(0, colon)
  const ports = portsOf(text.slice(colon + 1))
  if (typeof ports === 'string') throw refused(ports)
  const range = addressRange(address)
  if (typeof range === 'string') throw refused(range)
  return { addresses: [address], ports: [ports] }
}

/** Most of a rejected text that an error repeats. */
const MAX_SHOWN = 100

function compiled({ addresses = [], ports = [] }: AccessRule, number: number): CompiledRule {
  const refused = (why: string): LinkSocksError => invalid(`access rule ${number}: ${why}`)
  return {
    addresses: addresses.map((text) => {
      const range = addressRange(text)
      if (typeof range === 'string') throw refused(range)
      return range
    }),
    ports: ports.map((port) => {
      const [first, last] = typeof port === 'number' ? [port, port] : port
      if (isPort(first) && isPort(last) && first <= last) return [first, last]
      throw refused(`a port must be from 1 to ${MAX_PORT}, or two of them as [low, high]`)
    }),
  }
}

function checkCount(kind: 'addresses' | 'ports', rules: readonly AccessRule[]): void {
  const count = rules.reduce((sum, rule) => sum + (rule[kind]?.length ?? 0), 0)
  if (count > MAX_ACCESS_ENTRIES) throw invalid(`at most ${MAX_ACCESS_ENTRIES} ${kind} in the access rules`)
}

function copyOf({ addresses = [], ports = [] }: AccessRule): AccessRule {
  return {
    ...(addresses.length > 0 && { addresses: [...addresses] }),
    ...(ports.length > 0 && { ports: ports.map((port) => (typeof port === 'number' ? port : ([...port] as const))) }),
  }
}

/** @returns why not, in the deployed words */
function addressRange(text: string): Range<bigint> | string {
  if (text === '') return 'empty address spec'
  const shown = remoteText(text.slice(0, MAX_SHOWN))
  if (text.length > MAX_ACCESS_ADDRESS_LENGTH) return `invalid address "${shown}"`
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

/** `22` or `8000-8999`. @returns why not, in the deployed words */
function portsOf(text: string): number | Range<number> | string {
  const shown = remoteText(text.slice(0, MAX_SHOWN))
  const [, low, high] = /^(\d{1,5})-(\d{1,5})$/.exec(text) ?? []
  const [first, last] = [Number(low), Number(high)]
  if (text.includes('-')) {
    return isPort(first) && isPort(last) && first <= last ? [first, last] : `bad port range "${shown}"`
  }
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return isPort(port) ? port : `bad port "${shown}"`
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= MAX_PORT
}

function numberOf(ip: Ip): bigint {
  if (ip.kind() === 'ipv4') return MAPPED_PREFIX | groups((ip as ipaddr.IPv4).octets, 8n)
  return groups((ip as ipaddr.IPv6).parts, 16n)
}

function groups(parts: readonly number[], bits: bigint): bigint {
  return parts.reduce((number, part) => (number << bits) | BigInt(part), 0n)
}

/** Whether one of `ranges` has `value`; without any, all are allowed. */
function has<T extends bigint | number>(ranges: readonly Range<T>[], value: T): boolean {
  return ranges.length === 0 || ranges.some(([first, last]) => first <= value && value <= last)
}

function invalid(message: string): LinkSocksError {
  return new LinkSocksError('ERR_OPTION', message)
}
