import type ipaddr from 'ipaddr.js'
import { embeddedIpv4, type Ip, isIpv6, literalIp, MAX_PORT, parseIp, targetProblem } from '../address.js'
import { LinkSocksError } from '../errors.js'
import type { EgressRule, TokenPolicy } from '../policy-fields.js'
import type { SocketAddress, Target } from '../ports.js'
import { AddressIndex } from './address-index.js'
import { canonicalName, type HostEntry, hostEntries } from './host-entry.js'
import { NameIndex } from './name-index.js'

/** Rules of one policy. */
export const MAX_EGRESS_RULES = 1_000
/** Hosts of all rules of one policy together, and as many ports. */
export const MAX_EGRESS_ENTRIES = 2_000

export type Protocol = 'tcp' | 'udp'

export interface Judgement {
  readonly allowed: boolean
  /** The number of the rule that decided, from 1; 0: none did, and the default holds. */
  readonly rule: number
}

/** What is said of a destination before its name is looked up, where the addresses of the name decide. */
export const DEPENDS = 'depends'

/** Stands for bytes that are no UTF-8; an exit elsewhere may take them as they are. */
const NO_TEXT = '\ufffd'

/** Index of the first rule that speaks of something; none does. */
const NONE = -1

interface Compiled {
  readonly allows: boolean
  readonly hosts: readonly HostEntry[]
  /** Pairs of first and last, flat. None: any. */
  readonly ports: readonly number[]
  readonly protocol: Protocol | undefined
}

/**
 * The rules of a policy, ready to judge. The name that was asked for is judged by the entries that are names, an address by those that are
 * addresses, and in each the first rule decides; a rule without hosts takes part in both. Denied by either: denied. Allowed by at
 * least one: allowed. By none: the default.
 */
export class EgressRules {
  /** As they were given. */
  readonly policy: Pick<TokenPolicy, 'egress' | 'egressDefault'>
  /** What holds for a destination of which no rule speaks. */
  readonly defaultAllows: boolean
  readonly #rules: readonly Compiled[]
  readonly #names: NameIndex
  readonly #addresses: AddressIndex
  /** Rules with addresses or without hosts, in order: what the addresses of a name may come to. */
  readonly #ofAddresses: readonly number[]

