import { LinkSocksError } from '../../errors.js'
import type { Handover } from '../../handover.js'
import type { Logger } from '../../log.js'
import type { Clock } from '../../ports.js'

/** Tokens of which processes that drain are told; the first ones are forgotten for further ones. */
export const MAX_ENDED_TOKENS = 100_000

export interface EndedTokensOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly handover: Pick<Handover, 'end'>
}

/** Tells processes that drain of tokens that were removed or switched off here: they end what runs with them. */
export class EndedTokens {
  readonly #options: EndedTokensOptions
  readonly #times = new Map<string, number>()
  #writing: Promise<void> | undefined
  #changed = false

  constructor(options: EndedTokensOptions) {
    this.#options = options
  }

  /** @param id of a token */
  add(id: string): void {
    this.#times.delete(id)
    const [first] = this.#times.size >= MAX_ENDED_TOKENS ? this.#times.keys() : []
    if (first !== undefined) this.#times.delete(first)
    this.#times.set(id, this.#options.clock.wallTime())
    this.#changed = true
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  /** Settles when nothing is being written any more. */
  async idle(): Promise<void> {
    await this.#writing
  }

  /** All that comes while it writes is written together. */
  async #write(): Promise<void> {
    const { handover, log } = this.#options
    while (this.#changed) {
      this.#changed = false
      try {
        await handover.end(this.#times)
      } catch (thrown) {
        const { code, message } = LinkSocksError.from(thrown, 'ERR_NOT_STORED')
        log.error('token.end-not-told', { code, reason: message })
      }
    }
  }
}
