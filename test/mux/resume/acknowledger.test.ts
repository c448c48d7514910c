import { describe, expect, it } from 'vitest'
import { Acknowledger } from '../../../src/mux/resume/acknowledger.js'
import { ACK_BYTES, ACK_DELAY_MS } from '../../../src/protocol/limits.js'
import { ManualClock } from '../../support/manual-clock.js'

function acknowledger() {
  const clock = new ManualClock()
  const told: number[] = []
  return { clock, told, acks: new Acknowledger(clock, (received) => told.push(received)) }
}

describe('Acknowledger', () => {
  it('acknowledges a message after the delay, once', () => {
    const { clock, told, acks } = acknowledger()
    acks.count(10)
    clock.advance(ACK_DELAY_MS - 1)
    expect([told, acks.received]).toEqual([[], 1])
    clock.advance(1)
    clock.advance(10 * ACK_DELAY_MS)
    expect([told, clock.pending]).toEqual([[1], 0])
  })

  it('covers what came since with one acknowledgement, and begins anew behind it', () => {
    const { clock, told, acks } = acknowledger()
    acks.count(1)
    clock.advance(ACK_DELAY_MS - 1)
    acks.count(1)
    clock.advance(1)
    acks.count(1)
    clock.advance(ACK_DELAY_MS)
    expect(told).toEqual([2, 3])
  })

  it('acknowledges at once when as many bytes have come as it may leave open', () => {
    const { told, acks } = acknowledger()
    acks.count(ACK_BYTES - 1)
    expect(told).toEqual([])
    acks.count(1)
    acks.count(ACK_BYTES - 1)
    expect(told).toEqual([2])
    acks.count(ACK_BYTES)
    expect(told).toEqual([2, 4])
  })

  it('acknowledges each message that alone is as large', () => {
    const { told, acks } = acknowledger()
    for (let turn = 0; turn < 3; turn += 1) acks.count(5 * ACK_BYTES)
    expect(told).toEqual([1, 2, 3])
  })

  it('counts empty messages', () => {
    const { clock, told, acks } = acknowledger()
    acks.count(0)
    clock.advance(ACK_DELAY_MS)
    expect(told).toEqual([1])
  })

  it('goes along with something small from a quarter of these bytes on', () => {
    const { told, acks } = acknowledger()
    acks.piggyback()
    acks.count(ACK_BYTES / 4 - 1)
    acks.piggyback()
    expect(told).toEqual([])
    acks.count(1)
    acks.piggyback()
    acks.piggyback()
    expect(told).toEqual([2])
  })

  it('says nothing when asked to with nothing new', () => {
    const { clock, told, acks } = acknowledger()
    acks.flush()
    acks.count(1)
    acks.flush()
    acks.flush()
    clock.advance(ACK_DELAY_MS)
    expect(told).toEqual([1])
  })

  it('is silent after stop(), and counts on with the next connection', () => {
    const { clock, told, acks } = acknowledger()
    acks.count(ACK_BYTES - 1)
    acks.stop()
    acks.stop()
    expect(clock.pending).toBe(0)
    clock.advance(ACK_DELAY_MS)
    acks.flush()
    // the next connection has told the count itself: neither count nor bytes are left over
    acks.count(1)
    expect(told).toEqual([])
    clock.advance(ACK_DELAY_MS)
    expect([told, acks.received]).toEqual([[2], 2])
  })

  it('may be stopped by the acknowledgement itself', () => {
    const clock = new ManualClock()
    const told: number[] = []
    const acks: Acknowledger = new Acknowledger(clock, (received) => {
      told.push(received)
      acks.stop()
    })
    acks.count(1)
    clock.advance(ACK_DELAY_MS)
    acks.count(ACK_BYTES)
    clock.advance(ACK_DELAY_MS)
    expect([told, clock.pending]).toEqual([[1, 2], 0])
  })
})
