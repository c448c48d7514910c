import { describe, expect, it } from 'vitest'
import type { Output } from '../../src/mux/flow/scheduler.js'
import { Keepalive, type PingTimes } from '../../src/mux/keepalive.js'
import { LINK_TIMEOUT_MS, PING_INTERVAL_MS } from '../../src/protocol/limits.js'
import { ManualClock, settle } from '../support/manual-clock.js'

function setUp(pongs = false, times?: PingTimes, output?: () => Output) {
  const clock = new ManualClock()
  const frames: string[] = []
  const deaths: number[] = []
  const keepalive = new Keepalive({
    transport: { ping: () => frames.push('ping'), pong: () => frames.push('pong') },
    clock,
    pongs,
    times,
    output,
    dead: () => deaths.push(clock.now()),
  })
  keepalive.start()
  return { clock, frames, deaths, keepalive }
}

describe('Keepalive', () => {
  it('pings after 1 s and then every 20 s', () => {
    const { clock, frames, keepalive } = setUp()
    clock.advance(1_000)
    expect(frames).toEqual(['ping'])
    for (let i = 0; i < 3; i += 1) {
      clock.advance(PING_INTERVAL_MS)
      keepalive.activity()
    }
    expect(frames).toEqual(['ping', 'ping', 'ping', 'ping'])
  })

  it('keeps other times where asked to', () => {
    const { clock, frames, deaths } = setUp(false, { intervalMs: 100, timeoutMs: 350 })
    clock.advance(349)
    expect([frames.length, deaths]).toEqual([3, []])
    clock.advance(1)
    expect([deaths, clock.pending]).toEqual([[350], 0])
  })

  it('knows what the last ping took, and takes no pong that nobody asked for', () => {
    const { clock, keepalive } = setUp()
    keepalive.pong()
    expect(keepalive.roundTripMs).toBeUndefined()
    clock.advance(1_030)
    keepalive.pong()
    expect(keepalive.roundTripMs).toBe(30)
    clock.advance(500)
    keepalive.pong()
    expect(keepalive.roundTripMs).toBe(30)
  })

  it('tells whether the peer has received all that was sent before', async () => {
    const { clock, frames, keepalive } = setUp()
    const told: boolean[] = []
    const ask = (): void => void keepalive.passes(500).then((answered) => told.push(answered))
    ask()
    ask()
    expect(frames).toEqual(['ping', 'ping'])
    keepalive.activity()
    await settle()
    expect(told).toEqual([])
    keepalive.pong()
    await settle()
    expect(told).toEqual([true, true])
    ask()
    await clock.advanceAsync(499)
    expect(told).toHaveLength(2)
    await clock.advanceAsync(1)
    expect(told).toEqual([true, true, false])
    ask()
    keepalive.stop()
    await settle()
    expect([told, clock.pending]).toEqual([[true, true, false, false], 0])
  })

  it('does not take the answer on a new connection for the one to a ping on the old', () => {
    const { clock, keepalive } = setUp()
    clock.advance(1_000)
    keepalive.stop()
    clock.advance(5_000)
    keepalive.restart()
    keepalive.pong()
    expect(keepalive.roundTripMs).toBeUndefined()
  })

  it('sends unsolicited pongs where asked to', () => {
    const { clock, frames } = setUp(true)
    clock.advance(PING_INTERVAL_MS)
    expect(frames).toEqual(['ping', 'pong'])
  })

  it('reports a link on which nothing arrived for 45 s, once, and pings it no more', () => {
    const { clock, frames, deaths } = setUp()
    clock.advance(LINK_TIMEOUT_MS - 1)
    expect(deaths).toEqual([])
    clock.advance(10 * LINK_TIMEOUT_MS)
    expect([deaths, frames, clock.pending]).toEqual([[LINK_TIMEOUT_MS], ['ping', 'ping', 'ping'], 0])
  })

  it('counts from the last frame that arrived', () => {
    const { clock, deaths, keepalive } = setUp()
    clock.advance(30_000)
    keepalive.activity()
    clock.advance(44_999)
    expect(deaths).toEqual([])
    clock.advance(1)
    expect(deaths).toEqual([75_000])
  })

  it('stands still while the link is not read', () => {
    const { clock, deaths, keepalive } = setUp()
    clock.advance(40_000)
    keepalive.pause()
    keepalive.pause()
    clock.advance(2 * LINK_TIMEOUT_MS)
    expect(deaths).toEqual([])
    keepalive.resume()
    keepalive.resume()
    clock.advance(4_999)
    expect(deaths).toEqual([])
    clock.advance(1)
    expect(deaths).toHaveLength(1)
  })

  it('counts from a frame that arrived after reading was stopped', () => {
    const { clock, deaths, keepalive } = setUp()
    clock.advance(40_000)
    keepalive.pause()
    clock.advance(1_000)
    keepalive.activity()
    clock.advance(1_000)
    keepalive.resume()
    clock.advance(LINK_TIMEOUT_MS - 1)
    expect(deaths).toEqual([])
    clock.advance(1)
    expect(deaths).toHaveLength(1)
  })

  it('does nothing after stop()', () => {
    const { clock, frames, deaths, keepalive } = setUp()
    keepalive.stop()
    clock.advance(10 * LINK_TIMEOUT_MS)
    expect([frames, deaths, clock.pending]).toEqual([[], [], 0])
  })
})

