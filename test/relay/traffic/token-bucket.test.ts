import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Heap } from '../../../src/relay/traffic/heap.js'
import { Asker, TokenBucket } from '../../../src/relay/traffic/token-bucket.js'
import { ManualClock } from '../../support/manual-clock.js'

/** Asks for `bytes` again and again, and counts what it is granted. */
class Greedy {
  readonly #bucket: TokenBucket
  readonly #bytes: number
  readonly #most: number
  granted = 0
  readonly asker = new Asker(() => this.#next())

  constructor(bucket: TokenBucket, bytes: number, most = Number.POSITIVE_INFINITY) {
    this.#bucket = bucket
    this.#bytes = bytes
    this.#most = most
  }

  start(): this {
    this.#ask()
    return this
  }

  #next(): void {
    this.granted += this.#bytes
    this.#ask()
  }

  #ask(): void {
    while (this.granted < this.#most && this.#bucket.ask(this.asker, this.#bytes)) this.granted += this.#bytes
  }
}

describe('TokenBucket', () => {
  it('gives its burst at once and then its rate, over every ten seconds', () => {
    const clock = new ManualClock()
    const one = new Greedy(new TokenBucket(clock, { rate: 125_000, burst: 65_536 }), 2_500).start()
    expect(one.granted).toBe(65_000)
    for (let second = 10; second <= 60; second += 10) {
      const before = one.granted
      clock.advance(10_000)
      expect(Math.abs(one.granted - before - 1_250_000)).toBeLessThanOrEqual(2_500)
    }
  })

  it('gives each of those who ask for much the same share, whatever they ask for at a time', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(clock, { rate: 100_000, burst: 1_000 })
    const all = [1_000, 100, 500, 1_000, 700].map((bytes) => new Greedy(bucket, bytes).start())
    const before = all.map(({ granted }) => granted)
    clock.advance(20_000)
    for (const [index, { granted }] of all.entries()) {
      expect(Math.abs(granted - (before[index] ?? 0) - 400_000)).toBeLessThanOrEqual(2_000)
    }
  })

  it('lets who asks for little overtake those who ask for much', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(clock, { rate: 100_000, burst: 2_000 })
    for (let count = 0; count < 50; count += 1) new Greedy(bucket, 2_000).start()
    clock.advance(5_000)
    const granted: number[] = []
    const little = new Asker(() => granted.push(clock.now()))
    for (let turn = 0; turn < 20; turn += 1) {
      const asked = clock.now()
      if (bucket.ask(little, 64)) continue
      clock.advance(100)
      // one piece of 2,000 bytes at 100,000 a second
      expect((granted.at(-1) ?? Number.POSITIVE_INFINITY) - asked).toBeLessThanOrEqual(21)
    }
  })

  it('has a late timer lose nothing of a fast rate', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(clock, { rate: 100_000_000, burst: 65_536 })
    const one = new Greedy(bucket, 64_000).start()
    const before = one.granted
    for (let turn = 0; turn < 100; turn += 1) clock.advance(40)
    expect(one.granted - before).toBeGreaterThan(0.99 * 400_000_000)
  })

  it('grants what is more than it holds, and makes up for it', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(clock, { rate: 1_000, burst: 500 })
    const times: number[] = []
    const asker = new Asker(() => times.push(clock.now()))
    expect(bucket.ask(asker, 1_500)).toBe(true)
    expect(bucket.ask(asker, 100)).toBe(false)
    clock.advance(5_000)
    expect(times).toEqual([1_100])
  })

  it('holds no more than its burst after a pause', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(clock, { rate: 1_000, burst: 500 })
    clock.advance(3_600_000)
    expect(new Greedy(bucket, 100, 10_000).start().granted).toBe(500)
  })

  it('forgets who leaves, and sets no timer for nobody', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(clock, { rate: 1_000, burst: 100 })
    const [gone, stays] = [new Greedy(bucket, 100).start(), new Asker(() => {})]
    bucket.ask(stays, 100)
    bucket.leave(gone.asker)
    const before = gone.granted
    clock.advance(1_000)
    expect([gone.granted, stays.request]).toEqual([before, undefined])
    expect(clock.pending).toBe(0)
  })

  it('takes back what was granted and not used, up to its burst', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(clock, { rate: 1_000, burst: 500 })
    const asker = new Asker(() => {})
    bucket.ask(asker, 500)
    bucket.giveBack(5_000)
    expect([bucket.ask(asker, 500), bucket.ask(asker, 1)]).toEqual([true, false])
  })

  it('lets all who wait go on when there is no limit any more', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(clock, { rate: 1, burst: 1 })
    let granted = 0
    for (let count = 0; count < 5; count += 1) bucket.ask(new Asker(() => (granted += 1)), 1_000)
    bucket.open()
    expect([granted, clock.pending]).toEqual([4, 0])
  })

  it('serves by a new rate those who wait already', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(clock, { rate: 1, burst: 1_000 })
    const one = new Greedy(bucket, 1_000).start()
    expect(one.granted).toBe(1_000)
    clock.advance(500)
    bucket.set({ rate: 10_000, burst: 1_000 })
    clock.advance(1_000)
    expect(one.granted).toBe(11_000)
  })

  it('grants in no piece that delays others by more than 20 ms, but at slow rates', () => {
    const pieces = [1, 500, 10_000, 125_000, 1e12].map((rate) => {
      const bucket = new TokenBucket(new ManualClock(), { rate, burst: 65_536 })
      new Greedy(bucket, 65_536).start()
      return bucket.pieceBytes
    })
    expect(pieces).toEqual([1_024, 1_024, 1_024, 2_500, 2e10])
    expect(new TokenBucket(new ManualClock(), { rate: 3, burst: 2 }).pieceBytes).toBe(2)
  })

  it('grants at once what is there and nobody waits for, whatever the rate', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(clock, { rate: 1, burst: 65_536 })
    expect(bucket.pieceBytes).toBe(65_536)
    bucket.ask(new Asker(() => {}), 65_536)
    expect(bucket.pieceBytes).toBe(1_024)
    clock.advance(10_000_000)
    expect(bucket.pieceBytes).toBe(10_000)
  })

  it('never gives more than its burst and its rate, whatever is asked for', () => {
    const step = fc.record({
      ask: fc.option(fc.integer({ min: 1, max: 4_000 }), { nil: undefined }),
      leaves: fc.boolean(),
      ms: fc.integer({ min: 0, max: 300 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 100_000 }), (steps, rate) => {
        const clock = new ManualClock()
        const bucket = new TokenBucket(clock, { rate, burst: 4_000 })
        const most = Math.max(4_000, rate * 0.05)
        let granted = 0
        const waiting: Asker[] = []
        for (const { ask, leaves, ms } of steps) {
          if (ask !== undefined) {
            const asker = new Asker(() => (granted += ask))
            if (bucket.ask(asker, ask)) granted += ask
            else waiting.push(asker)
          }
          const first = leaves ? waiting.shift() : undefined
          if (first !== undefined) bucket.leave(first)
          clock.advance(ms)
          expect(granted).toBeLessThanOrEqual(most + (rate * clock.now()) / 1_000 + 1)
        }
      }),
    )
  })
})

describe('Heap', () => {
  it('gives out the least first, and equal ones in the order in which they came', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (keys) => {
        const heap = new Heap<{ key: number; at: number }>()
        for (const [at, key] of keys.entries()) heap.push(key, { key, at })
        const sorted = keys.map((key, at) => ({ key, at })).sort((a, b) => a.key - b.key || a.at - b.at)
        const taken = sorted.map(() => heap.shift())
        expect(taken).toEqual(sorted)
        expect([heap.length, heap.first, heap.shift()]).toEqual([0, undefined, undefined])
      }),
    )
  })
})
