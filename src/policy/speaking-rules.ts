import { Lru } from '../lru.js'

export type Protocol = 'tcp' | 'udp'

/** Ports, of which the rules say different things, whose answers are kept: a byte for each rule. */
const MAX_KEPT = 8
/** Index of the first rule that speaks of something; none does. */
export const NONE = -1

export interface RuleTerms {
  readonly allows: boolean
  /** Pairs of first and last, flat. None: any. */
  readonly ports: readonly number[]
  readonly protocol: Protocol | undefined
  /** Whether it has addresses, or no hosts. */
  readonly ofAddresses: boolean
  readonly anyHost: boolean
}

/** What the rules have to say of one port and protocol. */
export interface Speaking {
  /** 1 for a rule that speaks of it. */
  readonly rules: Uint8Array
  /** The first of them without hosts; how many rules there are where there is none. */
  readonly anyHost: number
  /** The rules that an address can come to first, as far as they say different things; {@link NONE} where it may be in none. */
  readonly outcomes: readonly number[]
}

/** A bit for each protocol. */
const BITS: Readonly<Record<Protocol, number>> = { tcp: 1, udp: 2 }

/**
 * Finds out which rules speak of a port, once for all ports that are the same to them. In arrays of numbers: of a policy about a thousand
 * ports, another is asked for each time.
 */
export class SpeakingRules {
  readonly #protocols: Uint8Array
  readonly #allows: Uint8Array
  /** The rules without ports, by protocol. */
  readonly #always: Readonly<Record<Protocol, Uint8Array>>
  /** Ports of rules that have some: first, last and rule of each entry. */
  readonly #ports: Uint16Array
  readonly #ofAddresses: Uint16Array
  readonly #anyHost: Uint16Array
  /** Where what is said of ports changes, ascending. */
  readonly #edges: Uint32Array
  readonly #kept = new Lru<number, Speaking>(MAX_KEPT)

  constructor(rules: readonly RuleTerms[]) {
    this.#protocols = Uint8Array.from(rules.map(({ protocol }) => (protocol ? BITS[protocol] : BITS.tcp | BITS.udp)))
    this.#allows = Uint8Array.from(rules.map(({ allows }) => Number(allows)))
    const always = (protocol: Protocol): Uint8Array =>
      Uint8Array.from(rules.map(({ ports }, at) => Number(ports.length === 0 && this.#takes(at, protocol))))
    this.#always = { tcp: always('tcp'), udp: always('udp') }
    this.#ports = Uint16Array.from(
      rules.flatMap(({ ports }, at) => ports.flatMap((port, i) => (i % 2 === 0 ? port : [port, at]))),
    )
    this.#ofAddresses = Uint16Array.from(rules.flatMap(({ ofAddresses }, at) => (ofAddresses ? at : [])))
    this.#anyHost = Uint16Array.from(rules.flatMap(({ anyHost }, at) => (anyHost ? at : [])))
    const edges = rules.flatMap(({ ports }) => ports.map((port, i) => (i % 2 === 0 ? port : port + 1)))
    this.#edges = Uint32Array.from(new Set(edges)).sort()
  }

  of(port: number, protocol: Protocol): Speaking {
    const key = this.#edgesUpTo(port) * 2 + (protocol === 'udp' ? 1 : 0)
    const known = this.#kept.touch(key)
    if (known !== undefined) return known
    const rules = this.#speakingOf(port, protocol)
    const anyHost = this.#anyHost.find((at) => rules[at] === 1) ?? rules.length
    const speaking = { rules, anyHost, outcomes: this.#outcomes(rules, anyHost) }
    this.#kept.set(key, speaking)
    return speaking
  }

  #takes(at: number, protocol: Protocol): boolean {
    return ((this.#protocols[at] as number) & BITS[protocol]) !== 0
  }

  #edgesUpTo(port: number): number {
    let low = 0
    let high = this.#edges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#edges[middle] as number) > port) high = middle
      else low = middle + 1
    }
    return low
  }

  #speakingOf(port: number, protocol: Protocol): Uint8Array {
    const speaking = this.#always[protocol].slice()
    const ports = this.#ports
    for (let i = 0; i < ports.length; i += 3) {
      const at = ports[i + 2] as number
      const inside = (ports[i] as number) <= port && port <= (ports[i + 1] as number)
      if (inside && this.#takes(at, protocol)) speaking[at] = 1
    }
    return speaking
  }

  /** @param anyHost decides about every address, unless a rule before it does */
  #outcomes(speaks: Uint8Array, anyHost: number): readonly number[] {
    const outcomes = anyHost === speaks.length ? [NONE] : []
    const found = [false, false]
    for (const at of this.#ofAddresses) {
      if (at > anyHost || (found[0] && found[1])) break
      const allows = this.#allows[at] as number
      if (speaks[at] === 0 || found[allows]) continue
      found[allows] = true
      outcomes.push(at)
    }
    return outcomes
  }
}
