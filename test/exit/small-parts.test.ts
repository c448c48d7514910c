import { describe, expect, it } from 'vitest'
import { withDeadline } from '../../src/deadline.js'
import { LinkSocksError } from '../../src/errors.js'
import { IdleTimer } from '../../src/exit/udp/idle-timer.js'
import { Lru } from '../../src/lru.js'
import { ManualClock } from '../support/manual-clock.js'
import { failureOf, Pending } from './fakes.js'

describe('withDeadline', () => {
  function setUp(signal?: AbortSignal) {
    const clock = new ManualClock()
    const discarded: string[] = []
    let work: Pending<string> | undefined
    const result = withDeadline(
      (inner) => {
        work = new Pending({ signal: inner }, false)
        return work.promise
      },
      {
        clock,
        timeoutMs: 100,
        signal,
        expired: () => new LinkSocksError('ERR_DIAL_TIMEOUT', 'too long'),
        discard: (value) => discarded.push(value),
      },
    )
    result.catch(() => {})
    return { clock, discarded, result, work }
  }

  it('gives the result and leaves no timer or listener behind', async () => {
    const controller = new AbortController()
    const { result, work, clock } = setUp(controller.signal)
    work?.resolve('done')
    expect(await result).toBe('done')
    expect(clock.pending).toBe(0)
    controller.abort()
    expect(work?.aborted).toBe(false)
  })

  it('aborts at the deadline and disposes of what comes later', async () => {
    const { result, work, clock, discarded } = setUp()
    clock.advance(99)
    expect(work?.aborted).toBe(false)
    clock.advance(1)
    expect(work?.aborted).toBe(true)
    work?.resolve('late')
    expect((await failureOf(result)).code).toBe('ERR_DIAL_TIMEOUT')
    expect(discarded).toEqual(['late'])
  })

  it('does not begin when it is cancelled already', async () => {
    const { result, work } = setUp(AbortSignal.abort())
    expect((await failureOf(result)).code).toBe('ERR_CANCELLED')
    expect(work).toBeUndefined()
  })
})

describe('IdleTimer', () => {
  it('fires once, the timeout after the last touch', () => {
    const clock = new ManualClock()
    let fired = 0
    const timer = new IdleTimer(clock, 100, () => {
      fired += 1
    })
    clock.advance(60)
    timer.touch()
    clock.advance(99)
    expect(fired).toBe(0)
    clock.advance(1)
    expect(fired).toBe(1)
    clock.advance(1_000)
    expect(fired).toBe(1)
    expect(clock.pending).toBe(0)
  })

  it('never fires once cancelled, also after it was armed again', () => {
    const clock = new ManualClock()
    const timer = new IdleTimer(clock, 100, () => expect.unreachable())
    clock.advance(60)
    timer.touch()
    clock.advance(60)
    timer.cancel()
    clock.advance(1_000)
    expect(clock.pending).toBe(0)
  })
})

describe('Lru', () => {
  it('forgets the least recently set or touched entry at the limit', () => {
    const lru = new Lru<string, number>(2)
    lru.set('a', 1)
    lru.set('b', 2)
    lru.touch('a')
    lru.set('c', 3)
    expect([lru.touch('a'), lru.touch('b'), lru.touch('c')]).toEqual([1, undefined, 3])
    lru.set('a', 4)
    expect(lru.size).toBe(2)
    expect(lru.touch('a')).toBe(4)
    lru.delete('a')
    expect(lru.size).toBe(1)
    lru.clear()
    expect(lru.size).toBe(0)
  })
})
