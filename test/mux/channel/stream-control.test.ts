import { describe, expect, it } from 'vitest'
import type { Receiver } from '../../../src/mux/channel/receiver.js'
import type { Sender } from '../../../src/mux/channel/sender.js'
import { StreamControl } from '../../../src/mux/channel/stream-control.js'
import { RoundTrips } from '../../../src/mux/flow/round-trips.js'
import { ControlOp, decodeControl } from '../../../src/protocol/control.js'
import { DATA_HEAD_BYTES } from '../../../src/protocol/messages.js'
import { ManualClock } from '../../support/manual-clock.js'

const PONG = Uint8Array.of(ControlOp.Pong, 0, 0, 0, 0)
const FAST = 500_000

/** What the channels of one session share. */
function session() {
  const clock = new ManualClock()
  const count = { received: 0 }
  return { clock, count, roundTrips: new RoundTrips(clock, () => count.received) }
}

function setUp({ clock, count, roundTrips } = session()) {
  let pings = 0
  const control = (message: Uint8Array): void => {
    if (decodeControl(message.subarray(DATA_HEAD_BYTES))?.op === ControlOp.Ping) pings += 1
  }
  const halves = { sender: { blocked: false } as Sender, receiver: {} as Receiver }
  const events = { ended: () => {}, reset: () => {}, unanswered: () => {} }
  const channel = new StreamControl({ control, clock, roundTrips }, new Uint8Array(16), halves, events)
  /** The answer to a PING comes after `ms`, while `bytes` come in. */
  const answer = (ms: number, bytes = 0): void => {
    clock.advance(ms)
    count.received += bytes
    channel.frame(PONG)
  }
  return { clock, count, roundTrips, channel, answer, pings: () => pings }
}

describe('the round trip of a channel', () => {
  it('is measured as it begins, a second time where it was not quick, and then known', () => {
    const { channel, answer, pings } = setUp()
    channel.begin()
    expect([pings(), channel.roundTripMs()]).toEqual([1, undefined])
    answer(100)
    expect([pings(), channel.roundTripMs()]).toEqual([2, undefined])
    answer(90)
    expect([pings(), channel.roundTripMs()]).toEqual([2, 90])
  })

  it('is measured again after 500 ms by a channel that asks for it, and the shortest counts', () => {
    const { clock, channel, answer, pings } = setUp()
    channel.begin()
    answer(0.4)
    clock.advance(499)
    expect([channel.roundTripMs(), pings()]).toEqual([0.4, 1])
    clock.advance(1)
    expect([channel.roundTripMs(), pings()]).toEqual([0.4, 2])
    answer(0.9)
    expect(channel.roundTripMs()).toBe(0.4)
  })

  it.each([
    [3, 0],
    [19, 0],
    [20, 20],
    [100, 100],
  ])('that seemed to be %d ms is taken for %d when an answer waits behind fast data', (seemed, taken) => {
    const { clock, channel, answer } = setUp()
    channel.begin()
    answer(seemed)
    answer(seemed)
    clock.advance(500)
    expect(channel.roundTripMs()).toBe(seemed)
    answer(30, 30 * FAST + 1)
    expect(channel.roundTripMs()).toBe(taken)
    // what is seen without a queue counts again
    clock.advance(500)
    channel.roundTripMs()
    answer(seemed)
    answer(seemed)
    expect(channel.roundTripMs()).toBe(seemed)
  })

  it('is not changed by a PONG that nobody asked for', () => {
    const { channel, answer } = setUp()
    answer(1)
    expect(channel.roundTripMs()).toBeUndefined()
  })

  it('is its own: the channels of one link end at different places', () => {
    const near = setUp()
    near.channel.begin()
    near.answer(0.5)
    const far = setUp(near)
    near.clock.advance(250)
    far.channel.begin()
    expect(far.channel.roundTripMs()).toBe(0.5)
    far.answer(100)
    far.answer(100)
    expect([near.channel.roundTripMs(), far.channel.roundTripMs()]).toEqual([0.5, 100])
  })

  it('is not forgotten over an answer behind fast data', () => {
    const { clock, channel, answer } = setUp()
    channel.begin()
    answer(0.4)
    for (const [ms, bytes] of [
      [30, 30 * FAST + 1],
      [8, 0],
      [8, 0],
    ] as const) {
      clock.advance(500)
      channel.roundTripMs()
      answer(ms, bytes)
    }
    expect(channel.roundTripMs()).toBe(0.4)
  })

  it('is what the first answer said where an end answers no second one', () => {
    const { clock, channel, answer, pings } = setUp()
    channel.begin()
    answer(60)
    clock.advance(3_000)
    expect([channel.roundTripMs(), pings()]).toEqual([undefined, 2])
    clock.advance(1)
    expect([channel.roundTripMs(), pings()]).toEqual([60, 3])
  })
})