describe('Keepalive.ask', () => {
  it('pings where nothing came for 250 ms, once until something comes', () => {
    const { clock, frames, keepalive } = setUp()
    clock.advance(249)
    keepalive.ask()
    expect(frames).toEqual([])
    clock.advance(1)
    keepalive.ask()
    keepalive.ask()
    expect(frames).toEqual(['ping'])
    keepalive.activity()
    keepalive.ask()
    expect(frames).toEqual(['ping'])
    clock.advance(250)
    keepalive.ask()
    expect(frames).toEqual(['ping', 'ping'])
  })

  it('tells who owes an answer for 250 ms, or four round trips, and no more once something came', () => {
    const { clock, keepalive } = setUp()
    clock.advance(250)
    expect(keepalive.owes).toBe(false)
    keepalive.ask()
    clock.advance(249)
    expect(keepalive.owes).toBe(false)
    clock.advance(1)
    expect(keepalive.owes).toBe(true)
    keepalive.activity()
    expect(keepalive.owes).toBe(false)
    // the ping at 1 s takes 100 ms to be answered
    clock.advance(600)
    keepalive.pong()
    keepalive.activity()
    expect(keepalive.roundTripMs).toBe(100)
    clock.advance(250)
    keepalive.ask()
    clock.advance(399)
    expect(keepalive.owes).toBe(false)
    clock.advance(1)
    expect(keepalive.owes).toBe(true)
  })

  it('asks nobody before the start, after the end, or while nothing is read', () => {
    const { clock, frames, keepalive } = setUp()
    clock.advance(500)
    keepalive.ask()
    keepalive.pause()
    clock.advance(400)
    expect(keepalive.owes).toBe(false)
    keepalive.ask()
    expect(frames).toEqual(['ping'])
    keepalive.resume()
    keepalive.stop()
    keepalive.ask()
    clock.advance(5_000)
    expect([frames, keepalive.owes]).toEqual([['ping'], false])
    keepalive.restart()
    clock.advance(250)
    keepalive.ask()
    expect(frames).toEqual(['ping', 'ping'])
  })
})

describe('Keepalive.whenOwes', () => {
  it('calls back once the peer has sent nothing for 250 ms and then left a ping unanswered for as long', () => {
    const { clock, frames, keepalive } = setUp()
    let called = 0
    keepalive.whenOwes(() => called++)
    clock.advance(250)
    expect([frames, called]).toEqual([['ping'], 0])
    clock.advance(249)
    expect(called).toBe(0)
    clock.advance(1)
    expect(called).toBe(1)
    clock.advance(300)
    expect(called).toBe(1)
  })

  it('never does when something comes meanwhile, or it is cancelled', () => {
    for (const [before, after] of [
      [100, 0],
      [250, 100],
    ] as const) {
      const { clock, keepalive } = setUp()
      let called = 0
      keepalive.whenOwes(() => called++)
      clock.advance(before)
      keepalive.activity()
      clock.advance(after)
      clock.advance(700)
      expect(called).toBe(0)
    }
    const { clock, keepalive } = setUp()
    let called = 0
    const watch = keepalive.whenOwes(() => called++)
    clock.advance(300)
    watch.cancel()
    clock.advance(700)
    expect(called).toBe(0)
  })

  it('calls back where the peer has no connection by then, and not where it is back', () => {
    for (const back of [false, true]) {
      const { clock, keepalive } = setUp()
      let called = 0
      keepalive.whenOwes(() => called++)
      clock.advance(100)
      keepalive.stop()
      clock.advance(100)
      if (back) keepalive.restart()
      clock.advance(1_000)
      expect(called).toBe(back ? 0 : 1)
    }
  })

  it('does so sooner where a ping is out already', () => {
    const { clock, keepalive } = setUp()
    clock.advance(250)
    keepalive.ask()
    clock.advance(200)
    let called = 0
    keepalive.whenOwes(() => called++)
    clock.advance(50)
    expect(called).toBe(1)
  })
})

