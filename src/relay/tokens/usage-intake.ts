import { LinkSocksError } from '../../errors.js'
import type { Handover, LeftGrowth } from '../../handover.js'
import type { Logger } from '../../log.js'
import type { Clock, Timer } from '../../ports.js'
import type { UsageKeeper } from './usage-keeper.js'

/** How often the counters of processes that drain are looked for, while there are any. */
export const LEFT_LOOK_MS = 1_000

export interface UsageIntakeOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly handover: Handover
  readonly usage: Pick<UsageKeeper, 'takeIn'>
  /** Called once there is nobody that drains, and nothing to be taken in. */
  readonly done?: (() => void) | undefined
}

/** Takes in what counters grew by in processes that had the store before: what they left, and what they leave while they drain. */
export class UsageIntake {
  readonly #options: UsageIntakeOptions
  /** Added and not written yet. */
  readonly #added = new Set<string>()
  /** Of which it was said that they could not be taken. */
  readonly #told = new Set<string>()
  /** Whether it was said that nothing could be taken. */
  #toldOfAll = false
  #timer: Timer | undefined
  #looking: Promise<void> | undefined
  #closed = false

  constructor(options: UsageIntakeOptions) {
    this.#options = options
  }

  /** Takes what is there, and goes on while a process drains. Settles after the first look; never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** Whether a process drains, as of the last look. */
  get expects(): boolean {
    return this.#timer !== undefined
  }

  /** Settles when nothing is being taken any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#looking
  }

  async #look(): Promise<void> {
    const { handover, clock } = this.#options
    // in this order: one that ends meanwhile has left all it leaves
    const draining = (await handover.draining()).length > 0
    const isDone = await this.#takeAll()
    this.#timer = undefined
    if (this.#closed) return
    if (isDone && !draining) return this.#options.done?.()
    this.#timer = clock.after(LEFT_LOOK_MS, () => void this.look())
  }

  /** @returns whether nothing is left that may be taken later */
  async #takeAll(): Promise<boolean> {
    const { handover, log } = this.#options
    let isDone = true
    try {
      const all = await handover.left()
      for (const name of this.#added) if (!all.some((left) => left.name === name)) this.#added.delete(name)
      for (const left of all) {
        if (this.#closed) return false
        const outcome = await this.#take(left)
        isDone &&= outcome === 'taken'
        // it is added and not written: what is written next must name it, and nothing else
        if (outcome === 'stays') return false
      }
      this.#toldOfAll = false
      return isDone
    } catch (thrown) {
      const { code, message } = LinkSocksError.from(thrown, 'ERR_STORE')
      if (!this.#toldOfAll) log.error('usage.not-taken', { code, reason: message })
      this.#toldOfAll = true
      return false
    }
  }

  async #take(left: LeftGrowth): Promise<'taken' | 'stays' | 'unread'> {
    const { usage, log } = this.#options
    const { name } = left
    try {
      // one that is damaged is put aside, and not found by the next look
      const growth = this.#added.has(name) ? undefined : await left.read()
      this.#added.add(name)
      await usage.takeIn(name, growth)
      await left.remove()
      this.#added.delete(name)
      log.info('usage.taken', { file: name })
      return 'taken'
    } catch (thrown) {
      const { code, message } = LinkSocksError.from(thrown, 'ERR_NOT_STORED')
      if (!this.#told.has(name)) log.error('usage.not-taken', { file: name, code, reason: message })
      this.#told.add(name)
      return this.#added.has(name) ? 'stays' : 'unread'
    }
  }
}
