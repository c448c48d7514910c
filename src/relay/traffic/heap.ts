/** A binary heap: gives out the least item, and of equal ones the one that came first. */
export class Heap<T> {
  readonly #entries: { readonly key: number; readonly order: number; readonly item: T }[] = []
  #last = 0

  get length(): number {
    return this.#entries.length
  }

  get first(): T | undefined {
    return this.#entries[0]?.item
  }

  push(key: number, item: T): void {
    this.#last += 1
    this.#entries.push({ key, order: this.#last, item })
    this.#rise(this.#entries.length - 1)
  }

  /** Takes the first item. */
  shift(): T | undefined {
    const first = this.#entries[0]
    const last = this.#entries.pop()
    if (first === undefined || last === undefined) return undefined
    if (this.#entries.length > 0) {
      this.#entries[0] = last
      this.#sink(0)
    }
    return first.item
  }

  #rise(index: number): void {
    let at = index
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#swapIfLess(at, parent)) return
      at = parent
    }
  }

  #sink(index: number): void {
    let at = index
    for (;;) {
      const child = this.#lesserChild(at)
      if (child === undefined || !this.#swapIfLess(child, at)) return
      at = child
    }
  }

  #lesserChild(at: number): number | undefined {
    const left = 2 * at + 1
    if (left >= this.#entries.length) return undefined
    const right = left + 1
    return right < this.#entries.length && this.#isLess(right, left) ? right : left
  }

  #swapIfLess(child: number, parent: number): boolean {
    if (!this.#isLess(child, parent)) return false
    const [a, b] = [this.#entries[child], this.#entries[parent]]
    if (a === undefined || b === undefined) return false
    this.#entries[child] = b
    this.#entries[parent] = a
    return true
  }

  #isLess(one: number, other: number): boolean {
    const [a, b] = [this.#entries[one], this.#entries[other]]
    if (a === undefined || b === undefined) return false
    return a.key < b.key || (a.key === b.key && a.order < b.order)
  }
}