  /** @throws {LinkSocksError} ERR_OPTION, which names the rule and repeats the entry */
  constructor(rules: readonly EgressRule[], egressDefault?: 'allow' | 'deny') {
    if (rules.length > MAX_EGRESS_RULES) throw invalid(`at most ${MAX_EGRESS_RULES} egress rules`)
    checkCount('hosts', rules)
    checkCount('ports', rules)
    this.policy = { egress: rules, egressDefault }
    this.#rules = rules.map((rule, index) => compiled(rule, index + 1))
    this.defaultAllows =
      egressDefault === undefined ? !rules.some(({ action }) => action === 'allow') : egressDefault === 'allow'
    const hosts = this.#rules.map((rule) => rule.hosts)
    this.#names = new NameIndex(hosts)
    this.#addresses = new AddressIndex(hosts)
    this.#ofAddresses = [...hosts.keys()].filter(
      (at) => hosts[at]?.length === 0 || hosts[at]?.some(({ kind }) => kind === 'addresses'),
    )
  }

  /** Judges an address that a name, or itself, was asked for by. */
  judge(asked: string, address: SocketAddress, protocol: Protocol): Judgement {
    const named = literalIp(asked) === undefined ? this.#firstForName(asked, address.port, protocol) : NONE
    const ip = parseIp(address.host)
    // what is no address is in no list, and must not pass by a default that allows
    if (ip === undefined) return { allowed: false, rule: 0 }
    return this.#combined(named, this.#firstForAddress(ip, address.port, protocol))
  }

  /** Judges what was asked for, as far as that is possible without a look-up. */
  judgeAsked({ host, port }: Target, protocol: Protocol): Judgement | typeof DEPENDS {
    const ip = literalIp(host)
    if (ip !== undefined) return this.judge(ip, { host: ip, port }, protocol)
    // no name has a colon; and what others may read otherwise, such as a name with a zero byte, must not pass by what it is here
    if (isIpv6(host) || host.includes(NO_TEXT) || targetProblem({ host, port }) !== undefined) {
      return { allowed: false, rule: 0 }
    }
    const named = this.#firstForName(host, port, protocol)
    if (this.#denies(named)) return { allowed: false, rule: named + 1 }
    let only: Judgement | undefined
    for (const addressed of this.#outcomes(port, protocol)) {
      const judgement = this.#combined(named, addressed)
      if (only !== undefined && only.allowed !== judgement.allowed) return DEPENDS
      only ??= judgement
    }
    return only ?? this.#combined(named, NONE)
  }

  /** The first rules that may speak of some address, as far as they differ in what they say. */
  #outcomes(port: number, protocol: Protocol): readonly number[] {
    const outcomes: number[] = []
    for (const at of this.#ofAddresses) {
      if (!this.#speaksOf(at, port, protocol)) continue
      outcomes.push(at)
      if (this.#rules[at]?.hosts.length === 0) return outcomes
    }
    return [NONE, ...outcomes]
  }

  #firstForName(name: string, port: number, protocol: Protocol): number {
    return this.#names.first(canonicalName(name), (at) => this.#speaksOf(at, port, protocol))
  }

  /** An IPv6 address that stands for one of IPv4 is judged as both. */
  #firstForAddress(ip: Ip, port: number, protocol: Protocol): number {
    const speaks = (at: number): boolean => this.#speaksOf(at, port, protocol)
    const first = this.#addresses.first(ip, speaks)
    const inside = insideOf(ip)
    if (inside === undefined) return first
    const embedded = this.#addresses.first(inside, speaks)
    if (first === NONE || this.#denies(embedded)) return embedded
    return first
  }

  #speaksOf(at: number, port: number, protocol: Protocol): boolean {
    const rule = this.#rules[at]
    if (rule === undefined || (rule.protocol !== undefined && rule.protocol !== protocol)) return false
    const { ports } = rule
    if (ports.length === 0) return true
    for (let i = 0; i < ports.length; i += 2) {
      if ((ports[i] as number) <= port && port <= (ports[i + 1] as number)) return true
    }
    return false
  }

  #combined(named: number, addressed: number): Judgement {
    if (this.#denies(named)) return { allowed: false, rule: named + 1 }
    if (this.#denies(addressed)) return { allowed: false, rule: addressed + 1 }
    if (named !== NONE) return { allowed: true, rule: named + 1 }
    if (addressed !== NONE) return { allowed: true, rule: addressed + 1 }
    return { allowed: this.defaultAllows, rule: 0 }
  }

  #denies(at: number): boolean {
    return at !== NONE && this.#rules[at]?.allows === false
  }
}

/** The IPv4 address inside an IPv6 address; `::` and `::1` are none. */
function insideOf(ip: Ip): Ip | undefined {
  if (ip.kind() === 'ipv4' || ip.range() === 'loopback' || ip.range() === 'unspecified') return undefined
  return embeddedIpv4((ip as ipaddr.IPv6).parts)
}

function compiled({ action, hosts = [], ports = [], protocol }: EgressRule, number: number): Compiled {
  const refused = (why: string): LinkSocksError => invalid(`egress rule ${number}: ${why}`)
  if (action !== 'allow' && action !== 'deny') throw refused('action must be allow or deny')
  if (protocol !== undefined && protocol !== 'tcp' && protocol !== 'udp') throw refused('protocol must be tcp or udp')
  return {
    allows: action === 'allow',
    hosts: hosts.flatMap((text) => {
      const entries = hostEntries(text)
      if (typeof entries === 'string') throw refused(entries)
      return entries
    }),
    ports: ports.flatMap((port) => {
      const [first, last] = typeof port === 'number' ? [port, port] : port
      if (isPort(first) && isPort(last) && first <= last) return [first, last]
      throw refused(`a port must be from 1 to ${MAX_PORT}, or two of them as [low, high]`)
    }),
    protocol,
  }
}

function checkCount(kind: 'hosts' | 'ports', rules: readonly EgressRule[]): void {
  const count = rules.reduce((sum, rule) => sum + (rule[kind]?.length ?? 0), 0)
  if (count > MAX_EGRESS_ENTRIES) throw invalid(`at most ${MAX_EGRESS_ENTRIES} ${kind} in the egress rules`)
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= MAX_PORT
}

function invalid(message: string): LinkSocksError {
  return new LinkSocksError('ERR_OPTION', message)
}
