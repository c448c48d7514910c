import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACK_DELAY_MS, KIB, MIN_REPLAY_BYTES } from '../../../src/protocol/limits.js'
import { settle } from '../../support/manual-clock.js'
import { type ModelStream, ResumeWorld } from './resume-world.js'

const MAX_CHANNELS = 5
/** A session that is full may be given one message more, and what controls it. */
const OVERSHOOT_BYTES = 512 * KIB

const channel = fc.nat(MAX_CHANNELS - 1)
const near = fc.boolean()
const one = <T extends string>(name: T) => fc.constant(name)

const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: one('open') }) },
  { weight: 6, arbitrary: fc.record({ do: one('write'), channel, near, bytes: fc.integer({ min: 1, max: 300_000 }) }) },
  { weight: 3, arbitrary: fc.record({ do: one('write'), channel, near, bytes: fc.integer({ min: 1, max: 100 }) }) },
  { weight: 4, arbitrary: fc.record({ do: one('consume'), channel, near, chunks: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 8, arbitrary: fc.record({ do: one('flush'), near, frames: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 2, arbitrary: fc.record({ do: one('advance'), ms: fc.integer({ min: 1, max: 2 * ACK_DELAY_MS }) }) },
  { weight: 1, arbitrary: fc.record({ do: one('end'), channel, near }) },
  { weight: 1, arbitrary: fc.record({ do: one('abort'), channel, near }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('cut', 'half', 'cutPending') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('come', 'answer', 'goOn') }) },
  { weight: 4, arbitrary: fc.record({ do: one('resume') }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

async function take(world: ResumeWorld, action: Step): Promise<void> {
  switch (action.do) {
    case 'open':
      if (world.channels.length < MAX_CHANNELS) await world.open()
      return
    case 'write':
      return world.stream(action.channel, action.near)?.write(action.bytes)
    case 'consume':
      return world.stream(action.channel, action.near)?.consume(action.chunks)
    case 'end':
      return world.stream(action.channel, action.near)?.end()
    case 'abort':
      return world.stream(action.channel, action.near)?.abort()
    case 'flush': {
      const { inner } = action.near ? world.near : world.far
      return inner.flush(Math.min(action.frames, inner.queuedFrames))
    }
    case 'advance':
      return world.clock.advanceAsync(action.ms)
    case 'resume':
      world.come()
      world.answer()
      return world.goOn()
    default:
      return world[action.do]()
  }
}

/** Whether all that `from` wrote came to `to`, with its end, in order. */
function expectWhole(from: ModelStream, to: ModelStream): void {
  expect([to.received, to.ends, from.reported]).toEqual([from.written, 1, from.written])
}

async function judge(world: ResumeWorld): Promise<void> {
  await world.finish()
  for (const stream of world.streams) stream.end()
  await world.finish()
  for (const { near: opener, far: other } of world.channels) {
    if (other === undefined) {
      // the Connect was never seen: its own end gave up before the far one was told
      expect([opener.aborted, opener.closes.length]).toEqual([true, 1])
      continue
    }
    expect([opener.closes.length, other.closes.length]).toEqual([1, 1])
    if (opener.aborted || other.aborted) continue
    expect([...opener.closes, ...other.closes]).toEqual([undefined, undefined])
    expectWhole(opener, other)
    expectWhole(other, opener)
  }
  for (const { session, transport, closes } of [world.near, world.far]) {
    expect([session.channels, session.heldBytes, transport.keptBytes, closes]).toEqual([0, 0, 0, []])
  }
  expect(world.budget.taken).toBe(0)
  const closed = [world.near.session.close(), world.far.session.close()]
  await settle()
  await Promise.all(closed)
  expect(world.clock.pending).toBe(0)
}

describe('Two sessions that survive their WebSockets', () => {
  it('lose nothing, repeat nothing and keep the order, wherever connections are cut', async () => {
    const steps = fc.array(step, { minLength: 10, maxLength: 60, size: 'max' })
    await fc.assert(
      fc.asyncProperty(steps, async (actions) => {
        const world = new ResumeWorld()
        await world.open()
        for (const action of actions) {
          await take(world, action)
          await settle()
          for (const { transport, closes } of [world.near, world.far]) {
            expect(transport.keptBytes).toBeLessThanOrEqual(MIN_REPLAY_BYTES + OVERSHOOT_BYTES)
            expect(closes).toEqual([])
          }
        }
        await judge(world)
      }),
      { numRuns: 60 },
    )
  }, 60_000)

  it('keep no more than they may while nothing is acknowledged, and go on behind a loss', async () => {
    const world = new ResumeWorld()
    for (let count = 0; count < MAX_CHANNELS; count += 1) await world.open()
    for (const turn of [1, 2]) {
      await world.finish()
      for (const { inner } of [world.near, world.far]) inner.hold()
      for (const stream of world.streams) stream.write(turn * 500 * KIB)
      // what leaves arrives; what is said about it does not
      world.near.inner.letGo()
      await settle()
      expect(world.near.transport.bufferedAmount).toBe(Number.POSITIVE_INFINITY)
      expect(world.near.transport.keptBytes).toBeLessThanOrEqual(MIN_REPLAY_BYTES + OVERSHOOT_BYTES)
      world.cut()
      await settle()
    }
    await judge(world)
  }, 60_000)

  it('lose nothing when every frame is followed by a cut', async () => {
    const world = new ResumeWorld()
    await world.open()
    await world.open()
    for (let turn = 0; turn < 60; turn += 1) {
      for (const stream of world.streams) {
        stream.write(3_000)
        stream.consume(1)
      }
      world.near.inner.flush(1)
      world.far.inner.flush(turn % 3)
      await settle()
      if (turn % 2 === 0) world.cut()
      else world.half()
      await settle()
      world.come()
      world.answer()
      world.goOn()
    }
    await judge(world)
  }, 60_000)
})
