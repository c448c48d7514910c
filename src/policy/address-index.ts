import type ipaddr from 'ipaddr.js'
import type { Ip } from '../address.js'
import type { HostEntry } from './host-entry.js'
import type { Speaking } from './speaking-rules.js'

const WORDS = 4
const ALL = (1n << 128n) - 1n

/**
 * Finds the first rule that has an address. The ends of all ranges cut the addresses into pieces, which are the leaves
 * of a segment tree; a range stands at the few nodes that cover it, so that a dozen nodes hold every rule that has an address.
 */
export class AddressIndex {
  /** Where each piece begins, as four words of 32 bits, ascending; what is below the first one is in no range. */
  readonly #begins: Uint32Array
  readonly #pieces: number
  /** The rules of node `i`, ascending, are those from `#starts[i]` up to `#starts[i + 1]`. The root is 1, the leaves are at the end. */
  readonly #starts: Uint32Array
  readonly #rules: Uint16Array

  /** @param hosts of each rule */
  constructor(hosts: readonly (readonly HostEntry[])[]) {
    const entries = hosts.flatMap((of, at) =>
      of.flatMap((entry) => {
        if (entry.kind !== 'addresses') return []
        const [first, last] = entry.range
        return first <= last ? [{ at, first, last }] : []
      }),
    )
    const begins = [...new Set(entries.flatMap(({ first, last }) => [first, last + 1n]))].sort((a, b) =>
      a < b ? -1 : 1,
    )
    // nothing lies beyond the last address
    if (begins.at(-1) === ALL + 1n) begins.pop()
    const pieceOf = new Map(begins.map((begin, piece) => [begin, piece]))
    const nodes = Array.from({ length: begins.length * 2 }, (): number[] => [])
    for (const { at, first, last } of entries) {
      const end = pieceOf.get(last + 1n) ?? begins.length
      for (const node of covering(pieceOf.get(first) ?? 0, end, begins.length)) {
        const rules = nodes[node] ?? []
        if (rules.at(-1) !== at) rules.push(at)
      }
    }
    this.#pieces = begins.length
    this.#begins = Uint32Array.from(begins.flatMap(wordsOf))
    this.#rules = Uint16Array.from(nodes.flat())
    this.#starts = new Uint32Array(nodes.length + 1)
    for (const [node, rules] of nodes.entries()) this.#starts[node + 1] = (this.#starts[node] ?? 0) + rules.length
  }

  /** @returns the index of the first rule that speaks and has `ip` or no hosts, or -1 */
  first(ip: Ip, { rules: speaks, anyHost }: Speaking): number {
    const piece = this.#pieceOf(wordsOfIp(ip))
    let best = anyHost
    for (let node = piece === -1 ? 0 : piece + this.#pieces; node > 0; node >>= 1) {
      const end = this.#starts[node + 1] as number
      for (let i = this.#starts[node] as number; i < end; i += 1) {
        const at = this.#rules[i] as number
        if (at >= best) break
        if (speaks[at] === 1) best = at
      }
    }
    return best === speaks.length ? -1 : best
  }

  /** The last piece that begins at `words` or before; -1: none does. */
  #pieceOf(words: readonly number[]): number {
    let low = 0
    let high = this.#pieces
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#beginsAfter(middle * WORDS, words)) high = middle
      else low = middle + 1
    }
    return low - 1
  }

  #beginsAfter(offset: number, words: readonly number[]): boolean {
    for (let i = 0; i < WORDS; i += 1) {
      const begin = this.#begins[offset + i] as number
      const word = words[i] as number
      if (begin !== word) return begin > word
    }
    return false
  }
}

/** The fewest nodes whose leaves are those from `first` up to `end`, of a tree with so many leaves. */
function covering(first: number, end: number, leaves: number): readonly number[] {
  const nodes: number[] = []
  for (let low = first + leaves, high = end + leaves; low < high; low >>= 1, high >>= 1) {
    if (low % 2 === 1) {
      nodes.push(low)
      low += 1
    }
    if (high % 2 === 1) {
      high -= 1
      nodes.push(high)
    }
  }
  return nodes
}

function wordsOf(number: bigint): number[] {
  return [96n, 64n, 32n, 0n].map((shift) => Number((number >> shift) & 0xffff_ffffn))
}

/** IPv4 in its mapped form, RFC 4291 section 2.5.5.2. */
function wordsOfIp(ip: Ip): readonly number[] {
  if (ip.kind() === 'ipv4') {
    const [a = 0, b = 0, c = 0, d = 0] = (ip as ipaddr.IPv4).octets
    return [0, 0, 0xffff, ((a << 24) | (b << 16) | (c << 8) | d) >>> 0]
  }
  const { parts } = ip as ipaddr.IPv6
  return [0, 2, 4, 6].map((at) => (((parts[at] ?? 0) << 16) | (parts[at + 1] ?? 0)) >>> 0)
}
