import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ByteStream } from '../../../src/ports.js'
import { INITIAL_WINDOW_BYTES } from '../../../src/protocol/limits.js'
import { pattern } from '../../contract/pattern.js'
import { settle } from '../../support/manual-clock.js'
import { type SessionPair, sessionPair } from '../fixture.js'

const PATTERN_BYTES = 4 * INITIAL_WINDOW_BYTES
const NEAR = pattern(PATTERN_BYTES, 1)
const FAR = pattern(PATTERN_BYTES, 2)

/** One end as the model sees it. */
class ModelEnd {
  readonly stream: ByteStream
  readonly #written: Uint8Array
  /** Bytes given to write(), out of one long pattern. */
  writes = 0
  reported = 0
  ended = false
  received = 0
  consumed = 0
  readonly chunks: Uint8Array[] = []
  ends = 0
  closes: unknown[] = []
  peer: ModelEnd = this

  constructor(stream: ByteStream, outgoing: Uint8Array) {
    this.stream = stream
    this.#written = outgoing
  }

  start(): void {
    this.stream.start({
      data: (chunk) => {
        expect([this.ends, this.closes.length]).toEqual([0, 0])
        this.chunks.push(new Uint8Array(chunk))
        this.received += chunk.byteLength
        // what is delivered and not used up never exceeds the window
        expect(this.received - this.consumed).toBeLessThanOrEqual(INITIAL_WINDOW_BYTES)
      },
      end: () => {
        this.ends += 1
      },
      written: (bytes) => {
        this.reported += bytes
        // what left and was not used up at the far end never does either
        expect(this.reported - this.peer.consumed).toBeLessThanOrEqual(INITIAL_WINDOW_BYTES)
      },
      close: (error) => this.closes.push(error),
    })
  }

  write(bytes: number): void {
    if (this.ended) return
    const end = Math.min(this.writes + bytes, this.#written.byteLength)
    this.stream.write(this.#written.subarray(this.writes, end))
    this.writes = end
  }

  end(): void {
    this.ended = true
    this.stream.end()
  }

  /** Uses up a share of what is there. */
  consume(share: number): void {
    const bytes = Math.ceil((this.received - this.consumed) * share)
    this.consumed += bytes
    this.stream.consume(bytes)
  }

  /** Whether all of `peer` arrived here, unchanged. */
  complete(): boolean {
    const all = Buffer.concat(this.chunks)
    return Buffer.compare(all, this.peer.#written.subarray(0, this.peer.writes)) === 0
  }
}

const side = fc.boolean()
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('write' as const), side, bytes: fc.integer({ min: 1, max: 300_000 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('write' as const), side, bytes: fc.integer({ min: 1, max: 100 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('consume' as const),
      side,
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('flush' as const), side, frames: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pause' as const), side, on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end' as const), side }) },
)

async function run(
  pair: SessionPair,
  ends: readonly [ModelEnd, ModelEnd],
  steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
): Promise<void> {
  const transports = [pair.near.transport, pair.far.transport] as const
  for (const one of steps) {
    const [end, transport] = one.side ? [ends[0], transports[0]] : [ends[1], transports[1]]
    if (one.do === 'write') end.write(one.bytes)
    else if (one.do === 'consume') end.consume(one.share)
    else if (one.do === 'flush') transport.flush(one.frames)
    else if (one.do === 'end') end.end()
    else if (one.on) transport.pause()
    else transport.resume()
    await settle()
  }
  for (const transport of transports) {
    transport.resume()
    transport.letGo()
  }
  for (let turns = 0; turns < 100 && ends.some((end) => end.peer.received < end.writes); turns += 1) {
    await settle()
    for (const end of ends) end.consume(1)
  }
  for (const end of ends) end.end()
  await settle()
}

describe('Channel', () => {
  it.each([false, true])(
    'delivers exactly the bytes in order with their end, within the window, whatever happens (fast open: %s)',
    async (fastOpen) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), fc.boolean(), async (steps, startLate) => {
          const pair = sessionPair()
          const { near, far } = await pair.open(fastOpen)
          const ends = [new ModelEnd(near, NEAR), new ModelEnd(far, FAR)] as const
          ends[0].peer = ends[1]
          ends[1].peer = ends[0]
          pair.near.transport.hold()
          pair.far.transport.hold()
          ends[0].start()
          if (!startLate) ends[1].start()
          const cut = startLate ? Math.floor(steps.length / 2) : 0
          // an end that is not started yet receives nothing and may write all the same
          for (const one of steps.slice(0, cut)) if (one.do === 'write') (one.side ? ends[0] : ends[1]).write(one.bytes)
          if (startLate) ends[1].start()
          await run(pair, ends, steps.slice(cut))
          for (const end of ends) {
            expect(end.complete()).toBe(true)
            expect([end.ends, end.closes, end.reported]).toEqual([1, [undefined], end.writes])
          }
          expect([pair.near.session.channels, pair.far.session.channels]).toEqual([0, 0])
        }),
        { numRuns: 60 },
      )
    },
  )
})
