import { isPort, parseIp } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import { remoteText } from '../../log.js'
import { addressRange, MAX_SHOWN, numberOf, type Range } from '../../policy/address-range.js'
import { portRange } from '../../policy/port-range.js'
import type { AccessRule, EgressPolicy, SocketAddress } from '../../ports.js'
import { RecentRefusals } from './recent-refusals.js'

/** Rules of one list. */
export const MAX_ACCESS_RULES = 1_000
/** Addresses of all rules of one list together, and as many ports. */
export const MAX_ACCESS_ENTRIES = 2_000

/** Why an address is refused. */
export const ACCESS_REFUSAL = 'blocked by access control'

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

function compiled({ addresses = [], ports = [] }: AccessRule, number: number): CompiledRule {
  const refused = (why: string): LinkSocksError => invalid(`access rule ${number}: ${why}`)
  return {
    addresses: addresses.map((text) => {
      const range = addressRange(text)
      if (typeof range === 'string') throw refused(range)
      return range
    }),
    ports: ports.map((port) => {
      const range = portRange(port)
      if (typeof range === 'string') throw refused(range)
      return range
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

/** Whether one of `ranges` has `value`; without any, all are allowed. */
function has<T extends bigint | number>(ranges: readonly Range<T>[], value: T): boolean {
  return ranges.length === 0 || ranges.some(([first, last]) => first <= value && value <= last)
}

function invalid(message: string): LinkSocksError {
  return new LinkSocksError('ERR_OPTION', message)
}
