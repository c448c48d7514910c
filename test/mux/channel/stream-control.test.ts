import { describe, expect, it } from 'vitest'
import type { Receiver } from '../../../src/mux/channel/receiver.js'
import type { Sender } from '../../../src/mux/channel/sender.js'
import { StreamControl } from '../../../src/mux/channel/stream-control.js'
import { RoundTrips } from '../../../src/mux/flow/round-trips.js'
import { ControlOp, decodeControl } from '../../../src/protocol/control.js'
import { DATA_HEAD_BYTES } from '../../../src/protocol/messages.js'
import { ManualClock } from '../../support/manual-clock.js'

const frame = (op: number, id: number) => Uint8Array.of(op, 0, 0, 0, id)

function setUp() {
  const clock = new ManualClock()
  const sent: (readonly [op: number, id: number])[] = []
  const control = (message: Uint8Array): void => {
    const decoded = decodeControl(message.subarray(DATA_HEAD_BYTES))
    if (decoded?.op === ControlOp.Ping || decoded?.op === ControlOp.Pong) sent.push([decoded.op, decoded.id])
  }
  const halves = { sender: { blocked: false } as Sender, receiver: {} as Receiver }
  const events = { ended: () => {}, reset: () => {}, unanswered: () => {} }
  const host = { control, clock, roundTrips: new RoundTrips(clock, () => 0) }
  return { clock, sent, channel: new StreamControl(host, new Uint8Array(16), halves, events) }
}

describe('StreamControl', () => {
  it('measures the path with PINGs as the channel begins, and takes PONGs for their answers', () => {
    const { clock, sent, channel } = setUp()
    channel.begin()
    for (const id of [0, 1]) {
      clock.advance(100)
      channel.frame(frame(ControlOp.Pong, id))
    }
    expect(sent).toEqual([
      [ControlOp.Ping, 0],
      [ControlOp.Ping, 1],
    ])
    expect(channel.path.roundTrip()).toBe(100)
  })

  it('answers two PINGs in 250 ms, and no more', () => {
    const { clock, sent, channel } = setUp()
    for (const id of [1, 2, 3]) channel.frame(frame(ControlOp.Ping, id))
    clock.advance(249)
    channel.frame(frame(ControlOp.Ping, 4))
    clock.advance(1)
    channel.frame(frame(ControlOp.Ping, 5))
    expect(sent).toEqual([1, 2, 5].map((id) => [ControlOp.Pong, id]))
  })
})