describe('Keepalive.answers', () => {
  it('pings at once, and any frame is an answer', async () => {
    const { clock, frames, keepalive } = setUp()
    const answer = keepalive.answers(3_000)
    expect(frames).toEqual(['ping'])
    clock.advance(999)
    keepalive.activity()
    expect(await answer).toBe(true)
    expect(clock.pending).toBe(2)
  })

  it('takes silence for no answer when the time is over, and not before', async () => {
    const { clock, keepalive } = setUp()
    const seen: boolean[] = []
    void keepalive.answers(3_000).then((alive) => seen.push(alive))
    clock.advance(2_999)
    await settle()
    expect(seen).toEqual([])
    clock.advance(1)
    await settle()
    expect(seen).toEqual([false])
  })

  it('sends one ping for all that ask at a time, and another one for the next', async () => {
    const { frames, keepalive } = setUp()
    const answers = [keepalive.answers(3_000), keepalive.answers(3_000)]
    expect(frames).toEqual(['ping'])
    keepalive.activity()
    expect(await Promise.all(answers)).toEqual([true, true])
    const again = keepalive.answers(3_000)
    expect(frames).toEqual(['ping', 'ping'])
    keepalive.activity()
    expect(await again).toBe(true)
  })

  it('does not take silence for no answer while nothing is read', async () => {
    const { clock, keepalive } = setUp()
    const answer = keepalive.answers(3_000)
    keepalive.pause()
    clock.advance(3_000)
    expect(await answer).toBe(true)
  })

  it.each<[string, Output, Output, boolean]>([
    ['some of what fills the transport leaves', { leftBytes: 5, full: true }, { leftBytes: 6, full: true }, true],
    ['all of what fills the transport leaves', { leftBytes: 5, full: true }, { leftBytes: 9, full: false }, true],
    ['nothing of what fills the transport leaves', { leftBytes: 5, full: true }, { leftBytes: 5, full: true }, false],
    ['the transport has room', { leftBytes: 5, full: false }, { leftBytes: 6, full: false }, false],
  ])(
    'says while no frame comes whether the peer takes what the ping waits behind: %s',
    async (_, first, last, alive) => {
      let output = { leftBytes: 0, full: true }
      const { clock, keepalive } = setUp(false, undefined, () => output)
      const answer = keepalive.answers(3_000)
      // what the system took at first, whether the peer is there or not
      output = first
      clock.advance(2_999)
      output = last
      clock.advance(1)
      expect([await answer, clock.pending]).toEqual([alive, 2])
    },
  )

  it('hears an answer that came while the process stood still: it is read after the timers that are due', async () => {
    const { clock, keepalive } = setUp()
    const answer = keepalive.answers(3_000)
    clock.after(3_000, () => keepalive.activity())
    clock.advance(3_000)
    expect(await answer).toBe(true)
  })

  it('asks anew after an answer that came with the ping', async () => {
    const frames: string[] = []
    const ping = (): void => {
      frames.push('ping')
      keepalive.activity()
    }
    const clock = new ManualClock()
    const keepalive = new Keepalive({ transport: { ping, pong: () => {} }, clock, pongs: false, dead: () => {} })
    expect(await keepalive.answers(3_000)).toBe(true)
    expect(await keepalive.answers(3_000)).toBe(true)
    expect([frames, clock.pending]).toEqual([['ping', 'ping'], 0])
  })

  it.each(['stop', 'giveUp'] as const)('is no answer at once after %s()', async (end) => {
    const { clock, keepalive } = setUp()
    const before = clock.pending
    const answer = keepalive.answers(3_000)
    keepalive[end]()
    expect(await answer).toBe(false)
    expect(clock.pending).toBeLessThanOrEqual(before)
  })
})
