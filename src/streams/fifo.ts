/** Slots of the first ring. */
const MIN_SLOTS = 16
/** A ring of so many slots or fewer stays as it is when it is emptied. */
const IDLE_SLOTS = 64

/**
 * First in, first out, in a ring: each step takes amortised constant time, and an item that was taken is not kept alive.
 * The ring doubles when it is full. Each time it is emptied it halves, so that a burst does not cost memory forever.
 */
export class Fifo<T extends NonNullable<unknown>> {
  /** A power of two of them; none until the first item. */
  #slots: (T | undefined)[] = []
  /** Where the oldest item is. */
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The oldest item. */
  get first(): T | undefined {
    return this.#length === 0 ? undefined : this.#slots[this.#head]
  }

  /** The item that came `index` after the oldest one. */
  at(index: number): T | undefined {
    return index < this.#length ? this.#slots[(this.#head + index) & (this.#slots.length - 1)] : undefined
  }

  push(item: T): void {
    const slots = this.#slots
    if (this.#length === slots.length) this.#grow()
    slots[(this.#head + this.#length) & (slots.length - 1)] = item
    this.#length += 1
  }

  /** Takes the oldest item. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const slots = this.#slots
    const item = slots[this.#head]
    slots[this.#head] = undefined
    this.#head = (this.#head + 1) & (slots.length - 1)
    this.#length -= 1
    if (this.#length === 0 && slots.length > IDLE_SLOTS) this.#shrink()
    return item
  }

  /** Puts `item` in the place of the oldest one, which must be there. */
  replaceFirst(item: T): void {
    this.#slots[this.#head] = item
  }

  clear(): void {
    this.#slots = []
    this.#head = 0
    this.#length = 0
  }

  /** The ring is empty. */
  #shrink(): void {
    this.#slots.length /= 2
    this.#head = 0
  }

  /** The ring is full: what went round to its start moves behind its old end. */
  #grow(): void {
    const slots = this.#slots
    const before = slots.length
    slots.length = Math.max(MIN_SLOTS, before * 2)
    for (let i = 0; i < this.#head; i += 1) {
      slots[before + i] = slots[i]
      slots[i] = undefined
    }
  }
}
