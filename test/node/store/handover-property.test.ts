import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DrainRecord, Handover } from '../../../src/handover.js'
import { silentLogger } from '../../../src/log.js'
import { openTokenDatabase } from '../../../src/node/store/token-database.js'
import { nodeCrypto } from '../../../src/node/system/crypto.js'
import type { TokenStore } from '../../../src/ports.js'
import { Alarms } from '../../../src/relay/observe/alarms.js'
import { EventLog } from '../../../src/relay/observe/event-log.js'
import { Statistics } from '../../../src/relay/observe/statistics.js'
import { newUse } from '../../../src/relay/policies/policed-token.js'
import { newToken, type Token } from '../../../src/relay/tokens/tokens.js'
import { UsageIntake } from '../../../src/relay/tokens/usage-intake.js'
import { UsageKeeper } from '../../../src/relay/tokens/usage-keeper.js'
import { forwardRecord, recordId } from '../../contract/token-store.js'
import { ManualClock } from '../../support/manual-clock.js'
import { memoryFolder } from '../../support/memory-folder.js'

const TOKENS = 3
const LATER = Date.now() + 3_600_000

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(memoryFolder(), 'linksocks-generations-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** One process: the owner of the store, or one that drains. Its clock stands still, so it writes only when it is told to. */
class Generation {
  readonly store: TokenStore
  readonly keeper: UsageKeeper
  readonly handover: Handover
  readonly tokens: ReadonlyMap<string, Token>
  record: DrainRecord | undefined
  /** Bytes by token that are counted and not written. */
  unwritten = new Map<string, number>()

  private constructor(store: TokenStore, handover: Handover, days: number) {
    const clock = new ManualClock()
    clock.epoch += days * 86_400_000
    const events = new EventLog(clock)
    const crypto = nodeCrypto
    const tokens = Array.from({ length: TOKENS }, (_, n): Token => {
      const id = recordId(n)
      return { ...newToken(`t${n}`, 'api', clock, crypto), type: 'forward', id, use: newUse(clock, id, 0) }
    })
    this.store = store
    this.handover = handover
    this.tokens = new Map(tokens.map((token) => [token.id, token]))
    this.keeper = new UsageKeeper(
      { byId: (id) => this.tokens.get(id) },
      {
        ...{ clock, log: silentLogger, store, alarms: new Alarms(clock, events), events, statistics: new Statistics() },
        ...{ usedUp: () => {}, forgotten: () => {} },
      },
    )
  }

  /** @param keeping whether it ends before it can remove what it takes in */
  static async start(directory: string, days: number, keeping = false): Promise<Generation> {
    const store = await openTokenDatabase({ directory, log: silentLogger })
    const handover = (await store.handover()) ?? raise()
    const own = new Generation(store, handover, days)
    await own.keeper.load()
    for (const token of own.tokens.values()) own.keeper.watch(token)
    await own.look(keeping)
    return own
  }

  count(n: number, bytes: number): void {
    const id = recordId(n)
    this.tokens.get(id)?.use.traffic.passed('up', bytes, 0)
    this.unwritten.set(id, (this.unwritten.get(id) ?? 0) + bytes)
  }

  async flush(): Promise<void> {
    await this.keeper.flush()
    this.unwritten.clear()
  }

  async look(keeping = false): Promise<void> {
    const { handover } = this
    const kept: Handover = {
      beginDrain: (until, state) => handover.beginDrain(until, state),
      leaving: () => handover.leaving(),
      draining: () => handover.draining(),
      end: (tokens) => handover.end(tokens),
      forgetEnded: () => handover.forgetEnded(),
      left: async () => (await handover.left()).map((left) => ({ ...left, remove: async () => {} })),
    }
    const waits = (await handover.left()).length > 0
    const clock = new ManualClock()
    const intake = new UsageIntake({
      clock,
      log: silentLogger,
      handover: keeping ? kept : handover,
      usage: this.keeper,
    })
    await intake.look()
    await intake.close()
    // what it counted itself is written along
    if (waits) this.unwritten.clear()
  }

  async release(): Promise<void> {
    this.record = await this.handover.beginDrain(LATER, { clients: 0, streams: 0 })
    await this.keeper.release(this.record)
    await this.store.close()
    this.unwritten.clear()
  }

  async end(): Promise<void> {
    await this.keeper.close()
    await this.record?.end()
    await this.store.close()
    this.unwritten.clear()
  }
}

/** Generations of a server, and what they have counted. */
class Life {
  readonly #directory: string
  #owner: Generation
  readonly #drains: Generation[] = []
  readonly #counted = new Map<string, number>()
  #days = 0

  private constructor(directory: string, owner: Generation) {
    this.#directory = directory
    this.#owner = owner
  }

  static async begin(directory: string): Promise<Life> {
    const store = await openTokenDatabase({ directory, log: silentLogger })
    await store.write({ put: Array.from({ length: TOKENS }, (_, n) => forwardRecord(n)) })
    await store.close()
    return new Life(directory, await Generation.start(directory, 0))
  }

  #any(pick: number): Generation {
    const all = [this.#owner, ...this.#drains]
    return all[pick % all.length] ?? this.#owner
  }

  #drain(pick: number): Generation | undefined {
    return this.#drains.splice(pick % Math.max(1, this.#drains.length), 1)[0]
  }

  #lose({ unwritten }: Generation): void {
    for (const [id, bytes] of unwritten) this.#counted.set(id, (this.#counted.get(id) ?? 0) - bytes)
  }

  async happen([kind, pick, bytes]: readonly [Kind, number, number]): Promise<void> {
    switch (kind) {
      case 'count': {
        const id = recordId(bytes % TOKENS)
        this.#any(pick).count(bytes % TOKENS, bytes)
        this.#counted.set(id, (this.#counted.get(id) ?? 0) + bytes)
        return
      }
      case 'write':
        return this.#any(pick).flush()
      case 'look':
        return this.#owner.look()
      case 'midnight':
        this.#days += 1
        return
      case 'upgrade':
        await this.#owner.release()
        this.#drains.push(this.#owner)
        this.#owner = await Generation.start(this.#directory, this.#days)
        return
      case 'drained':
        return this.#drain(pick)?.end()
      case 'kill drain': {
        const killed = this.#drain(pick)
        if (killed !== undefined) this.#lose(killed)
        return
      }
      case 'kill owner': {
        // it takes in what is there, and is gone before the files are
        await this.#owner.look(pick % 2 === 0)
        this.#lose(this.#owner)
        await this.#owner.store.close()
        this.#owner = await Generation.start(this.#directory, this.#days, pick % 3 === 0)
      }
    }
  }

  /** What the store has at the end, and what it should have. */
  async finish() {
    for (const drain of this.#drains) await drain.end()
    await this.#owner.look()
    await this.#owner.end()
    const store = await openTokenDatabase({ directory: this.#directory, log: silentLogger })
    const usage = await store.loadUsage()
    await store.close()
    const files = (await readdir(this.#directory)).filter((name) => name.startsWith('usage-'))
    const sums = [...usage].map(([id, { total, days, months }]) => {
      const sum = (periods: typeof days): number => Object.values(periods).reduce((all, [up]) => all + up, 0)
      return [id, total[0], sum(days), sum(months)] as const
    })
    const expected = [...this.#counted].filter(([, bytes]) => bytes > 0)
    return {
      files,
      sums: sums.filter(([, bytes]) => bytes > 0).sort(),
      expected: expected.map(([id, bytes]) => [id, bytes, bytes, bytes]).sort(),
    }
  }
}

const KINDS = ['count', 'write', 'look', 'midnight', 'upgrade', 'drained', 'kill drain', 'kill owner'] as const
type Kind = (typeof KINDS)[number]

describe('counters of generations that begin, drain and are killed', () => {
  it('are the sum of what each had written', { timeout: 120_000 }, async () => {
    let runs = 0
    const event = fc.tuple(
      fc.oneof(
        { weight: 5, arbitrary: fc.constant('count' as const) },
        { weight: 7, arbitrary: fc.constantFrom(...KINDS) },
      ),
      fc.nat(11),
      fc.integer({ min: 1, max: 1_000 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40, size: 'max' }), async (events) => {
        runs += 1
        // fewer midnights than periods that are remembered
        let midnights = 0
        const life = await Life.begin(join(folder, `${runs}`))
        for (const one of events) {
          if (one[0] === 'midnight') midnights += 1
          if (one[0] !== 'midnight' || midnights < 7) await life.happen(one)
        }
        const { files, sums, expected } = await life.finish()
        expect(sums).toEqual(expected)
        expect(files).toEqual([])
      }),
      { numRuns: 100 },
    )
  })
})

function raise(): never {
  throw new Error('a database has files beside it')
}
