import type { UsageGrowth } from '../../handover.js'
import type { QuotaPeriod } from '../../policy-fields.js'
import type { TokenUsage } from '../../ports.js'
import { utcPeriods } from './utc-periods.js'

export type Direction = 'up' | 'down'

export interface Bytes {
  up: number
  down: number
}

/** Days that are remembered, and months: a calendar that is set back finds what was used then. */
export const REMEMBERED_PERIODS = 8

/**
 * Bytes of payload that went through a token: in all, and by day and month. Of each kind the latest periods are remembered; one before
 * them counts with the first of them.
 */
export class Usage {
  /** Unix milliseconds. */
  #since: number
  #total: Bytes
  readonly #days: Periods
  readonly #months: Periods

  /** @param time Unix milliseconds */
  constructor(time: number, { since = time, total, days, months }: Partial<TokenUsage> = {}) {
    this.#since = since
    this.#total = { up: total?.[0] ?? 0, down: total?.[1] ?? 0 }
    this.#days = new Periods(days)
    this.#months = new Periods(months)
  }

  /** When counting began, in Unix milliseconds. */
  get since(): number {
    return this.#since
  }

  add(direction: Direction, bytes: number, time: number): void {
    const { day, month } = utcPeriods(time)
    this.#total[direction] += bytes
    this.#days.at(day)[direction] += bytes
    this.#months.at(month)[direction] += bytes
  }

  /** Adds what was counted elsewhere. */
  grow({ total: [up, down], days, months }: UsageGrowth[string]): void {
    this.#total.up += up
    this.#total.down += down
    this.#days.grow(days)
    this.#months.grow(months)
  }

  /** What was used in the period that `time` lies in. */
  of(period: QuotaPeriod, time: number): Readonly<Bytes> {
    if (period === 'total') return this.#total
    const { day, month } = utcPeriods(time)
    return period === 'day' ? this.#days.of(day) : this.#months.of(month)
  }

  /** Begins to count anew. */
  reset(time: number): void {
    this.#since = time
    this.#total = { up: 0, down: 0 }
    this.#days.clear()
    this.#months.clear()
  }

  /** For the store. */
  get record(): TokenUsage {
    const total = [this.#total.up, this.#total.down] as const
    return { since: this.#since, total, days: this.#days.record, months: this.#months.record }
  }
}

/** Counts by names of periods, whose order is that of texts. */
class Periods {
  readonly #counts = new Map<string, Bytes>()
  /** Found last. */
  #name: string | undefined
  #bytes: Bytes = { up: 0, down: 0 }

  constructor(record: TokenUsage['days'] = {}) {
    for (const [name, [up, down]] of Object.entries(record)) this.#counts.set(name, { up, down })
  }

  /** What was used, without beginning a period. */
  of(name: string): Readonly<Bytes> {
    return this.#counts.get(name) ?? this.#counts.get(this.#standIn(name) ?? '') ?? { up: 0, down: 0 }
  }

  at(name: string): Bytes {
    if (this.#name !== name) {
      this.#bytes = this.#counts.get(name) ?? this.#begin(name)
      this.#name = name
    }
    return this.#bytes
  }

  grow(record: TokenUsage['days']): void {
    for (const name of Object.keys(record).sort()) {
      const [up, down] = record[name] ?? [0, 0]
      const bytes = this.at(name)
      bytes.up += up
      bytes.down += down
    }
  }

  clear(): void {
    this.#counts.clear()
    this.#name = undefined
  }

  get record(): TokenUsage['days'] {
    const used = [...this.#counts].filter(([, { up, down }]) => up > 0 || down > 0)
    return Object.fromEntries(used.map(([name, { up, down }]) => [name, [up, down] as const]))
  }

  /** The period that a forgotten one counts with: what it used is not known any more, so it has what is left of that. */
  #standIn(name: string): string | undefined {
    const [first] = [...this.#counts.keys()].sort()
    return first !== undefined && this.#counts.size >= REMEMBERED_PERIODS && name < first ? first : undefined
  }

  #begin(name: string): Bytes {
    const standIn = this.#counts.get(this.#standIn(name) ?? '')
    if (standIn !== undefined) return standIn
    const [first] = [...this.#counts.keys()].sort()
    if (first !== undefined && this.#counts.size >= REMEMBERED_PERIODS) this.#counts.delete(first)
    const bytes = { up: 0, down: 0 }
    this.#counts.set(name, bytes)
    return bytes
  }
}
