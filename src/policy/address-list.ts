import { parseIp } from '../address.js'
import { filledRange, numberOf, type Range } from './address-range.js'

/** Addresses in one list. */
export const MAX_ADDRESS_LIST = 1_000

/** Some addresses, ready to look in. */
export class AddressList {
  readonly #ranges: readonly Range<bigint>[]

  private constructor(ranges: readonly Range<bigint>[]) {
    this.#ranges = ranges
  }

  /** @returns why not, as a text that repeats the entry */
  static of(entries: readonly string[]): AddressList | string {
    if (entries.length > MAX_ADDRESS_LIST) return `at most ${MAX_ADDRESS_LIST} addresses`
    const ranges: Range<bigint>[] = []
    for (const text of entries) {
      const range = filledRange(text)
      if (typeof range === 'string') return range
      ranges.push(range)
    }
    return new AddressList(ranges)
  }

  /** @param host IP text; anything else is in no list */
  has(host: string): boolean {
    const ip = parseIp(host)
    if (ip === undefined) return false
    const number = numberOf(ip)
    return this.#ranges.some(([first, last]) => first <= number && number <= last)
  }
}
