import { LinkSocksError } from '../errors.js'
import type { TokenChanges, TokenRecord, TokenStore } from '../ports.js'

/** Keeps tokens as long as the process runs. */
export class MemoryTokenStore implements TokenStore {
  readonly durable = false
  readonly #records = new Map<string, TokenRecord>()
  #closed = false

  async load(): Promise<readonly TokenRecord[]> {
    return [...this.#records.values()]
  }

  async write({ put = [], remove = [] }: TokenChanges): Promise<void> {
    if (this.#closed) throw new LinkSocksError('ERR_STORE', 'the store of tokens is closed')
    for (const record of put) this.#records.set(record.id, record)
    for (const id of remove) this.#records.delete(id)
  }

  async close(): Promise<void> {
    this.#closed = true
  }
}
