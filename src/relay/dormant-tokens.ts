import type { TokenRecord } from '../ports.js'

/**
 * Records of the store that are not in use: a token of the command line has their name, or their reverse token is missing. They
 * stay in the store until somebody adds or removes a token of their name.
 */
export class DormantTokens {
  readonly #records = new Map<string, TokenRecord>()

  find(token: string): TokenRecord | undefined {
    return this.#records.get(token)
  }

  add(record: TokenRecord): void {
    this.#records.set(record.token, record)
  }

  forget(record: TokenRecord): void {
    this.#records.delete(record.token)
  }
}
