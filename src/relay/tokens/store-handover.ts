import { LinkSocksError } from '../../errors.js'
import type { DrainingProcess, DrainRecord, DrainState, Handover } from '../../handover.js'
import type { Logger } from '../../log.js'
import type { Clock, Timer, TokenStore } from '../../ports.js'
import { UsageIntake } from './usage-intake.js'
import type { UsageKeeper } from './usage-keeper.js'

/** How often a process that drains lets others see how far it is. */
export const DRAIN_SHOW_MS = 1_000

export interface StoreHandoverOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly store: TokenStore
  readonly usage: UsageKeeper
  /** What this process carries now. */
  readonly state: () => DrainState
}

/** Takes the store over from the process before, and gives it to the next one at the beginning of a drain. */
export class StoreHandover {
  readonly #options: StoreHandoverOptions
  #handover: Handover | undefined
  #intake: UsageIntake | undefined
  #record: DrainRecord | undefined
  #timer: Timer | undefined
  #ended = false

  constructor(options: StoreHandoverOptions) {
    this.#options = options
  }

  /** Tokens are restored: takes in what they used elsewhere. @throws {LinkSocksError} ERR_STORE */
  async begin(): Promise<void> {
    const { store, clock, log, usage } = this.#options
    this.#handover = await store.handover()
    if (this.#handover === undefined) return
    this.#intake = new UsageIntake({ clock, log, usage, handover: this.#handover })
    await this.#intake.look()
  }

  /** Other processes that drain. Never rejects. */
  async draining(): Promise<readonly DrainingProcess[]> {
    return (await this.#handover?.draining()) ?? []
  }

  /**
   * Lets the next process have the store. Never rejects: what can't be written is in the log.
   * @param limitMs of the drain
   * @param closeStore does what is given, and closes the store
   */
  async release(limitMs: number, closeStore: (last: () => Promise<void>) => Promise<void>): Promise<void> {
    const { clock, log, usage, state } = this.#options
    await this.#intake?.close()
    try {
      this.#record = await this.#handover?.beginDrain(clock.wallTime() + limitMs, state())
    } catch (thrown) {
      const { code, message } = LinkSocksError.from(thrown, 'ERR_NOT_STORED')
      log.error('store.no-drain-record', { code, reason: message })
    }
    await closeStore(async () => {
      await usage.release(this.#record)
      // before the next process can have it
      if (this.#handover !== undefined) log.info('store.released')
    })
    this.#showLater()
  }

  /** The store is about to be closed. */
  async stopTaking(): Promise<void> {
    await this.#intake?.close()
  }

  /** All is written: the drain is over. */
  async end(): Promise<void> {
    this.#ended = true
    this.#timer?.cancel()
    await this.#record?.end()
  }

  #showLater(): void {
    const { clock, state } = this.#options
    const record = this.#record
    if (record === undefined || this.#ended) return
    this.#timer = clock.after(DRAIN_SHOW_MS, () => {
      void record.show(state()).then(() => this.#showLater())
    })
  }
}
