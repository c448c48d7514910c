import { describe, expect, it } from 'vitest'
import { untilAborted, withDeadline } from '../../src/deadline.js'
import { LinkSocksError } from '../../src/errors.js'
import { failureOf, Pending } from '../exit/fakes.js'
import { countListeners } from '../support/count-listeners.js'
import { ManualClock, settle } from '../support/manual-clock.js'

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

  it("ends with the reason of the caller's signal, and leaves no timer or listener behind", async () => {
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const { result, work, clock, discarded } = setUp(controller.signal)
    const reason = new LinkSocksError('ERR_STREAM_RESET', 'gone')
    controller.abort(reason)
    work?.resolve('late')
    expect(await failureOf(result)).toBe(reason)
    expect([discarded, clock.pending, listeners()]).toEqual([['late'], 0, 0])
  })

  it('gives the error of the work, and leaves no timer or listener behind', async () => {
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const { result, work, clock } = setUp(controller.signal)
    work?.reject(new LinkSocksError('ERR_DIAL_FAILED', 'broken'))
    expect((await failureOf(result)).code).toBe('ERR_DIAL_FAILED')
    expect([clock.pending, listeners()]).toEqual([0, 0])
  })

  it('drops a late result that nobody has to dispose of', async () => {
    const clock = new ManualClock()
    const work = new Pending<string>({}, false)
    const expired = (): LinkSocksError => new LinkSocksError('ERR_DIAL_TIMEOUT', 'too long')
    const result = withDeadline(() => work.promise, { clock, timeoutMs: 100, expired })
    clock.advance(100)
    work.resolve('late')
    expect((await failureOf(result)).code).toBe('ERR_DIAL_TIMEOUT')
  })
})

describe('untilAborted', () => {
  function setUp() {
    const controller = new AbortController()
    const work = new Pending<string>({}, false)
    return { controller, work, listeners: countListeners(controller.signal) }
  }

  it('gives what the work comes to, and leaves no listener behind', async () => {
    const { controller, work, listeners } = setUp()
    const [result, failing] = [untilAborted(work.promise, controller.signal), new Pending<string>({}, false)]
    const failed = failureOf(untilAborted(failing.promise, controller.signal))
    work.resolve('done')
    failing.reject(new LinkSocksError('ERR_DIAL_FAILED', 'broken'))
    expect([await result, (await failed).code, listeners()]).toEqual(['done', 'ERR_DIAL_FAILED', 0])
  })

  it('ends with the abort while the work goes on, whatever that comes to', async () => {
    const { controller, work, listeners } = setUp()
    const result = failureOf(untilAborted(work.promise, controller.signal))
    controller.abort()
    expect((await result).code).toBe('ERR_CANCELLED')
    work.reject(new Error('nobody hears this'))
    await settle()
    expect(listeners()).toBe(0)
  })

  it('ends at once with a signal that has aborted', async () => {
    const { controller, work } = setUp()
    controller.abort(new LinkSocksError('ERR_DIAL_TIMEOUT', 'too long'))
    expect((await failureOf(untilAborted(work.promise, controller.signal))).code).toBe('ERR_DIAL_TIMEOUT')
  })
})
