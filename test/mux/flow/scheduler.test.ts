import { describe, expect, it } from 'vitest'
import { Pace } from '../../../src/mux/flow/pace.js'
import {
  type Lane,
  MAX_CONTROL_QUEUE_BYTES,
  type Outgoing,
  QUANTUM_BYTES,
  type ScheduledTransport,
  Scheduler,
  type Source,
  TRANSPORT_HIGH_WATER_BYTES,
} from '../../../src/mux/flow/scheduler.js'
import { ManualClock } from '../../support/manual-clock.js'

/** Takes messages until its buffer is full; `drain()` empties it. */
class FakeTransport implements ScheduledTransport {
  bufferedAmount = 0
  readonly sent: Uint8Array[] = []
  #callbacks: (() => void)[] = []

  send(head: Uint8Array, body?: Uint8Array, sent?: () => void): void {
    this.sent.push(head)
    this.bufferedAmount += head.byteLength + (body?.byteLength ?? 0)
    if (sent !== undefined) this.#callbacks.push(sent)
  }

  drain(): void {
    this.bufferedAmount = 0
    for (const callback of this.#callbacks.splice(0)) callback()
  }
}

const LARGEST_BYTES = 1_048_576
const ZEROS = new Uint8Array(LARGEST_BYTES)

/** Messages of one size, marked with the source's number; each may run a hook. */
class FakeSource implements Source {
  readonly number: number
  readonly size: number
  left: number
  taken = 0
  onTake: () => void = () => {}
  onSent: (() => void) | undefined

  constructor(number: number, size: number, left = Number.POSITIVE_INFINITY) {
    this.number = number
    this.size = size
    this.left = left
  }

  nextBytes(): number {
    return this.left > 0 ? this.size : 0
  }

