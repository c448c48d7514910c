import { describe, expect, it } from 'vitest'
import { DRAIN_IDLE_MS, type DrainLimits, drained } from '../../src/mux/drained.js'
import type { Session } from '../../src/mux/session.js'
import { ManualClock } from '../support/manual-clock.js'

const LOOK_MS = 50

/** What is asked of a session here. */
class FakeSession {
  available = true
  channels = 1
  readonly usage = { receivedBytes: 0, sentBytes: 0 }

  carry(bytes: keyof FakeSession['usage']): void {
    this.usage[bytes] += 1
  }
}

/** Its timers fire late: the process stood still. */
class HaltingClock extends ManualClock {
  haltedMs = 0

  override now(): number {
    return super.now() + this.haltedMs
  }
}

function begin(sessions: readonly FakeSession[], limits: Partial<DrainLimits> = {}) {
  const clock = new HaltingClock()
  let over = false
  const ended = drained(() => sessions as unknown as readonly Session[], { limitMs: 60_000, ...limits }, clock)
  const settled = ended.then(() => {
    over = true
  })
  /** In steps of a look, as time passes. */
  const pass = async (ms: number, each: () => void = () => {}): Promise<boolean> => {
    for (let left = ms; left > 0; left -= LOOK_MS) {
      each()
      await clock.advanceAsync(LOOK_MS)
    }
    return over
  }
  return { clock, pass, settled, over: () => over }
}

describe('drained()', () => {
  it('settles at once without a channel, and without a session that takes any', async () => {
    const [empty, suspended] = [new FakeSession(), new FakeSession()]
    empty.channels = 0
    suspended.available = false
    const { settled, clock } = begin([empty, suspended])
    await settled
    expect(clock.pending).toBe(0)
  })

  it('waits for the last channel', async () => {
    const session = new FakeSession()
    const { pass, clock } = begin([session])
    const carry = (): void => session.carry('sentBytes')
    expect(await pass(10_000, carry)).toBe(false)
    session.channels = 0
    expect([await pass(LOOK_MS), clock.pending]).toEqual([true, 0])
  })

  it.each(['receivedBytes', 'sentBytes'] as const)('waits no longer than 2 s behind the last of %s', async (bytes) => {
    const session = new FakeSession()
    const { pass } = begin([session])
    expect(await pass(DRAIN_IDLE_MS - LOOK_MS)).toBe(false)
    session.carry(bytes)
    expect(await pass(DRAIN_IDLE_MS)).toBe(false)
    expect(await pass(LOOK_MS)).toBe(true)
  })

  it('waits for one session that carries something among idle ones', async () => {
    const [idle, busy] = [new FakeSession(), new FakeSession()]
    const { pass } = begin([idle, busy])
    const carry = (): void => busy.carry('receivedBytes')
    expect(await pass(5 * DRAIN_IDLE_MS, carry)).toBe(false)
    expect(await pass(DRAIN_IDLE_MS + LOOK_MS)).toBe(true)
  })

  it('ends at the limit, whatever is carried', async () => {
    const session = new FakeSession()
    const { pass, clock } = begin([session], { limitMs: 5_000 })
    const carry = (): void => session.carry('sentBytes')
    expect(await pass(5_000 - LOOK_MS, carry)).toBe(false)
    expect([await pass(LOOK_MS, carry), clock.pending]).toEqual([true, 0])
  })

  it('waits as long as it is told for a byte', async () => {
    const { pass } = begin([new FakeSession()], { idleMs: 30_000 })
    expect(await pass(30_000 - LOOK_MS)).toBe(false)
    expect(await pass(LOOK_MS)).toBe(true)
  })

  it('does not count time in which the process stood still', async () => {
    const { clock, over, pass } = begin([new FakeSession()])
    await clock.advanceAsync(LOOK_MS)
    clock.haltedMs = 10 * DRAIN_IDLE_MS
    await clock.advanceAsync(LOOK_MS)
    expect(over()).toBe(false)
    expect(await pass(DRAIN_IDLE_MS)).toBe(true)
  })
})
