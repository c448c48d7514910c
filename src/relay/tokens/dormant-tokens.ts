import type { TokenRecord } from '../../ports.js'

/**
 * Records of the store that are not in use: they are still to be restored, a token of the command line has their name, or their
 * reverse token is missing. They stay in the store until somebody adds or removes a token of their name, or removes their
 * reverse token.
 */
export class DormantTokens {
  readonly #records = new Map<string, TokenRecord>()

  /** In the order of the store. */
  get all(): readonly TokenRecord[] {
    return [...this.#records.values()]
  }

  find(token: string): TokenRecord | undefined {
    return this.#records.get(token)
  }

  /** Connector tokens of a reverse token. */
  dependingOn(reverseToken: string): readonly TokenRecord[] {
    return this.all.filter((record) => record.reverseToken === reverseToken)
  }

  add(record: TokenRecord): void {
    this.#records.set(record.token, record)
  }

  forget(record: TokenRecord): void {
    this.#records.delete(record.token)
  }
}
