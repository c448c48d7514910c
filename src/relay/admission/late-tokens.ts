import type { AbortOptions, Clock } from '../../ports.js'
import type { Token, TokenTable } from '../tokens/tokens.js'

/** How long, from the start of a server that takes over from another one, connectors may be there before their providers. */
export const LATE_TOKENS_MS = 10_000
/** How long each of them waits for its token at most. */
export const LATE_TOKEN_WAIT_MS = 3_000
const LOOK_MS = 20

/**
 * A server knows the connector tokens of autonomy providers only when these are there. Where it takes over from another one, all come at
 * once: a connector whose token is unknown waits a little before it is refused.
 */
export class LateTokens {
  readonly #tokens: TokenTable
  readonly #clock: Clock
  #end = Number.NEGATIVE_INFINITY

  constructor(tokens: TokenTable, clock: Clock) {
    this.#tokens = tokens
    this.#clock = clock
  }

  /** The tokens of the start are there, and clients of the server before this one come. */
  start(): void {
    const hasAutonomy = [...this.#tokens.all()].some((token) => token.type === 'reverse' && token.autonomy)
    if (hasAutonomy) this.#end = this.#clock.now() + LATE_TOKENS_MS
  }

  /** @returns what `find` finds in time */
  async wait(find: () => Token | undefined, { signal }: AbortOptions): Promise<Token | undefined> {
    const end = Math.min(this.#end, this.#clock.now() + LATE_TOKEN_WAIT_MS)
    for (;;) {
      const found = find()
      const left = end - this.#clock.now()
      if (found !== undefined || left <= 0 || signal?.aborted === true) return found
      await new Promise<void>((resolve) => void this.#clock.after(Math.min(left, LOOK_MS), resolve))
    }
  }
}
