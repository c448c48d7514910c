import { describe, expect, it } from 'vitest'
import { LINK_WAIT_MS, LinkPool, MAX_WAITING_FOR_LINK } from '../../src/client/link-pool.js'
import { LinkSocksError } from '../../src/errors.js'
import type { Session } from '../../src/mux/session.js'
import type { Dialer } from '../../src/ports.js'
import { countListeners } from '../support/count-listeners.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { session } from './fixture.js'

/** A pool with links that are told apart by their dialers. */
function setUp(count: number) {
  const clock = new ManualClock()
  const pool = new LinkPool(clock)
  const dialers: Dialer[] = []
  const sessions: Session[] = []
  const add = (): void => {
    const dialer: Dialer = { dial: () => new Promise(() => {}), associate: () => new Promise(() => {}) }
    const made = session(clock)
    dialers.push(dialer)
    sessions.push(made.session)
    pool.add(made.session, dialer)
  }
  for (let index = 0; index < count; index += 1) add()
  const timers = clock.pending
  const use = (signal?: AbortSignal): Promise<number> =>
    pool.withLink(async (dialer) => dialers.indexOf(dialer), { signal })
  return { clock, pool, add, use, dialers, sessions, waitTimers: () => clock.pending - timers }
}

const lost = new LinkSocksError('ERR_LINK_LOST', 'gone')

describe('LinkPool', () => {
  it('takes its links in turn', async () => {
    const { use } = setUp(3)
    const turns = [await use(), await use(), await use(), await use(), await use(), await use()]
    expect(turns.slice(0, 3).toSorted()).toEqual([0, 1, 2])
    expect(turns.slice(3)).toEqual(turns.slice(0, 3))
  })

  it('leaves removed links out, also while it is in turn', async () => {
    const { pool, use, sessions } = setUp(3)
    await use()
    const [, second, third] = sessions
    if (second !== undefined) pool.remove(second)
    expect(new Set([await use(), await use(), await use()])).toEqual(new Set([0, 2]))
    if (third !== undefined) pool.remove(third)
    if (third !== undefined) pool.remove(third)
    expect([await use(), await use(), pool.size]).toEqual([0, 0, 1])
  })

  it('does not take a session that has ended', () => {
    const { pool, sessions, clock } = setUp(0)
    const made = session(clock)
    made.session.abort(lost)
    pool.add(made.session, { dial: () => new Promise(() => {}), associate: () => new Promise(() => {}) })
    expect([pool.size, sessions.length]).toEqual([0, 0])
  })

  it('waits for a link', async () => {
    const { clock, add, use } = setUp(0)
    const used = [use(), use()]
    await clock.advanceAsync(LINK_WAIT_MS - 1)
    add()
    expect(await Promise.all(used)).toEqual([0, 0])
  })

  it('gives up after 10 s without one', async () => {
    const { clock, use } = setUp(0)
    const used = use()
    used.catch(() => {})
    await clock.advanceAsync(LINK_WAIT_MS)
    await expect(used).rejects.toMatchObject({ code: 'ERR_DIAL_NETWORK_UNREACHABLE' })
    expect(clock.pending).toBe(0)
  })

  it('lets 4,096 requests wait and no more', async () => {
    const { add, use, waitTimers } = setUp(0)
    const waiting = Array.from({ length: MAX_WAITING_FOR_LINK }, () => use())
    await expect(use()).rejects.toMatchObject({ code: 'ERR_LIMIT' })
    const timers = waitTimers()
    add()
    await Promise.all(waiting)
    expect(timers).toBe(MAX_WAITING_FOR_LINK)
    expect(await use()).toBe(0)
  })

  it('lets a wait be cancelled, and removes its listener', async () => {
    const { use, waitTimers } = setUp(0)
    const cancel = new AbortController()
    const listeners = countListeners(cancel.signal)
    const used = use(cancel.signal)
    expect([listeners(), waitTimers()]).toEqual([1, 1])
    cancel.abort()
    await expect(used).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect([listeners(), waitTimers()]).toEqual([0, 0])
    await expect(use(cancel.signal)).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  })

  it('removes the listener of a wait that had its way', async () => {
    const { add, use } = setUp(0)
    const cancel = new AbortController()
    const listeners = countListeners(cancel.signal)
    const used = use(cancel.signal)
    add()
    await used
    expect(listeners()).toBe(0)
  })

  it('passes on what went wrong on a link that lives', async () => {
    const { pool } = setUp(2)
    let calls = 0
    const used = pool.withLink(() => {
      calls += 1
      throw new LinkSocksError('ERR_DIAL_REFUSED', 'refused')
    })
    await expect(used).rejects.toMatchObject({ code: 'ERR_DIAL_REFUSED' })
    expect(calls).toBe(1)
  })

  it('tries the next link when one is lost under a request', async () => {
    const { pool, dialers, sessions } = setUp(2)
    const tried: number[] = []
    await pool.withLink(async (dialer) => {
      const index = dialers.indexOf(dialer)
      tried.push(index)
      if (tried.length === 2) return
      const ended = sessions[index]
      ended?.abort(lost)
      if (ended !== undefined) pool.remove(ended)
      throw lost
    })
    expect(tried.toSorted()).toEqual([0, 1])
  })

  it('gives up when link after link is lost under a request', async () => {
    const { pool, add, sessions } = setUp(1)
    let calls = 0
    const used = pool.withLink(async () => {
      calls += 1
      const last = sessions.at(-1)
      if (last !== undefined) pool.remove(last)
      last?.abort(lost)
      add()
      throw lost
    })
    await expect(used).rejects.toBe(lost)
    expect(calls).toBe(4)
  })
})

describe('LinkPool.first()', () => {
  it('settles with the first link, however late, and at once when there is one', async () => {
    const { clock, pool, add } = setUp(0)
    let up = false
    const first = pool.first().then(() => {
      up = true
    })
    await clock.advanceAsync(100 * LINK_WAIT_MS)
    expect(up).toBe(false)
    add()
    await first
    await pool.first()
  })
})

describe('LinkPool.close()', () => {
  it('ends every wait with the first reason, now and later', async () => {
    const { pool, use, waitTimers } = setUp(0)
    const waits = [use(), pool.first().then(() => 0)]
    const reason = new LinkSocksError('ERR_SESSION_CLOSED', 'over')
    pool.close(reason)
    pool.close(lost)
    for (const wait of waits) await expect(wait).rejects.toBe(reason)
    await expect(use()).rejects.toBe(reason)
    await expect(pool.first()).rejects.toBe(reason)
    await settle()
    expect(waitTimers()).toBe(0)
  })
})
