import { LinkSocksError } from '../../errors.js'
import type { TokenChanges, TokenRecord, TokenStore } from '../../ports.js'
import { encodeRecord } from './token-record.js'

/** Keeps tokens as long as the process lives. */
export class MemoryTokenStore implements TokenStore {
  readonly durable = false
  readonly #records = new Map<string, TokenRecord>()
  #closed = false

  async load(): Promise<readonly TokenRecord[]> {
    this.#checkOpen()
    return [...this.#records.values()]
  }

  async write({ put = [], remove = [] }: TokenChanges): Promise<void> {
    this.#checkOpen()
    // all of them are checked before the first is kept
    const records = put.map((record) => encodeRecord(record).record)
    for (const id of remove) this.#records.delete(id)
    for (const record of records) this.#records.set(record.id, record)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #checkOpen(): void {
    if (this.#closed) throw new LinkSocksError('ERR_STORE', 'the token store is closed')
  }
}
