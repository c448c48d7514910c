import { describe, expect, it } from 'vitest'
import { Pace } from '../../../src/mux/flow/pace.js'
import { KIB, MAX_DATA_BYTES, MIB } from '../../../src/protocol/limits.js'
import { ManualClock } from '../../support/manual-clock.js'

function setUp() {
  const clock = new ManualClock()
  const pace = new Pace(clock)
  /** Sends `bytes` in messages of 64 KiB, of which each takes `eachMs`. */
  const send = (bytes: number, eachMs: number): number => {
    for (let sent = 0; sent < bytes; sent += 64 * KIB) {
      clock.advance(eachMs)
      pace.sent(64 * KIB)
    }
    return pace.messageBytes
  }
  return { pace, clock, send }
}

describe('Pace', () => {
  it('begins with messages of 64 KiB', () => {
    expect(setUp().pace.messageBytes).toBe(64 * KIB)
  })

  it('lets messages grow to what a fast link carries in a millisecond', () => {
    // 64 KiB in 0.4 ms: 160 KiB in 1 ms
    expect(setUp().send(MIB, 0.4)).toBe(160 * KIB)
  })

  it('never goes beyond what a message may carry, however fast the link', () => {
    expect(setUp().send(MIB, 0)).toBe(MAX_DATA_BYTES)
  })

  it('comes back to 64 KiB on a link that became slow', () => {
    const { send } = setUp()
    send(4 * MIB, 0.05)
    expect(send(MIB, 10)).toBe(64 * KIB)
  })

  it('takes a pause for slowness', () => {
    const { send, clock } = setUp()
    send(4 * MIB, 0.05)
    clock.advance(1_000)
    expect(send(MIB, 0.05)).toBe(64 * KIB)
    expect(send(MIB, 0.05)).toBe(MAX_DATA_BYTES)
  })
})
