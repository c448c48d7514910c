import { LinkSocksError } from '../../src/errors.js'
import type { DrainingProcess, DrainRecord, DrainState, Handover, LeftGrowth, UsageGrowth } from '../../src/handover.js'

/** What processes tell each other, in memory; it fails when the test says so. */
export class MemoryHandover implements Handover {
  readonly drains: (DrainingProcess & { ended: boolean })[] = []
  readonly files = new Map<string, UsageGrowth>()
  /** Calls of `leave()` fail from now on, and what `beginDrain()` writes. */
  failing = false
  /** Files can't be removed, as of a process that ends before. */
  keeping = false
  /** What the store says was taken last. */
  taken: () => string | undefined = () => undefined
  ended = new Map<string, number>()
  told = new Map<string, number>()
  #count = 0

  async leaving(): Promise<void> {}

  async beginDrain(until: number, state: DrainState): Promise<DrainRecord> {
    const failure = this.failing ? new LinkSocksError('ERR_NOT_STORED', 'the disk is full') : undefined
    const drain = { pid: this.drains.length + 1, version: '1', since: 0, until, ended: false, ...state }
    this.drains.push(drain)
    return {
      failure,
      leave: async (growth) => {
        this.#check()
        this.#count += 1
        this.files.set(`usage-${String(this.#count).padStart(6, '0')}`, structuredClone(growth))
      },
      ended: async () => {
        const since = this.told
        this.told = new Map(this.ended)
        return [...this.ended].filter(([id, time]) => since.get(id) !== time).map(([id]) => id)
      },
      show: async (now) => void Object.assign(drain, now),
      end: async () => {
        drain.ended = true
      },
    }
  }

  async end(tokens: ReadonlyMap<string, number>): Promise<void> {
    this.#check()
    this.ended = new Map(tokens)
  }

  async forgetEnded(): Promise<void> {
    this.ended.clear()
  }

  async draining(): Promise<readonly DrainingProcess[]> {
    return this.drains.filter(({ ended }) => !ended)
  }

  async left(): Promise<readonly LeftGrowth[]> {
    const last = this.taken()
    if (last !== undefined) this.#remove(last)
    return [...this.files.keys()].map((name) => ({
      name,
      read: async () => this.files.get(name) ?? {},
      remove: async () => this.#remove(name),
    }))
  }

  #remove(name: string): void {
    if (this.keeping && this.files.has(name)) throw new LinkSocksError('ERR_STORE', `can't remove ${name}`)
    this.files.delete(name)
  }

  #check(): void {
    if (this.failing) throw new LinkSocksError('ERR_NOT_STORED', 'the disk is full')
  }
}
