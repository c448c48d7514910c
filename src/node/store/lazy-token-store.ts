import type { Handover } from '../../handover.js'
import type { ServerAccessRules, TokenChanges, TokenRecord, TokenStore, TokenUsage } from '../../ports.js'

/** A store that is opened when it is first asked for something: a server is made before it may wait. */
export class LazyTokenStore implements TokenStore {
  readonly durable: boolean
  readonly #open: () => Promise<TokenStore>
  #store: Promise<TokenStore> | undefined

  /** @param durable what the store will be */
  constructor(open: () => Promise<TokenStore>, durable: boolean) {
    this.#open = open
    this.durable = durable
  }

  async load(): Promise<readonly TokenRecord[]> {
    return (await this.#opened()).load()
  }

  async loadAccess(): Promise<ServerAccessRules> {
    return (await this.#opened()).loadAccess()
  }

  async loadUsage(): Promise<ReadonlyMap<string, TokenUsage>> {
    return (await this.#opened()).loadUsage()
  }

  async write(changes: TokenChanges): Promise<void> {
    await (await this.#opened()).write(changes)
  }

  async handover(): Promise<Handover | undefined> {
    return (await this.#opened()).handover()
  }

  /** One that was never opened, or could not be, has nothing to close. */
  async close(): Promise<void> {
    const store = await this.#store?.catch(() => undefined)
    await store?.close()
  }

  #opened(): Promise<TokenStore> {
    this.#store ??= this.#open()
    return this.#store
  }
}
