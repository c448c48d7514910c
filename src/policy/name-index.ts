import type { HostEntry } from './host-entry.js'

/** Finds the first rule that has a name, or none at all, among its hosts. */
export class NameIndex {
  /** Indexes of rules, ascending. */
  readonly #exact = new Map<string, number[]>()
  readonly #below = new Map<string, number[]>()
  readonly #any: number[] = []

  /** @param hosts of each rule; none: any host */
  constructor(hosts: readonly (readonly HostEntry[])[]) {
    for (const [at, entries] of hosts.entries()) {
      if (entries.length === 0) this.#any.push(at)
      for (const entry of entries) {
        if (entry.kind === 'name') add(this.#exact, entry.name, at)
        else if (entry.kind === 'below') add(this.#below, entry.suffix, at)
      }
    }
  }

  /** @returns the index of the first rule that has `name` and that `speaks`, or -1 */
  first(name: string, speaks: (at: number) => boolean): number {
    let first = firstOf(this.#any, speaks, Number.POSITIVE_INFINITY)
    first = firstOf(this.#exact.get(name), speaks, first)
    if (this.#below.size > 0) {
      for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
        first = firstOf(this.#below.get(name.slice(dot + 1)), speaks, first)
      }
    }
    return first === Number.POSITIVE_INFINITY ? -1 : first
  }
}

function add(index: Map<string, number[]>, key: string, at: number): void {
  const known = index.get(key)
  if (known === undefined) index.set(key, [at])
  else if (known.at(-1) !== at) known.push(at)
}

/** The smaller of `before` and the first of `rules` that speaks. */
function firstOf(rules: readonly number[] | undefined, speaks: (at: number) => boolean, before: number): number {
  if (rules === undefined) return before
  for (const at of rules) {
    if (at >= before) return before
    if (speaks(at)) return at
  }
  return before
}
