import { LinkSocksError } from '../../../src/errors.js'
import type { Handover } from '../../../src/handover.js'
import type { ServerAccessRules, TokenChanges, TokenRecord, TokenStore, TokenUsage } from '../../../src/ports.js'
import type { TokenInfo } from '../../../src/relay/tokens/token-spec.js'
import { MemoryHandover } from '../../support/memory-handover.js'
import { World } from '../world.js'

/** A store that fails or waits when the test says so, and whose records outlive it. */
export class ScriptedStore implements TokenStore {
  readonly durable = true
  readonly records: Map<string, TokenRecord>
  /** What was asked of it, in order, whether it failed or not. */
  readonly asked: TokenChanges[] = []
  failing = false
  /** What processes tell each other beside it. */
  files: Handover | undefined
  closed = 0
  #held: (() => void)[] | undefined

  access: ServerAccessRules
  readonly usage: Map<string, TokenUsage>

  constructor(
    records: Iterable<TokenRecord> = [],
    access: ServerAccessRules = {},
    usage: ReadonlyMap<string, TokenUsage> = new Map(),
  ) {
    this.access = access
    this.usage = new Map(usage)
    this.records = new Map([...records].map((record) => [record.id, record]))
  }

  /** Texts of the tokens, in order. */
  get tokens(): readonly string[] {
    return [...this.records.values()].map(({ token }) => token)
  }

  /** What a server finds that starts after this one. */
  restarted(): ScriptedStore {
    const next = new ScriptedStore(this.records.values(), this.access, this.usage)
    next.files = this.files
    next.taken = this.taken
    if (this.files instanceof MemoryHandover) this.files.taken = () => next.taken
    return next
  }

  /** Writes wait until they are let go. */
  hold(): void {
    this.#held = []
  }

  letGo(): void {
    for (const go of this.#held?.splice(0) ?? []) go()
    this.#held = undefined
  }

  async load(): Promise<readonly TokenRecord[]> {
    return [...this.records.values()]
  }

  async loadAccess(): Promise<ServerAccessRules> {
    return this.access
  }

  async loadUsage(): Promise<ReadonlyMap<string, TokenUsage>> {
    return new Map(this.usage)
  }

  /** Name of what was taken in last. */
  taken: string | undefined

  async write(changes: TokenChanges): Promise<void> {
    if (this.closed > 0) throw new LinkSocksError('ERR_STORE', 'the token store is closed')
    this.asked.push(changes)
    await new Promise<void>((resolve) => (this.#held === undefined ? resolve() : this.#held.push(resolve)))
    if (this.failing) throw new LinkSocksError('ERR_NOT_STORED', 'the disk is full')
    for (const id of changes.remove ?? []) {
      this.records.delete(id)
      this.usage.delete(id)
    }
    this.access = changes.access ?? this.access
    this.taken = changes.taken ?? this.taken
    for (const record of changes.put ?? []) this.records.set(record.id, record)
    for (const [id, used] of Object.entries(changes.usage ?? {})) if (this.records.has(id)) this.usage.set(id, used)
  }

  async handover(): Promise<Handover | undefined> {
    return this.files
  }

  async close(): Promise<void> {
    this.closed += 1
  }
}

/** The tokens of `world`, and those of a relay that begins with what its store has; without what only a running one knows. */
export async function memoryAndStore(world: World, store: ScriptedStore) {
  const later = new World({ store: store.restarted(), clock: world.clock })
  await later.relay.restore([])
  const lasting = ({ number, clients, streams, reverse, ...info }: TokenInfo) => ({
    ...info,
    reverse: reverse && { ...reverse, listening: undefined, portError: undefined },
  })
  const seen = ({ relay }: World) => relay.tokenPage({ limit: 1_000 }).entries.map(lasting)
  const both = { memory: seen(world), restarted: seen(later) }
  await later.relay.close()
  return both
}
