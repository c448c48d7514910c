/** A map that forgets what was least recently set or touched once it holds `limit` entries. */
export class Lru<Key, Value> {
  readonly #limit: number
  readonly #entries = new Map<Key, Value>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#entries.size
  }

  /** The value of `key`, which stays as recent as it is. */
  get(key: Key): Value | undefined {
    return this.#entries.get(key)
  }

  /** Makes `key` the most recent one; `undefined` when it is not there. */
  touch(key: Key): Value | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  set(key: Key, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#limit) return
    const oldest = this.#entries.keys().next()
    if (!oldest.done) this.#entries.delete(oldest.value)
  }

  /** The least recent first. */
  entries(): IterableIterator<[Key, Value]> {
    return this.#entries.entries()
  }

  delete(key: Key): void {
    this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
  }
}