  take(): Outgoing {
    this.left -= 1
    this.taken += this.size
    this.onTake()
    return { head: Uint8Array.of(this.number), body: ZEROS.subarray(0, this.size - 1), sent: this.onSent }
  }
}

function setUp() {
  const transport = new FakeTransport()
  let overflows = 0
  const scheduler = new Scheduler(transport, new Pace(new ManualClock()), () => {
    overflows += 1
    scheduler.stop()
  })
  const add = (...sources: FakeSource[]): Lane[] => {
    const lanes = sources.map((source) => scheduler.lane(source))
    for (const lane of lanes) lane.ready()
    return lanes
  }
  const turn = (times = 1): void => {
    for (let i = 0; i < times; i += 1) {
      transport.drain()
      scheduler.run()
    }
  }
  return {
    transport,
    scheduler,
    add,
    turn,
    order: () => transport.sent.map((head) => head[0]),
    overflows: () => overflows,
  }
}

/** The buffer is full: whatever becomes ready now waits. */
function busy() {
  const all = setUp()
  all.transport.bufferedAmount = TRANSPORT_HIGH_WATER_BYTES
  return all
}

describe('Scheduler', () => {
  it('sends at once while the transport takes it, and stops at its high-water mark', () => {
    const { transport, add } = setUp()
    const source = new FakeSource(1, 10_000)
    add(source)
    expect(transport.bufferedAmount).toBeGreaterThanOrEqual(TRANSPORT_HIGH_WATER_BYTES)
    expect(transport.bufferedAmount).toBeLessThan(TRANSPORT_HIGH_WATER_BYTES + source.size)
  })

  it('says what has left the transport, and whether that is full', () => {
    const { scheduler, transport, add } = setUp()
    expect(scheduler.output()).toEqual({ leftBytes: 0, full: false })
    add(new FakeSource(1, QUANTUM_BYTES))
    expect(scheduler.output()).toEqual({ leftBytes: 0, full: true })
    transport.bufferedAmount -= 1_000
    expect(scheduler.output()).toEqual({ leftBytes: 1_000, full: false })
  })

  it('gives busy sources equal shares whatever the size of their messages', () => {
    const { add, turn } = busy()
    const sizes = [40, 100, 1_000, 16_000, 40_000, 65_536, 66_000, 262_144]
    const sources = sizes.map((size, index) => new FakeSource(index, size))
    add(...sources)
    turn(300)
    const shares = sources.map(({ taken }) => taken)
    // nobody is more than a message and a quantum away from anybody else
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(262_144 + QUANTUM_BYTES)
    expect(Math.min(...shares)).toBeGreaterThan(1_000_000)
  })

  it('lets a small source wait for one round of the others at most', () => {
    const { scheduler, add, turn, transport } = busy()
    const bulk = Array.from({ length: 8 }, (_, index) => new FakeSource(index, 65_536))
    add(...bulk)
    turn(5)
    const before = transport.sent.length
    const small = new FakeSource(99, 100, 1)
    scheduler.lane(small).ready()
    turn(20)
    const waited = transport.sent.slice(before).findIndex((head) => head[0] === 99)
    expect(waited).toBeGreaterThanOrEqual(0)
    expect(waited).toBeLessThanOrEqual(bulk.length)
  })

  it('sends control messages ahead of all data', () => {
    const { scheduler, add, turn, order } = busy()
    add(new FakeSource(1, 100, 2))
    scheduler.control(Uint8Array.of(50))
    scheduler.control(Uint8Array.of(51))
    turn()
    expect(order()).toEqual([50, 51, 1, 1])
  })

  it('ends the link when more than 8 MiB of control messages wait', () => {
    const { scheduler, overflows, transport, turn } = busy()
    const piece = new Uint8Array(MAX_CONTROL_QUEUE_BYTES / 8)
    for (let i = 0; i < 8; i += 1) scheduler.control(piece)
    expect(overflows()).toBe(0)
    scheduler.control(Uint8Array.of(1))
    expect(overflows()).toBe(1)
    scheduler.control(Uint8Array.of(1))
    turn()
    expect([overflows(), transport.sent.length]).toEqual([1, 0])
  })

  it('takes 8 MiB of control messages again after they have left', () => {
    const { scheduler, overflows, turn } = busy()
    for (let i = 0; i < 3; i += 1) {
      scheduler.control(new Uint8Array(MAX_CONTROL_QUEUE_BYTES))
      turn()
    }
    expect(overflows()).toBe(0)
  })

  it('skips lanes closed while they wait, and ignores ready() after close()', () => {
    const { add, turn, order, scheduler } = busy()
    const [first, second] = add(new FakeSource(1, 10, 1), new FakeSource(2, 10, 1), new FakeSource(3, 10, 1))
    first?.close()
    first?.close()
    turn()
    expect(order()).toEqual([2, 3])
    second?.close()
    second?.ready()
    expect(scheduler.waiting).toBe(0)
  })

  it('takes a lane back that was idle', () => {
    const { add, turn, order } = busy()
    const source = new FakeSource(1, 10, 1)
    const [lane] = add(source)
    turn()
    source.left = 2
    lane?.ready()
    lane?.ready()
    turn()
    expect(order()).toEqual([1, 1, 1])
  })

  it('saves up no share for an idle source', () => {
    const { add, turn, transport } = busy()
    const idle = new FakeSource(1, 60_000, 1)
    const [lane] = add(idle)
    turn(10)
    const busySource = new FakeSource(2, 60_000)
    add(busySource)
    transport.bufferedAmount = TRANSPORT_HIGH_WATER_BYTES
    idle.left = Number.POSITIVE_INFINITY
    lane?.ready()
    const before = [idle.taken, busySource.taken]
    turn(10)
    const gained = [idle.taken - (before[0] ?? 0), busySource.taken - (before[1] ?? 0)]
    expect(Math.abs((gained[0] ?? 0) - (gained[1] ?? 0))).toBeLessThanOrEqual(QUANTUM_BYTES + 60_000)
  })

  it.each(['onTake', 'onSent'] as const)('takes ready(), control() and close() from inside %s', (hook) => {
    const { scheduler, add, turn, order } = busy()
    const [other, source, closed] = [new FakeSource(2, 10, 1), new FakeSource(1, 10, 2), new FakeSource(3, 10, 5)]
    const [lane, closedLane] = add(source, closed)
    const otherLane = scheduler.lane(other)
    source[hook] = () => {
      lane?.ready()
      otherLane.ready()
      closedLane?.close()
      scheduler.control(Uint8Array.of(50))
      scheduler.run()
    }
    turn(5)
    const sent = order()
    expect(sent.filter((one) => one === 1)).toHaveLength(2)
    expect(sent.filter((one) => one === 2)).toHaveLength(1)
    expect(sent.filter((one) => one === 50)).toHaveLength(2)
    expect(scheduler.waiting).toBe(0)
  })

  it('survives being stopped from inside take()', () => {
    const { scheduler, add, turn, transport } = busy()
    const source = new FakeSource(1, 10)
    source.onTake = () => scheduler.stop()
    add(source, new FakeSource(2, 10))
    turn(3)
    expect(transport.sent.length).toBeLessThanOrEqual(1)
    expect(scheduler.waiting).toBe(0)
  })

  it('keeps thousands of sources going round', () => {
    const { add, turn } = busy()
    const sources = Array.from({ length: 5_000 }, (_, index) => new FakeSource(index & 0xff, 40_000))
    add(...sources)
    turn(5_000)
    const shares = sources.map(({ taken }) => taken)
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(QUANTUM_BYTES + 40_000)
  })

  it('settles idle() once nothing waits, again after each use', async () => {
    const { scheduler, add, turn } = busy()
    await scheduler.idle()
    for (let i = 0; i < 2; i += 1) {
      let idle = false
      add(new FakeSource(1, TRANSPORT_HIGH_WATER_BYTES, 2))
      const waiting = scheduler.idle().then(() => {
        idle = true
      })
      turn()
      await Promise.resolve()
      expect(idle).toBe(false)
      turn(5)
      await waiting
      expect(idle).toBe(true)
    }
  })

  it('settles idle() when it is stopped, and sends nothing from then on', async () => {
    const { scheduler, add, turn, transport } = busy()
    const [lane] = add(new FakeSource(1, 10))
    scheduler.control(Uint8Array.of(1))
    const waiting = scheduler.idle()
    scheduler.stop()
    await waiting
    await scheduler.idle()
    scheduler.control(Uint8Array.of(1))
    lane?.ready()
    turn()
    expect([transport.sent.length, scheduler.waiting]).toEqual([0, 0])
  })
})
