import { networkOf } from '../address.js'

/** Connections of one port that have not said yet what they are entitled to. */
const MAX_PENDING_CONNECTIONS = 1_024

export interface PendingConnection {
  /** It comes from this address, as a trusted proxy says. */
  moveTo(address: string): void
  /** The connection is entitled to something now, or gone. Idempotent. */
  settled(): void
}

class Entry implements PendingConnection {
  readonly #table: PendingConnections
  readonly close: () => void
  address: string

  constructor(table: PendingConnections, address: string, close: () => void) {
    this.#table = table
    this.address = address
    this.close = close
  }

  moveTo(address: string): void {
    this.#table.move(this, address)
  }

  settled(): void {
    this.#table.remove(this)
  }
}

/**
 * Bounds the connections of one port whose peer has proven nothing yet. Nobody is turned away at the door: when the table is
 * full, the oldest connection of the address that holds most is closed for the new one.
 */
export class PendingConnections {
  readonly #max: number
  readonly #onClosed: (address: string) => void
  readonly #entries = new Map<string, Set<Entry>>()
  #size = 0

  /** @param onClosed hears of each connection that had to go. */
  constructor(max: number = MAX_PENDING_CONNECTIONS, onClosed: (address: string) => void = () => {}) {
    this.#max = max
    this.#onClosed = onClosed
  }

  get size(): number {
    return this.#size
  }

  /** @param close ends the connection, when another needs the room */
  add(address: string, close: () => void): PendingConnection {
    if (this.#size >= this.#max) this.#closeOne()
    const entry = new Entry(this, networkOf(address), close)
    this.#put(entry)
    this.#size += 1
    return entry
  }

  remove(entry: Entry): void {
    if (this.#take(entry)) this.#size -= 1
  }

  move(entry: Entry, address: string): void {
    const network = networkOf(address)
    if (network === entry.address || !this.#take(entry)) return
    entry.address = network
    this.#put(entry)
  }

  #closeOne(): void {
    let most: Set<Entry> | undefined
    for (const entries of this.#entries.values()) if (entries.size > (most?.size ?? 0)) most = entries
    const [oldest] = most ?? []
    if (oldest === undefined) return
    this.remove(oldest)
    this.#onClosed(oldest.address)
    oldest.close()
  }

  #put(entry: Entry): void {
    const entries = this.#entries.get(entry.address)
    if (entries === undefined) this.#entries.set(entry.address, new Set([entry]))
    else entries.add(entry)
  }

  #take(entry: Entry): boolean {
    const entries = this.#entries.get(entry.address)
    if (entries?.delete(entry) !== true) return false
    if (entries.size === 0) this.#entries.delete(entry.address)
    return true
  }
}
