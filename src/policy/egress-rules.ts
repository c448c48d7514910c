import type ipaddr from 'ipaddr.js'
import { embeddedIpv4, type Ip, isIpv6, parseIp, parseLiteralIp, targetProblem } from '../address.js'
import { LinkSocksError } from '../errors.js'
import type { EgressRule, TokenPolicy } from '../policy-fields.js'
import type { SocketAddress, Target } from '../ports.js'
import { AddressIndex } from './address-index.js'
import { canonicalName, hostEntries } from './host-entry.js'
import { NameIndex } from './name-index.js'
import { portRange } from './port-range.js'
import { NONE, type Protocol, type RuleTerms, type Speaking, SpeakingRules } from './speaking-rules.js'

/** Rules of one policy. */
export const MAX_EGRESS_RULES = 1_000
/** Hosts of all rules of one policy together, and as many ports. */
export const MAX_EGRESS_ENTRIES = 2_000

export type { Protocol }

export interface Judgement {
  readonly allowed: boolean
  /** The number of the rule that decided, from 1; 0: none did, and the default holds. */
  readonly rule: number
}

/** What is said of a destination before its name is looked up, where the addresses of the name decide. */
export const DEPENDS = 'depends'

const NAT64 = [0x64, 0xff9b, 0, 0, 0, 0]

/** Stands for bytes that are no UTF-8; an exit elsewhere may take them as they are. */
const NO_TEXT = '\ufffd'

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
  readonly #rules: readonly RuleTerms[]
  readonly #speaking: SpeakingRules
  readonly #names: NameIndex
  readonly #addresses: AddressIndex

  /** @throws {LinkSocksError} ERR_OPTION, which names the rule and repeats the entry */
  constructor(rules: readonly EgressRule[], egressDefault?: 'allow' | 'deny') {
    if (rules.length > MAX_EGRESS_RULES) throw invalid(`at most ${MAX_EGRESS_RULES} egress rules`)
    checkCount('hosts', rules)
    checkCount('ports', rules)
    this.policy = { egress: rules, egressDefault }
    const read = rules.map((rule, index) => readRule(rule, index + 1))
    const hosts = read.map((rule) => rule.hosts)
    this.#rules = read.map(({ terms }) => terms)
    this.#speaking = new SpeakingRules(this.#rules)
    this.defaultAllows =
      egressDefault === undefined ? !rules.some(({ action }) => action === 'allow') : egressDefault === 'allow'
    this.#names = new NameIndex(hosts)
    this.#addresses = new AddressIndex(hosts)
  }

  /** Judges an address that a name, or itself, was asked for by. */
  judge(asked: string, address: SocketAddress, protocol: Protocol): Judgement {
    const ip = parseIp(address.host)
    // what is no address is in no list, and must not pass by a default that allows
    if (ip === undefined) return { allowed: false, rule: 0 }
    const speaking = this.#speaking.of(address.port, protocol)
    const isName = asked !== address.host && parseLiteralIp(asked) === undefined
    return this.#combined(isName ? this.#firstForName(asked, speaking) : NONE, this.#firstForAddress(ip, speaking))
  }

  /** Judges what was asked for, as far as that is possible without a look-up. */
  judgeAsked({ host, port }: Target, protocol: Protocol): Judgement | typeof DEPENDS {
    const ip = parseLiteralIp(host)
    const speaking = this.#speaking.of(port, protocol)
    if (ip !== undefined) return this.#combined(NONE, this.#firstForAddress(ip, speaking))
    // no name has a colon; and what others may read otherwise, such as a name with a zero byte, must not pass by what it is here
    if (isIpv6(host) || host.includes(NO_TEXT) || targetProblem({ host, port }) !== undefined) {
      return { allowed: false, rule: 0 }
    }
    const named = this.#firstForName(host, speaking)
    if (this.#denies(named)) return { allowed: false, rule: named + 1 }
    let only: Judgement | undefined
    for (const addressed of speaking.outcomes) {
      const judgement = this.#combined(named, addressed)
      if (only !== undefined && only.allowed !== judgement.allowed) return DEPENDS
      only ??= judgement
    }
    return only ?? this.#combined(named, NONE)
  }

  #firstForName(name: string, speaking: Speaking): number {
    return this.#names.first(canonicalName(name), speaking)
  }

  /** An IPv6 address that stands for one of IPv4 is judged as both. */
  #firstForAddress(ip: Ip, speaking: Speaking): number {
    const first = this.#addresses.first(ip, speaking)
    const inside = insideOf(ip)
    if (inside === undefined) return first
    const embedded = this.#addresses.first(inside, speaking)
    if (this.#denies(embedded)) return embedded
    // what is allowed there may be another host here, but for NAT64
    return first === NONE && isNat64(ip) ? embedded : first
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

/** Whether an IPv6 address of the well-known prefix leads to the IPv4 address inside (RFC 6052 section 2.1). */
function isNat64(ip: Ip): boolean {
  return NAT64.every((part, at) => (ip as ipaddr.IPv6).parts[at] === part)
}

/** The IPv4 address inside an IPv6 address; `::` and `::1` are none. */
function insideOf(ip: Ip): Ip | undefined {
  if (ip.kind() === 'ipv4') return undefined
  const { parts } = ip as ipaddr.IPv6
  const isOwn = parts.every((part, at) => part === 0 || (at === 7 && part === 1))
  return isOwn ? undefined : embeddedIpv4(parts)
}

function readRule({ action, hosts = [], ports = [], protocol }: EgressRule, number: number) {
  const refused = (why: string): LinkSocksError => invalid(`egress rule ${number}: ${why}`)
  if (action !== 'allow' && action !== 'deny') throw refused('action must be allow or deny')
  if (protocol !== undefined && protocol !== 'tcp' && protocol !== 'udp') throw refused('protocol must be tcp or udp')
  const entries = hosts.flatMap((text) => {
    const found = hostEntries(text)
    if (typeof found === 'string') throw refused(found)
    return found
  })
  const terms: RuleTerms = {
    allows: action === 'allow',
    ports: ports.flatMap((port) => {
      const range = portRange(port)
      if (typeof range === 'string') throw refused(range)
      return range
    }),
    protocol,
    ofAddresses: entries.length === 0 || entries.some(({ kind }) => kind === 'addresses'),
    anyHost: entries.length === 0,
  }
  return { hosts: entries, terms }
}

function checkCount(kind: 'hosts' | 'ports', rules: readonly EgressRule[]): void {
  const count = rules.reduce((sum, rule) => sum + (rule[kind]?.length ?? 0), 0)
  if (count > MAX_EGRESS_ENTRIES) throw invalid(`at most ${MAX_EGRESS_ENTRIES} ${kind} in the egress rules`)
}

function invalid(message: string): LinkSocksError {
  return new LinkSocksError('ERR_OPTION', message)
}
