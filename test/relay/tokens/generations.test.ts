import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type {
  DrainingProcess,
  DrainRecord,
  DrainState,
  Handover,
  LeftGrowth,
  UsageGrowth,
} from '../../../src/handover.js'
import { LEFT_LOOK_MS } from '../../../src/relay/tokens/usage-intake.js'
import { QUOTA_WRITE_MS } from '../../../src/relay/tokens/usage-keeper.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { MemoryHandover } from '../../support/memory-handover.js'
import { memoryStreamPair } from '../../support/memory-stream.js'
import { TestPeer } from '../../support/test-peer.js'
import { World } from '../world.js'
import { ScriptedStore } from './scripted-store.js'

const POLICY = { quota: { bytes: 1_000_000_000, period: 'total' } } as const
const LIMITS = { limitMs: 1_000_000_000, idleMs: 1_000_000_000 }
const KILLED = new Promise<never>(() => {})

/** What one process has of the files, until it is killed: it does nothing from then on. */
class ProcessFiles implements Handover {
  readonly #files: MemoryHandover
  killed = false

  constructor(files: MemoryHandover) {
    this.#files = files
  }

  leaving(): Promise<void> {
    return this.#alive(() => this.#files.leaving())
  }

  async beginDrain(until: number, state: DrainState): Promise<DrainRecord> {
    const record = await this.#alive(() => this.#files.beginDrain(until, state))
    return {
      leave: (growth: UsageGrowth, last: boolean) => this.#alive(() => record.leave(growth, last)),
      failure: record.failure,
      show: (now: DrainState) => this.#alive(() => record.show(now)),
      ended: () => this.#alive(() => record.ended()),
      end: () => this.#alive(() => record.end()),
    }
  }

  end(tokens: ReadonlyMap<string, number>): Promise<void> {
    return this.#alive(() => this.#files.end(tokens))
  }

  forgetEnded(): Promise<void> {
    return this.#alive(() => this.#files.forgetEnded())
  }

  draining(): Promise<readonly DrainingProcess[]> {
    return this.#alive(() => this.#files.draining())
  }

  async left(): Promise<readonly LeftGrowth[]> {
    const all = await this.#alive(() => this.#files.left())
    return all.map(({ name, read, remove }) => ({
      name,
      read: () => this.#alive(read),
      remove: () => this.#alive(remove),
    }))
  }

  async #alive<T>(action: () => Promise<T>): Promise<T> {
    return this.killed ? await KILLED : await action()
  }
}

/** One process, with a stream through its only token. */
class Generation {
  readonly world: World
  readonly store: ScriptedStore
  readonly #files: ProcessFiles
  readonly #sent: { readonly at: number; readonly bytes: number }[] = []
  #here: TestPeer | undefined
  #there: TestPeer | undefined
  released = false

  constructor(store: ScriptedStore, files: MemoryHandover, clock: ManualClock) {
    this.store = store
    files.taken = () => store.taken
    this.#files = new ProcessFiles(files)
    store.files = this.#files
    this.world = new World({ store, clock })
  }

  get used(): number {
    const { relay } = this.world
    return relay.tokenUsage(relay.tokenId('one') ?? '')?.total.up ?? 0
  }

  async begin(): Promise<void> {
    const { relay } = this.world
    await relay.restore([])
    if (relay.tokenId('one') === undefined) await relay.addToken({ type: 'forward', token: 'one', policy: POLICY })
    const { dialer } = await this.world.joinSession('one', {})
    const dialled = dialer.dial({ host: '192.0.2.9', port: 80 })
    await settle()
    const [near, far] = memoryStreamPair()
    this.world.dials.pending.at(-1)?.resolve(near)
    this.#there = new TestPeer(far)
    this.#here = new TestPeer(await dialled)
  }

