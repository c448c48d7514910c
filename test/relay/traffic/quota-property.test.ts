import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import { settle } from '../../support/manual-clock.js'
import { type MemoryStream, memoryStreamPair } from '../../support/memory-stream.js'
import { TestPeer } from '../../support/test-peer.js'
import { ScriptedStore } from '../tokens/scripted-store.js'
import { type SessionPeer, World } from '../world.js'

const QUOTA_BYTES = 20_000
const DAY_MS = 86_400_000
const TOKEN = 'secret'

/** What happens to a server with a token, its clients and their streams. */
const event = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('open' as const), link: fc.nat(1) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      up: fc.boolean(),
      stream: fc.nat(5),
      bytes: fc.integer({ min: 1, max: 9_000 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const), stream: fc.nat(5), how: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('lose' as const), link: fc.nat(1) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 7_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('jump' as const), days: fc.integer({ min: -3, max: 3 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('rate' as const),
      bytes: fc.option(fc.integer({ min: 500, max: 50_000 }), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'kill' as const }) },
)
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never

interface Stream {
  readonly near: TestPeer
  readonly far: TestPeer
}

/** A server that is killed now and then, and begins again with what its store has. */
class Life {
  readonly #policy: TokenPolicy = { quota: { bytes: QUOTA_BYTES, period: 'day' } }
  readonly #far: MemoryStream[] = []
  #store = new ScriptedStore()
  #world: World
  #links: (SessionPeer | undefined)[] = []
  #streams: Stream[] = []
  /** Of servers that are gone. */
  #passed = 0
  /** What was passed and never written. */
  #forgotten = 0
  readonly #days = new Set<number>()

  private constructor() {
    this.#world = this.#begin()
  }

  static async begin(): Promise<Life> {
    const life = new Life()
    await life.#world.relay.restore([])
    await life.#world.relay.addToken({ type: 'forward', token: TOKEN, policy: life.#policy })
    return life
  }

  async happen(one: Event): Promise<void> {
    this.#days.add(Math.floor(this.#world.clock.wallTime() / DAY_MS))
    if (one.kind === 'open') await this.#open(one.link)
    else if (one.kind === 'send') this.#send(one)
    else if (one.kind === 'end') this.#end(one)
    else if (one.kind === 'lose') this.#lose(one.link)
    else if (one.kind === 'wait') await this.#world.clock.advanceAsync(one.ms)
    else if (one.kind === 'jump') this.#world.clock.epoch += one.days * DAY_MS
    else if (one.kind === 'rate') await this.#setRate(one.bytes)
    else await this.#kill()
    await settle()
    this.#days.add(Math.floor(this.#world.clock.wallTime() / DAY_MS))
    expect(this.#seen).toBeLessThanOrEqual(this.#days.size * QUOTA_BYTES + this.#forgotten)
  }

  /** On a new day, without a rate, as much goes through as the quota has. */
  async finish(): Promise<void> {
    await this.#setRate(undefined)
    this.#world.clock.epoch += 10 * DAY_MS
    for (const link of this.#links.keys()) this.#lose(link)
    this.#streams = []
    const before = this.#counted
    await this.#open(0)
    const [stream] = this.#streams
    stream?.near.write(new Uint8Array(2 * QUOTA_BYTES))
    await this.#world.clock.advanceAsync(10)
    expect(this.#counted - before).toBe(QUOTA_BYTES)
    await this.#world.relay.close()
  }

  get #id(): string {
    return this.#world.relay.tokenId(TOKEN) ?? ''
  }

  /** What this server has counted, and those before it had written. */
  get #counted(): number {
    const { up = 0, down = 0 } = this.#world.relay.tokenUsage(this.#id)?.total ?? {}
    return up + down
  }

  /** What the ends of all streams have got. */
  get #seen(): number {
    return this.#streams.reduce((sum, { near, far }) => sum + near.receivedBytes + far.receivedBytes, this.#passed)
  }

  #begin(): World {
    const world: World = new World({
      store: this.#store,
      createExitDialer: () => ({
        dial: async () => {
          const [near, far] = memoryStreamPair({ chunkSize: 3_000 })
          this.#far.push(far)
          return near
        },
        associate: () => Promise.reject(new Error('no UDP')),
      }),
    })
    return world
  }

  async #open(link: number): Promise<void> {
    if (this.#streams.length >= 40) return
    const peer = this.#links[link] ?? (await this.#world.joinSession(TOKEN, {}))
    this.#links[link] = peer
    try {
      const near = new TestPeer(await peer.dialer.dial({ host: '192.0.2.9', port: 80 }))
      const far = this.#far.at(-1)
      if (far !== undefined) this.#streams.push({ near, far: new TestPeer(far) })
    } catch {
      // refused, or the link is gone
    }
  }

  #send({ up, stream, bytes }: Extract<Event, { kind: 'send' }>): void {
    const one = this.#streams.at(-1 - stream)
    const from = up ? one?.near : one?.far
    from?.write(new Uint8Array(bytes))
  }

  #end({ stream, how }: Extract<Event, { kind: 'end' }>): void {
    const one = this.#streams.at(-1 - stream)
    if (how === 0) one?.near.stream.end()
    else if (how === 1) one?.far.stream.close()
    else one?.near.stream.close()
  }

  #lose(link: number): void {
    this.#links[link]?.transport.abort()
    this.#links[link] = undefined
  }

  async #setRate(bytes: number | undefined): Promise<void> {
    const rate = bytes === undefined ? null : { up: bytes, down: bytes, burst: 1_000 }
    await this.#world.relay.changeToken(this.#id, { policy: { rate } })
  }

  /** Nothing is written any more, and the next server finds what was. */
  async #kill(): Promise<void> {
    await settle()
    const { clock } = this.#world
    const counted = this.#counted
    this.#passed = this.#seen
    for (const link of this.#links.keys()) this.#lose(link)
    this.#streams = []
    this.#store = this.#store.restarted()
    this.#world = this.#begin()
    this.#world.clock.epoch = clock.wallTime()
    await this.#world.relay.restore([])
    this.#forgotten += counted - this.#counted
  }
}

describe('the quota of a token', () => {
  it('lets no more through than for each day of the calendar, and what a kill forgets, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
        const life = await Life.begin()
        for (const one of events) await life.happen(one)
        await life.finish()
      }),
      { numRuns: 60 },
    )
  })
})
