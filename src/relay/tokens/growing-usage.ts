import type { UsageGrowth } from '../../handover.js'
import { type Direction, Usage } from '../traffic/usage.js'

/** What counters of tokens grow by while another process has the store. */
export class GrowingUsage {
  #byToken = new Map<string, Usage>()

  get empty(): boolean {
    return this.#byToken.size === 0
  }

  /** @param time Unix milliseconds */
  add(id: string, direction: Direction, bytes: number, time: number): void {
    this.#of(id).add(direction, bytes, time)
  }

  /** All of it, and begins anew. */
  take(): UsageGrowth {
    const taken = [...this.#byToken].map(([id, usage]) => {
      const { total, days, months } = usage.record
      return [id, { total, days, months }] as const
    })
    this.#byToken = new Map()
    return Object.fromEntries(taken)
  }

  /** What was taken could not be kept. */
  giveBack(growth: UsageGrowth): void {
    for (const [id, one] of Object.entries(growth)) this.#of(id).grow(one)
  }

  #of(id: string): Usage {
    const known = this.#byToken.get(id)
    if (known !== undefined) return known
    const usage = new Usage(0)
    this.#byToken.set(id, usage)
    return usage
  }
}
