import type { AbortOptions, Clock } from '../../ports.js'
import type { Token, TokenTable } from '../tokens/tokens.js'

/** How long, from the start of a server that takes over from another one, connectors may be there before their providers. */
export const LATE_TOKENS_MS = 10_000
/** How long each of them waits for its token at most. */
export const LATE_TOKEN_WAIT_MS = 3_000

/**
 * A server knows the connector tokens of autonomy providers only when these are there. Where it takes over from another one, all come at
 * once: a connector whose token is unknown waits a little before it is refused.
 */
export class LateTokens {
  readonly #tokens: TokenTable
  readonly #clock: Clock
  /** By the keys of their tokens. */
  readonly #waiting = new Map<string, Set<(token?: Token) => void>>()
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

  /** A token was added. */
  arrived(id: string): void {
    if (this.#waiting.size === 0) return
    const token = this.#tokens.byId(id)
    const waiters = token && this.#waiting.get(this.#tokens.keyOf(token.token))
    for (const settle of [...(waiters ?? [])]) settle(token)
  }

  /** @param key of a token that is not there @returns it, if it comes in time; `undefined` at once when `signal` is aborted */
  wait(key: string, { signal }: AbortOptions): Promise<Token | undefined> {
    const now = this.#clock.now()
    const leftMs = Math.min(this.#end, now + LATE_TOKEN_WAIT_MS) - now
    if (leftMs <= 0 || signal?.aborted === true) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      const settle = (token?: Token): void => {
        timer.cancel()
        signal?.removeEventListener('abort', gone)
        this.#remove(key, settle)
        resolve(token)
      }
      const gone = (): void => settle()
      const timer = this.#clock.after(leftMs, gone)
      signal?.addEventListener('abort', gone)
      this.#waiting.set(key, (this.#waiting.get(key) ?? new Set()).add(settle))
    })
  }

  #remove(key: string, settle: (token?: Token) => void): void {
    const waiters = this.#waiting.get(key)
    waiters?.delete(settle)
    if (waiters?.size === 0) this.#waiting.delete(key)
  }
}
