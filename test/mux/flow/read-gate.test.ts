import { describe, expect, it } from 'vitest'
import { BASE_READ_ON_BYTES, MAX_LINK_HELD_BYTES, ReadGate } from '../../../src/mux/flow/read-gate.js'
import { BASE_LINK_BUFFER_BYTES, BASE_READ_PAUSE_MS } from '../../../src/protocol/limits.js'
import { ManualClock } from '../../support/manual-clock.js'

function setUp() {
  const clock = new ManualClock()
  const calls: string[] = []
  const recorder = (name: string) => ({
    pause: () => calls.push(`${name} pauses`),
    resume: () => calls.push(`${name} resumes`),
  })
  const gate = new ReadGate(recorder('transport'), clock, recorder('keepalive'))
  return { clock, gate, calls }
}

const PAUSE = ['transport pauses', 'keepalive pauses']
const RESUME = ['keepalive resumes', 'transport resumes']

describe('ReadGate', () => {
  it('reads on after 2 s, whatever is held', () => {
    const { clock, gate, calls } = setUp()
    gate.enter()
    gate.pause()
    gate.pause()
    clock.advance(BASE_READ_PAUSE_MS - 1)
    expect([calls, gate.paused]).toEqual([PAUSE, true])
    clock.advance(1)
    expect([calls, gate.paused]).toEqual([[...PAUSE, ...RESUME], false])
  })

  it('pauses again when 4 MiB more have arrived', () => {
    const { clock, gate, calls } = setUp()
    gate.enter()
    gate.pause()
    clock.advance(BASE_READ_PAUSE_MS)
    gate.hold(BASE_READ_ON_BYTES - 1)
    gate.pause()
    expect(calls).toEqual([...PAUSE, ...RESUME])
    gate.hold(1)
    gate.pause()
    expect(calls).toEqual([...PAUSE, ...RESUME, ...PAUSE])
  })

  it('reads on a sixteenth of the room left while a reader is away, and 4 MiB again after that', () => {
    const { clock, gate, calls } = setUp()
    gate.enter()
    gate.hold(BASE_LINK_BUFFER_BYTES)
    gate.spare()
    gate.pause()
    clock.advance(BASE_READ_PAUSE_MS)
    gate.hold(-BASE_LINK_BUFFER_BYTES)
    const step = (MAX_LINK_HELD_BYTES - BASE_LINK_BUFFER_BYTES) / 16
    for (const allowed of [step, BASE_READ_ON_BYTES]) {
      gate.hold(allowed - 1)
      gate.pause()
      expect(gate.paused).toBe(false)
      gate.hold(1)
      gate.pause()
      expect(gate.paused).toBe(true)
      clock.advance(BASE_READ_PAUSE_MS)
    }
    expect(calls).toHaveLength(12)
  })

  it('reads on at once when nobody is over a limit any more', () => {
    const { clock, gate, calls } = setUp()
    gate.enter()
    gate.enter()
    gate.pause()
    gate.leave()
    expect(gate.paused).toBe(true)
    gate.leave()
    expect(calls).toEqual([...PAUSE, ...RESUME])
    expect(clock.pending).toBe(0)
  })

  it('reads nothing while somebody is behind with work, whatever was allowed, released or how long it takes', () => {
    const { clock, gate, calls } = setUp()
    gate.enter()
    gate.pause()
    clock.advance(BASE_READ_PAUSE_MS)
    const [one, other] = [{}, {}]
    gate.behind(one)
    gate.behind(other)
    gate.behind(one)
    gate.leave()
    gate.hold(-1)
    clock.advance(2 * BASE_READ_PAUSE_MS)
    gate.caughtUp(one)
    gate.caughtUp(one)
    expect(calls).toEqual([...PAUSE, ...RESUME, ...PAUSE])
    gate.caughtUp(other)
    expect([calls, clock.pending]).toEqual([[...PAUSE, ...RESUME, ...PAUSE, ...RESUME], 0])
  })

  it('pauses above the total of the link and reads on below it', () => {
    const { gate, calls } = setUp()
    gate.hold(BASE_LINK_BUFFER_BYTES)
    expect(gate.paused).toBe(false)
    gate.hold(1)
    expect([gate.paused, gate.bufferedBytes]).toEqual([true, BASE_LINK_BUFFER_BYTES + 1])
    gate.hold(-1)
    expect(calls).toEqual([...PAUSE, ...RESUME])
  })

  it('lets the transport read its close frame once it is stopped', () => {
    const { clock, gate, calls } = setUp()
    gate.pause()
    gate.stop()
    gate.stop()
    expect([calls, clock.pending, gate.paused]).toEqual([[...PAUSE, ...RESUME], 0, false])
  })
})
