/** What processes that have a store one after the other tell each other beside it. */

/** Bytes of payload that went through a token, as pairs: towards destinations, and from them. Days and months are in UTC. */
export interface UsageCounts {
  readonly total: readonly [up: number, down: number]
  /** By names such as 2030-01-31. */
  readonly days: Readonly<Record<string, readonly [up: number, down: number]>>
  /** By names such as 2030-01. */
  readonly months: Readonly<Record<string, readonly [up: number, down: number]>>
}

/** What counters grew by in a while, by ids of tokens. */
export type UsageGrowth = Readonly<Record<string, UsageCounts>>

/** What a process that drains still carries. */
export interface DrainState {
  readonly clients: number
  readonly streams: number
}

/** A process that drains while another one may have the store already. */
export interface DrainingProcess extends DrainState {
  readonly pid: number
  /** Of its program. */
  readonly version: string
  /** When it began to drain, in Unix milliseconds. */
  readonly since: number
  /** When it ends at the latest, in Unix milliseconds. */
  readonly until: number
}

/** What a process writes that drains and has given the store away. */
export interface DrainRecord {
  /** Why others can't see it yet: ERR_NOT_STORED. It is written again by `show()`. */
  readonly failure: { readonly code: string; readonly message: string } | undefined
  /**
   * Brings to the disk what counters grew by since the call before, for the process that has the store.
   * @param last whether it is the last call, which has room in any case
   * @throws {LinkSocksError} ERR_NOT_STORED: nothing of it is kept
   */
  leave(growth: UsageGrowth, last: boolean): Promise<void>
  /** Lets others see how far it is. Never rejects. */
  show(state: DrainState): Promise<void>
  /** Ids of tokens that were removed or switched off since the drain began, each once. Never rejects. */
  ended(): Promise<readonly string[]>
  /** The drain is over. Never rejects. */
  end(): Promise<void>
}

/** What counters grew by in a process that drains, or drained. */
export interface LeftGrowth {
  readonly name: string
  /** @throws {LinkSocksError} ERR_STORE: it is damaged, and was put aside */
  read(): Promise<UsageGrowth>
  /** @throws {LinkSocksError} ERR_STORE: it stays, and nothing else is taken before it is gone */
  remove(): Promise<void>
}

/** What processes that have a store one after the other tell each other beside it. */
export interface Handover {
  /** This process is about to drain: nobody needs to ask it to. Never rejects. */
  leaving(): Promise<void>
  /**
   * Called before the store is closed, so that the next process sees it. Never rejects: counters may be left later where nothing can be written now.
   * @param until when the drain ends at the latest, in Unix milliseconds
   */
  beginDrain(until: number, state: DrainState): Promise<DrainRecord>
  /** Those that drain now, the oldest first. Never rejects. */
  draining(): Promise<readonly DrainingProcess[]>
  /**
   * Lets those that drain end what runs with tokens.
   * @param tokens Unix milliseconds at which each was removed or switched off, by its id; takes the place of what was given before
   * @throws {LinkSocksError} ERR_NOT_STORED
   */
  end(tokens: ReadonlyMap<string, number>): Promise<void>
  /** Nobody drains any more, who would want to know. Never rejects. */
  forgetEnded(): Promise<void>
  /** What was left and not taken yet, in the order in which it was left. @throws {LinkSocksError} ERR_STORE */
  left(): Promise<readonly LeftGrowth[]>
}
