/** Slots of the first ring. */
const MIN_SLOTS = 16

/**
 * First in, first out: each step takes amortised constant time, and an item that was taken is not kept alive. One item is
 * held as it is; more are in a ring, which doubles when it is full. Each time the ring is emptied it halves, down to none: an
 * idle queue costs no memory, whatever went through it.
 */
export class Fifo<T extends NonNullable<unknown>> {
  /** The one item of a queue without a ring. */
  #only: T | undefined
  /** A power of two of them. */
  #slots: (T | undefined)[] | undefined
  /** Where in the ring the oldest item is. */
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The oldest item. */
  get first(): T | undefined {
    return this.#slots === undefined ? this.#only : this.#slots[this.#head]
  }

  /** The item that came `index` after the oldest one. */
  at(index: number): T | undefined {
    if (index >= this.#length) return undefined
    const slots = this.#slots
    return slots === undefined ? this.#only : slots[(this.#head + index) & (slots.length - 1)]
  }

  push(item: T): void {
    const slots = this.#slots
    if (slots !== undefined) this.#pushToRing(slots, item)
    else if (this.#length === 0) this.#only = item
    else this.#makeRing(item)
    this.#length += 1
  }

  /** Takes the oldest item. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined
    this.#length -= 1
    const slots = this.#slots
    if (slots !== undefined) return this.#shiftFromRing(slots)
    const item = this.#only
    this.#only = undefined
    return item
  }

  /** Puts `item` in the place of the oldest one, which must be there. */
  replaceFirst(item: T): void {
    if (this.#slots === undefined) this.#only = item
    else this.#slots[this.#head] = item
  }

  clear(): void {
    this.#only = undefined
    this.#slots = undefined
    this.#head = 0
    this.#length = 0
  }

  #pushToRing(slots: (T | undefined)[], item: T): void {
    if (this.#length === slots.length) this.#grow(slots)
    slots[(this.#head + this.#length) & (slots.length - 1)] = item
  }

  #makeRing(second: T): void {
    const slots = new Array<T | undefined>(MIN_SLOTS)
    slots[0] = this.#only
    slots[1] = second
    this.#only = undefined
    this.#slots = slots
    this.#head = 0
  }

  #shiftFromRing(slots: (T | undefined)[]): T | undefined {
    const item = slots[this.#head]
    slots[this.#head] = undefined
    this.#head = (this.#head + 1) & (slots.length - 1)
    if (this.#length === 0) this.#shrink(slots)
    return item
  }

  /** The ring is empty. */
  #shrink(slots: (T | undefined)[]): void {
    if (slots.length <= MIN_SLOTS) this.#slots = undefined
    else slots.length /= 2
    this.#head = 0
  }

  /** The ring is full: what went round to its start moves behind its old end. */
  #grow(slots: (T | undefined)[]): void {
    const before = slots.length
    slots.length = before * 2
    for (let i = 0; i < this.#head; i += 1) {
      slots[before + i] = slots[i]
      slots[i] = undefined
    }
  }
}
