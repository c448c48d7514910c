import { describe, expect, it } from 'vitest'
import { Hold } from '../../../src/mux/flow/hold.js'
import { BASE_READ_ON_BYTES, MAX_LINK_HELD_BYTES, ReadGate } from '../../../src/mux/flow/read-gate.js'
import {
  BASE_CHANNEL_BUFFER_BYTES,
  BASE_LINK_BUFFER_BYTES,
  BASE_READ_PAUSE_MS,
  BASE_STALL_TIMEOUT_MS,
  KIB,
  MIB,
} from '../../../src/protocol/limits.js'
import { ManualClock } from '../../support/manual-clock.js'

function setUp() {
  const clock = new ManualClock()
  let reading = true
  let stalls = 0
  const transport = {
    pause: () => {
      reading = false
    },
    resume: () => {
      reading = true
    },
  }
  const gate = new ReadGate(transport, clock, { pause: () => {}, resume: () => {} })
  const stalled = (): void => {
    stalls += 1
  }
  const hold = (readerMs?: () => number, heldBack?: () => boolean): Hold =>
    new Hold(gate, clock, stalled, readerMs, heldBack)
  return { clock, gate, hold, isReading: () => reading, stalls: () => stalls }
}

describe('Hold', () => {
  it('lets the link be read up to the limit and stops it one byte above', () => {
    const { hold, isReading } = setUp()
    const subject = hold()
    subject.add(BASE_CHANNEL_BUFFER_BYTES)
    expect(isReading()).toBe(true)
    subject.add(1)
    expect(isReading()).toBe(false)
  })

  it('gives up what a rate holds back over its own limit though it moves, and not what stands still below', () => {
    const { clock, gate, hold, stalls } = setUp()
    const over = hold(undefined, () => true)
    over.add(BASE_CHANNEL_BUFFER_BYTES + 64 * KIB)
    for (let second = 1; second < BASE_STALL_TIMEOUT_MS / 1_000; second += 1) {
      clock.advance(1_000)
      over.release(1)
    }
    expect(stalls()).toBe(0)
    clock.advance(1_000)
    expect(stalls()).toBe(1)
    over.leave()
    const below = hold(undefined, () => true)
    below.add(BASE_CHANNEL_BUFFER_BYTES)
    // the link as a whole holds too much
    gate.hold(BASE_LINK_BUFFER_BYTES)
    clock.advance(2 * BASE_STALL_TIMEOUT_MS)
    expect(stalls()).toBe(1)
  })

  it('stops it for at most 2 s at a time, and again when 4 MiB more came', () => {
    const { clock, hold, isReading } = setUp()
    const subject = hold()
    subject.add(BASE_CHANNEL_BUFFER_BYTES + 1)
    clock.advance(BASE_READ_PAUSE_MS - 1)
    expect(isReading()).toBe(false)
    clock.advance(1)
    expect(isReading()).toBe(true)
    subject.add(BASE_READ_ON_BYTES - 1)
    expect(isReading()).toBe(true)
    subject.add(1)
    expect(isReading()).toBe(false)
  })

  it('lets the link be read again at half the limit, however often', () => {
    const { clock, hold, isReading } = setUp()
    const subject = hold()
    for (let round = 0; round < 3; round += 1) {
      subject.add(BASE_CHANNEL_BUFFER_BYTES + 1)
      subject.release(BASE_CHANNEL_BUFFER_BYTES / 2)
      expect(isReading()).toBe(false)
      subject.release(1)
      expect(isReading()).toBe(true)
      subject.release(subject.bytes)
    }
    expect(clock.pending).toBe(0)
  })

  it('reads on only when no channel of the link is over its limit', () => {
    const { hold, isReading } = setUp()
    const [one, two] = [hold(), hold()]
    one.add(BASE_CHANNEL_BUFFER_BYTES + 1)
    two.add(BASE_CHANNEL_BUFFER_BYTES + 1)
    one.release(one.bytes)
    expect(isReading()).toBe(false)
    two.leave()
    expect(isReading()).toBe(true)
  })

  it('reports a stall once when nothing is released for 30 s above the limit', () => {
    const { clock, hold, stalls } = setUp()
    const subject = hold()
    subject.add(BASE_CHANNEL_BUFFER_BYTES + 10)
    clock.advance(BASE_STALL_TIMEOUT_MS - 1)
    subject.release(1)
    clock.advance(BASE_STALL_TIMEOUT_MS - 1)
    expect(stalls()).toBe(0)
    clock.advance(1)
    expect(stalls()).toBe(1)
    clock.advance(10 * BASE_STALL_TIMEOUT_MS)
    expect(stalls()).toBe(1)
  })

  it('counts the 30 s from when a reader that was away is back', () => {
    const { clock, hold, stalls } = setUp()
    let since: number | undefined
    const subject = hold(() => (since === undefined ? 0 : clock.now() - since))
    subject.add(BASE_CHANNEL_BUFFER_BYTES + 1)
    clock.advance(3 * BASE_STALL_TIMEOUT_MS - 1)
    since = clock.now()
    clock.advance(BASE_STALL_TIMEOUT_MS - 1)
    expect(stalls()).toBe(0)
    clock.advance(1)
    expect([stalls(), clock.pending]).toEqual([1, 0])
  })

  it('lets the link be read in shorter steps for a reader that is away, so that none is too much for minutes', () => {
    const { clock, hold, isReading } = setUp()
    const subject = hold(() => 0)
    const message = 64 * KIB
    const fill = (): void => {
      while (isReading()) subject.add(message)
    }
    fill()
    for (let step = 0; step < 60; step += 1) {
      clock.advance(BASE_READ_PAUSE_MS)
      expect(isReading()).toBe(true)
      fill()
    }
    expect(subject.bytes).toBeGreaterThan(MAX_LINK_HELD_BYTES / 2)
    const over = (): void => {
      for (let step = 0; step < 60; step += 1) {
        clock.advance(BASE_READ_PAUSE_MS)
        fill()
      }
    }
    expect(over).toThrowError(expect.objectContaining({ code: 'ERR_LIMIT' }))
  })

  it('reports none below the limit or after it left', () => {
    const { clock, hold, stalls } = setUp()
    const [below, left] = [hold(), hold()]
    below.add(BASE_CHANNEL_BUFFER_BYTES)
    left.add(BASE_CHANNEL_BUFFER_BYTES + 1)
    left.leave()
    left.leave()
    clock.advance(10 * BASE_STALL_TIMEOUT_MS)
    expect(stalls()).toBe(0)
    below.release(below.bytes)
    expect(clock.pending).toBe(0)
  })

  it('counts in the total of the link until released, never below nothing', () => {
    const { gate, hold } = setUp()
    const subject = hold()
    subject.add(100)
    subject.leave()
    expect(gate.bufferedBytes).toBe(100)
    subject.release(40)
    subject.release(1_000)
    expect([subject.bytes, gate.bufferedBytes]).toEqual([0, 0])
  })

  it('stops the link for the total of channels that are each below their limit', () => {
    const { hold, isReading } = setUp()
    const holds = Array.from({ length: BASE_LINK_BUFFER_BYTES / MIB }, () => hold())
    for (const each of holds) each.add(MIB)
    expect(isReading()).toBe(true)
    holds[0]?.add(1)
    expect(isReading()).toBe(false)
    holds[1]?.release(1)
    expect(isReading()).toBe(true)
  })

  it('refuses more than twice the total of a link, but to a modest channel', () => {
    const { clock, gate, hold } = setUp()
    const [greedy, modest] = [hold(), hold()]
    greedy.add(MAX_LINK_HELD_BYTES)
    modest.add(65_536)
    clock.advance(BASE_READ_PAUSE_MS)
    expect(() => greedy.add(1)).toThrowError(expect.objectContaining({ code: 'ERR_LIMIT' }))
    expect(() => modest.add(1)).toThrowError(expect.objectContaining({ code: 'ERR_LIMIT' }))
    greedy.release(greedy.bytes)
    modest.release(modest.bytes)
    expect(gate.bufferedBytes).toBe(0)
  })

  it('spares a channel that moves, up to twice as much again', () => {
    const { clock, hold } = setUp()
    const [stuck, moving] = [hold(), hold()]
    stuck.add(MAX_LINK_HELD_BYTES)
    clock.advance(BASE_READ_PAUSE_MS)
    moving.add(5 * MIB)
    expect(() => stuck.add(1)).toThrowError(expect.objectContaining({ code: 'ERR_LIMIT' }))
    expect(() => moving.add(MAX_LINK_HELD_BYTES)).toThrowError(expect.objectContaining({ code: 'ERR_LIMIT' }))
  })

  it('reports the stall of channels that together fill the link, each below its own limit', () => {
    const { clock, gate, hold, stalls } = setUp()
    const still = Array.from({ length: 12 }, () => hold())
    for (const each of still) each.add(3 * MIB)
    clock.advance(BASE_STALL_TIMEOUT_MS - 1)
    expect(stalls()).toBe(0)
    still[0]?.release(MIB)
    clock.advance(1)
    expect([stalls(), gate.bufferedBytes > BASE_LINK_BUFFER_BYTES]).toEqual([11, true])
    clock.advance(BASE_STALL_TIMEOUT_MS)
    expect(stalls()).toBe(12)
  })

  it('counts the 30 s of a reader that paused long ago from when the link filled', () => {
    const { clock, hold, stalls } = setUp()
    const [old, filler] = [hold(), hold()]
    old.add(MIB)
    clock.advance(10 * BASE_STALL_TIMEOUT_MS + 1)
    filler.limitBytes = Number.POSITIVE_INFINITY
    filler.add(BASE_LINK_BUFFER_BYTES)
    clock.advance(BASE_STALL_TIMEOUT_MS - 1)
    expect(stalls()).toBe(0)
    clock.advance(1)
    expect(stalls()).toBe(2)
  })

  it('without a limit of its own stops nobody', () => {
    const { hold, isReading } = setUp()
    const subject = hold()
    subject.limitBytes = Number.POSITIVE_INFINITY
    subject.add(BASE_CHANNEL_BUFFER_BYTES * 2)
    expect(isReading()).toBe(true)
  })
})