  async send(bytes: number): Promise<void> {
    const before = this.#there?.receivedBytes ?? 0
    this.#here?.write(new Uint8Array(bytes))
    await settle()
    expect((this.#there?.receivedBytes ?? 0) - before).toBe(bytes)
    this.#sent.push({ at: this.world.clock.now(), bytes })
  }

  /** What it may forget if it is killed now, so long after it was counted. */
  unwritten(slackMs: number): number {
    const from = this.world.clock.now() - slackMs
    return this.#sent.filter(({ at }) => at >= from).reduce((sum, { bytes }) => sum + bytes, 0)
  }

  release(): void {
    this.released = true
    void this.world.relay.drain(LIMITS)
  }

  kill(): void {
    this.#files.killed = true
  }

  async end(): Promise<void> {
    await this.world.relay.close()
  }
}

type Step =
  | { readonly do: 'send'; readonly who: number; readonly bytes: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'upgrade' }
  | { readonly do: 'end'; readonly who: number }
  | { readonly do: 'kill'; readonly who: number }
  | { readonly do: 'fail'; readonly what: 'store' | 'leave' | 'remove' }
  | { readonly do: 'mend' }
  | { readonly do: 'blip'; readonly what: 'store' | 'leave' | 'remove' }

/** All processes that there are one after the other; the last one has the store. */
class Life {
  readonly clock = new ManualClock()
  readonly #files = new MemoryHandover()
  #all: Generation[] = []
  #sent = 0
  #slack = 0

  static async begin(): Promise<Life> {
    const life = new Life()
    await life.#next(new ScriptedStore())
    return life
  }

  get #owner(): Generation {
    const owner = this.#all.at(-1)
    if (owner === undefined) throw new Error('nobody has the store')
    return owner
  }

  async run(step: Step): Promise<void> {
    switch (step.do) {
      case 'send':
        this.#sent += step.bytes
        return await this.#one(step.who).send(step.bytes)
      case 'wait':
        return await this.clock.advanceAsync(step.ms)
      case 'upgrade':
        return await this.#upgrade()
      case 'end':
        return await this.#end(step.who)
      case 'kill':
        return await this.#kill(step.who)
      case 'fail':
        return this.#fail(step.what)
      case 'mend':
        return this.#mend()
      case 'blip':
        this.#fail(step.what)
        await this.clock.advanceAsync(LEFT_LOOK_MS)
        return this.#mend()
    }
  }

  /** All end, and a last process counts what is there. */
  async finish(): Promise<{ readonly sent: number; readonly used: number; readonly slack: number }> {
    this.#mend()
    while (this.#all.length > 1) await this.#end(0)
    await this.clock.advanceAsync(QUOTA_WRITE_MS + 2 * LEFT_LOOK_MS)
    const { store } = this.#owner
    await this.#owner.end()
    this.#all = []
    await this.#next(store.restarted())
    const { used } = this.#owner
    expect([...this.#owner.store.usage.values()].map(({ total }) => total[0])).toEqual(used === 0 ? [] : [used])
    expect([...this.#files.files.keys()]).toEqual([])
    await this.#owner.end()
    return { sent: this.#sent, used, slack: this.#slack }
  }

  #one(who: number): Generation {
    return this.#all[who % this.#all.length] ?? this.#owner
  }

  async #next(store: ScriptedStore): Promise<void> {
    const next = new Generation(store, this.#files, this.clock)
    this.#all.push(next)
    await next.begin()
  }

  async #upgrade(): Promise<void> {
    // what a full disk costs at that moment is another matter
    const { store } = this.#owner
    store.failing = false
    this.#files.failing = false
    this.#owner.release()
    await this.clock.advanceAsync(0)
    expect(store.closed).toBe(1)
    await this.#next(store.restarted())
  }

  /** One that drains has come to its end. */
  async #end(who: number): Promise<void> {
    const [one] = this.#all.slice(0, -1).slice(who % this.#all.length)
    if (one === undefined) return
    this.#files.failing = false
    await one.end()
    this.#all = this.#all.filter((other) => other !== one)
  }

  async #kill(who: number): Promise<void> {
    const one = this.#one(who)
    this.#slack += one.unwritten(QUOTA_WRITE_MS)
    one.kill()
    const isOwner = one === this.#owner
    const { store } = one
    this.#all = this.#all.filter((other) => other !== one)
    if (isOwner) await this.#next(store.restarted())
  }

  #fail(what: 'store' | 'leave' | 'remove'): void {
    if (what === 'store') this.#owner.store.failing = true
    else if (what === 'leave') this.#files.failing = true
    else this.#files.keeping = true
  }

  #mend(): void {
    this.#owner.store.failing = false
    this.#files.failing = false
    this.#files.keeping = false
  }
}

const who = fc.nat(5)
const send = fc.record({ do: fc.constant('send' as const), who, bytes: fc.integer({ min: 1, max: 500 }) })
const wait = fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 999, 1_000, 2_500, 5_000, 7_000) })
const upgrade = fc.constant({ do: 'upgrade' as const })
const end = fc.record({ do: fc.constant('end' as const), who })
const kill = fc.record({ do: fc.constant('kill' as const), who })
const what = fc.constantFrom('store' as const, 'leave' as const, 'remove' as const)
const fail = fc.record({ do: fc.constant('fail' as const), what })
const mend = fc.constant({ do: 'mend' as const })
/** A disk that refuses for so short a time that little comes in between. */
const blip = fc.record({ do: fc.constant('blip' as const), what })
const usual = [{ weight: 3, arbitrary: send }, { weight: 2, arbitrary: wait }, { weight: 2, arbitrary: upgrade }, end]

async function live(steps: readonly Step[]) {
  const life = await Life.begin()
  for (const step of steps) await life.run(step)
  return await life.finish()
}

describe('counters of processes that have a store one after the other', () => {
  it('are the sum of what each counted, where the disk takes it later', async () => {
    const step = fc.oneof(...usual, fail, mend, { weight: 2, arbitrary: blip })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40, size: 'max' }), async (steps) => {
        const { sent, used } = await live(steps)
        expect(used).toBe(sent)
      }),
      { numRuns: 60 },
    )
  })

  it('lack what a killed process had not written within its time at most', async () => {
    const step = fc.oneof(...usual, kill)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40, size: 'max' }), async (steps) => {
        const { sent, used, slack } = await live(steps)
        expect(used).toBeLessThanOrEqual(sent)
        expect(used).toBeGreaterThanOrEqual(sent - slack)
      }),
      { numRuns: 60 },
    )
  })

  it('hold nothing twice, whenever a process is killed and whatever the disk refuses', async () => {
    const step = fc.oneof(...usual, kill, fail, mend, { weight: 2, arbitrary: blip })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40, size: 'max' }), async (steps) => {
        const { sent, used } = await live(steps)
        expect(used).toBeLessThanOrEqual(sent)
      }),
      { numRuns: 60 },
    )
  })
})
