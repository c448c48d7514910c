import type { HostEntry } from './host-entry.js'
import type { Speaking } from './speaking-rules.js'

/** Finds the first rule that has a name among its hosts. */
export class NameIndex {
  /** Indexes of rules, ascending. */
  readonly #exact = new Map<string, number[]>()
  readonly #below = new Map<string, number[]>()
  /** Labels of the longest suffix. */
  #depth = 0

  /** @param hosts of each rule */
  constructor(hosts: readonly (readonly HostEntry[])[]) {
    for (const [at, entries] of hosts.entries()) {
      for (const entry of entries) {
        if (entry.kind === 'name') add(this.#exact, entry.name, at)
        else if (entry.kind === 'below') {
          add(this.#below, entry.suffix, at)
          this.#depth = Math.max(this.#depth, entry.suffix.split('.').length)
        }
      }
    }
  }

  /** @returns the index of the first rule that speaks and has `name` or no hosts, or -1 */
  first(name: string, { rules: speaks, anyHost }: Speaking): number {
    let first = firstOf(this.#exact.get(name), speaks, anyHost)
    let dot = name.length
    for (let labels = 1; labels <= this.#depth && dot > 0; labels += 1) {
      dot = name.lastIndexOf('.', dot - 1)
      if (dot === -1) break
      first = firstOf(this.#below.get(name.slice(dot + 1)), speaks, first)
    }
    return first === speaks.length ? -1 : first
  }
}

function add(index: Map<string, number[]>, key: string, at: number): void {
  const known = index.get(key)
  if (known === undefined) index.set(key, [at])
  else if (known.at(-1) !== at) known.push(at)
}

/** The smaller of `before` and the first of `rules` that speaks. */
function firstOf(rules: readonly number[] | undefined, speaks: Uint8Array, before: number): number {
  if (rules === undefined) return before
  for (const at of rules) {
    if (at >= before) return before
    if (speaks[at] === 1) return at
  }
  return before
}
