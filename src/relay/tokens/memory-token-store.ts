import { LinkSocksError } from '../../errors.js'
import type { ServerAccessRules, TokenChanges, TokenRecord, TokenStore } from '../../ports.js'
import { decodeAccess, encodeAccess, encodeRecord } from './token-record.js'

/** Keeps tokens as long as the process lives. */
export class MemoryTokenStore implements TokenStore {
  readonly durable = false
  readonly #records = new Map<string, TokenRecord>()
  #access: ServerAccessRules = {}
  #closed = false

  async load(): Promise<readonly TokenRecord[]> {
    this.#checkOpen()
    return [...this.#records.values()]
  }

  async loadAccess(): Promise<ServerAccessRules> {
    this.#checkOpen()
    return this.#access
  }

  async write({ put = [], remove = [], access }: TokenChanges): Promise<void> {
    this.#checkOpen()
    // all of them are checked before the first is kept
    const records = put.map((record) => encodeRecord(record).record)
    const kept = access && decodeAccess(encodeAccess(access))
    for (const id of remove) this.#records.delete(id)
    for (const record of records) this.#records.set(record.id, record)
    this.#access = kept ?? this.#access
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #checkOpen(): void {
    if (this.#closed) throw new LinkSocksError('ERR_STORE', 'the token store is closed')
  }
}
