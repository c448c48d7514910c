import { LinkSocksError } from '../../errors.js'
import type { ServerAccessRules, TokenChanges, TokenRecord, TokenStore, TokenUsage } from '../../ports.js'
import { decodeAccess, encodeAccess, encodeRecord } from './token-record.js'
import { decodeUsage, encodeUsage } from './usage-record.js'

/** Keeps tokens as long as the process lives. */
export class MemoryTokenStore implements TokenStore {
  readonly durable = false
  readonly #records = new Map<string, TokenRecord>()
  #access: ServerAccessRules = {}
  readonly #usage = new Map<string, TokenUsage>()
  #closed = false

  async load(): Promise<readonly TokenRecord[]> {
    this.#checkOpen()
    return [...this.#records.values()]
  }

  async loadAccess(): Promise<ServerAccessRules> {
    this.#checkOpen()
    return this.#access
  }

  async loadUsage(): Promise<ReadonlyMap<string, TokenUsage>> {
    this.#checkOpen()
    return new Map(this.#usage)
  }

  async write({ put = [], remove = [], access, usage = {} }: TokenChanges): Promise<void> {
    this.#checkOpen()
    // all of them are checked before the first is kept
    const records = put.map((record) => encodeRecord(record).record)
    const kept = access && decodeAccess(encodeAccess(access))
    const used = Object.entries(usage).map(([id, one]) => [id, decodeUsage(encodeUsage(one))] as const)
    for (const id of remove) {
      this.#records.delete(id)
      this.#usage.delete(id)
    }
    for (const record of records) this.#records.set(record.id, record)
    for (const [id, one] of used) if (this.#records.has(id)) this.#usage.set(id, one)
    this.#access = kept ?? this.#access
  }

  async handover(): Promise<undefined> {}

  async close(): Promise<void> {
    this.#closed = true
  }

  #checkOpen(): void {
    if (this.#closed) throw new LinkSocksError('ERR_STORE', 'the token store is closed')
  }
}
