import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { MAX_SESSIONS_TRIED, SessionPool, type SessionPoolOptions } from '../../src/mux/session-pool.js'
import { countListeners } from '../support/count-listeners.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { memoryTransportPair } from '../support/memory-transport.js'
import { SessionEnd } from './fixture.js'

const WAIT_MS = 1_000
const MAX_WAITING = 3
const lost = new LinkSocksError('ERR_LINK_LOST', 'gone')

/** A pool with entries that are told apart by their group, and timers of waits alone. */
function setUp(groups: readonly string[] = [], options: Partial<SessionPoolOptions> = {}) {
  const clock = new ManualClock()
  const ofSessions = new ManualClock()
  const peers: { wake(): Promise<void> }[] = []
  const entry = (group: string) => {
    const [near, far] = memoryTransportPair()
    const { session } = new SessionEnd(near, ofSessions)
    const wake = async (): Promise<void> => {
      far.pong()
      await settle()
    }
    peers.push({ wake })
    return { group, session }
  }
  type Entry = ReturnType<typeof entry>
  const texts = { noneText: 'there is none', crowdedText: 'too many wait' }
  const pool = new SessionPool<Entry>({ clock, maxWaiting: MAX_WAITING, ...texts, ...options })
  const add = (group: string): Entry => {
    const added = entry(group)
    pool.add(added)
    return added
  }
  const entries = groups.map(add)
  const ofGroup = (group: string) => (each: Entry) => each.group === group
  const choose = async (signal?: AbortSignal): Promise<string> => (await pool.choose({ waitMs: WAIT_MS, signal })).group
  const chosen = async (count: number, group?: string): Promise<string[]> => {
    const turns: string[] = []
    const only = group === undefined ? undefined : ofGroup(group)
    for (let turn = 0; turn < count; turn += 1) turns.push((await pool.choose({ waitMs: 0, only })).group)
    return turns
  }
  /** Loses an entry as its owner does. */
  const lose = (each: Entry): void => {
    pool.remove(each)
    each.session.abort(lost)
  }
  return { clock, ofSessions, peers, pool, entry, add, entries, ofGroup, choose, chosen, lose }
}

describe('SessionPool', () => {
  it('chooses its entries in turn', async () => {
    const { chosen } = setUp(['a', 'b', 'c'])
    const turns = await chosen(6)
    expect(turns.slice(0, 3).toSorted()).toEqual(['a', 'b', 'c'])
    expect(turns.slice(3)).toEqual(turns.slice(0, 3))
  })

  it('gives work last to those that owe an answer, and in turn again once they sent something', async () => {
    const { entries, chosen, ofSessions, peers } = setUp(['a', 'b', 'c'])
    ofSessions.advance(250)
    await chosen(3)
    ofSessions.advance(250)
    const [first, second, third] = peers
    // a answers; b and c stay silent
    await first?.wake()
    expect(entries.map(({ session }) => session.silent)).toEqual([false, true, true])
    expect(await chosen(3)).toEqual(['a', 'a', 'a'])
    await second?.wake()
    expect(new Set(await chosen(4))).toEqual(new Set(['a', 'b']))
    await third?.wake()
    expect(new Set(await chosen(3))).toEqual(new Set(['a', 'b', 'c']))
  })

  it('gives work to a silent one where there is no other', async () => {
    const { chosen, ofSessions } = setUp(['a', 'b'])
    ofSessions.advance(250)
    await chosen(2)
    ofSessions.advance(250)
    expect(await chosen(2, 'a')).toEqual(['a', 'a'])
    expect((await chosen(2)).length).toBe(2)
  })

  it('leaves removed entries out, also while it is in turn', async () => {
    const { pool, entries, chosen } = setUp(['a', 'b', 'c'])
    await chosen(1)
    const [, second, third] = entries
    if (second !== undefined) pool.remove(second)
    expect(new Set(await chosen(3))).toEqual(new Set(['a', 'c']))
    if (third !== undefined) pool.remove(third)
    if (third !== undefined) pool.remove(third)
    expect([await chosen(2), pool.size]).toEqual([['a', 'a'], 1])
  })

  it('skips entries whose session has ended, and counts them until they are removed', async () => {
    const { pool, entries, chosen } = setUp(['a', 'b', 'c', 'd'])
    entries[3]?.session.abort(lost)
    expect((await chosen(6)).toSorted()).toEqual(['a', 'a', 'b', 'b', 'c', 'c'])
    expect(pool.entries.map(({ group }) => group)).toEqual(['a', 'b', 'c', 'd'])
  })

  it('skips entries whose session is about to be closed', async () => {
    const { entries, chosen } = setUp(['a', 'b'])
    void entries[0]?.session.close()
    expect(await chosen(2)).toEqual(['b', 'b'])
  })

  it('does not take a session that has ended', () => {
    const { pool, entry } = setUp()
    const ended = entry('a')
    ended.session.abort(lost)
    pool.add(ended)
    expect(pool.size).toBe(0)
  })

  it('confines a choice to one group', async () => {
    const { chosen } = setUp(['a', 'b', 'a'])
    expect(await chosen(3, 'b')).toEqual(['b', 'b', 'b'])
    await expect(chosen(1, 'c')).rejects.toMatchObject({ code: 'ERR_DIAL_NETWORK_UNREACHABLE' })
  })

  it('lets requests wait for an entry', async () => {
    const { clock, add, choose } = setUp()
    const choices = [choose(), choose()]
    await clock.advanceAsync(WAIT_MS - 1)
    add('a')
    expect(await Promise.all(choices)).toEqual(['a', 'a'])
    expect(clock.pending).toBe(0)
  })

  it('lets them wait for one of the right group, and leaves neither timer nor listener', async () => {
    const { clock, pool, add, ofGroup } = setUp(['other'])
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const choice = pool.choose({ waitMs: WAIT_MS, only: ofGroup('a'), signal: controller.signal })
    add('b')
    expect(clock.pending).toBe(1)
    const right = add('a')
    expect(await choice).toBe(right)
    expect([clock.pending, listeners()]).toEqual([0, 0])
  })

  it('gives up when none came in time', async () => {
    const { clock, choose } = setUp()
    const choice = choose().catch((error) => error)
    await clock.advanceAsync(WAIT_MS)
    expect(await choice).toMatchObject({ code: 'ERR_DIAL_NETWORK_UNREACHABLE', message: 'there is none' })
    expect(clock.pending).toBe(0)
  })

  it('does not wait at all when the time is 0', async () => {
    const { clock, pool } = setUp()
    await expect(pool.choose({ waitMs: 0 })).rejects.toMatchObject({ message: 'there is none' })
    expect(clock.pending).toBe(0)
  })

  it('without a time waits for as long as it takes, and not at all while there is one', async () => {
    const { clock, pool, add } = setUp()
    let up = false
    const first = pool.choose().then(() => {
      up = true
    })
    await clock.advanceAsync(1_000 * WAIT_MS)
    expect(up).toBe(false)
    add('a')
    await first
    await pool.choose()
  })

  it('lets so many requests wait and no more, and again when these are served', async () => {
    const { clock, pool, add, choose } = setUp()
    const waiting = Array.from({ length: MAX_WAITING }, () => choose())
    await expect(choose()).rejects.toMatchObject({ code: 'ERR_LIMIT', message: 'too many wait' })
    expect(clock.pending).toBe(MAX_WAITING)
    const last = add('a')
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['a']))
    expect(await choose()).toBe('a')
    pool.remove(last)
    const again = choose().catch((error) => error.code)
    clock.advance(WAIT_MS)
    expect(await again).toBe('ERR_DIAL_NETWORK_UNREACHABLE')
  })

  it('does not refuse a wait without a time, however many wait', async () => {
    const { pool, add, choose } = setUp()
    const waiting = Array.from({ length: MAX_WAITING }, () => choose())
    const endless = pool.choose()
    add('a')
    expect((await endless).group).toBe('a')
    await Promise.all(waiting)
  })

  it('lets a wait be cancelled, and removes its listener', async () => {
    const { clock, choose } = setUp()
    const cancel = new AbortController()
    const listeners = countListeners(cancel.signal)
    const choice = choose(cancel.signal)
    expect([listeners(), clock.pending]).toEqual([1, 1])
    cancel.abort()
    await expect(choice).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect([listeners(), clock.pending]).toEqual([0, 0])
    await expect(choose(cancel.signal)).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  })

  it('removes the listener of a wait that had its way', async () => {
    const { add, choose } = setUp()
    const cancel = new AbortController()
    const listeners = countListeners(cancel.signal)
    const choice = choose(cancel.signal)
    add('a')
    await choice
    expect(listeners()).toBe(0)
  })
})

describe('SessionPool.open()', () => {
  it('gives what was opened through the chosen entry', async () => {
    const { pool } = setUp(['a'])
    expect(await pool.open(async ({ group }) => `through ${group}`)).toBe('through a')
  })

  it('passes on what went wrong on a session that lives', async () => {
    const { pool } = setUp(['a', 'b'])
    let calls = 0
    const opened = pool.open(() => {
      calls += 1
      throw new LinkSocksError('ERR_DIAL_REFUSED', 'refused')
    })
    await expect(opened).rejects.toMatchObject({ code: 'ERR_DIAL_REFUSED' })
    expect(calls).toBe(1)
  })

  it('passes on what is no error of a session, even of one that was lost', async () => {
    const { pool, lose } = setUp(['a', 'b'])
    const mistake = new TypeError('a mistake')
    let calls = 0
    const opened = pool.open(async (entry) => {
      calls += 1
      lose(entry)
      throw mistake
    })
    await expect(opened).rejects.toBe(mistake)
    expect(calls).toBe(1)
  })

  it('tries the next entry when one is lost under a request', async () => {
    const { pool, lose } = setUp(['a', 'b'])
    const tried: string[] = []
    await pool.open(async (entry) => {
      tried.push(entry.group)
      if (tried.length === 2) return
      lose(entry)
      throw lost
    })
    expect(tried.toSorted()).toEqual(['a', 'b'])
  })

  it('asks nobody else when one of several refused, whichever was lost', async () => {
    const { pool, ofSessions, entries, lose } = setUp(['a', 'b', 'c'])
    ofSessions.advance(250)
    const refused = new LinkSocksError('ERR_DIAL_REFUSED', 'refused')
    const tried: string[] = []
    const opened = pool.open(
      (entry) => {
        tried.push(entry.group)
        if (tried.length > 1) return Promise.reject(refused)
        return new Promise((_resolve, reject) => {
          setImmediate(() => {
            lose(entry)
            reject(lost)
          })
        })
      },
      { discard: () => {} },
    )
    ofSessions.advance(250)
    await expect(opened).rejects.toBe(refused)
    expect([tried.length, entries.length]).toEqual([2, 3])
  })

  it('waits for the next entry when the last one is lost under a request', async () => {
    const { clock, pool, add, lose } = setUp(['a'])
    const opened = pool.open(
      async (entry) => {
        if (entry.group === 'b') return 'opened'
        lose(entry)
        throw lost
      },
      { waitMs: WAIT_MS },
    )
    await clock.advanceAsync(WAIT_MS - 1)
    add('b')
    expect(await opened).toBe('opened')
  })

  it('gives up when entry after entry is lost under a request', async () => {
    const { pool, add, lose } = setUp(['a'])
    let calls = 0
    const opened = pool.open(async (entry) => {
      calls += 1
      lose(entry)
      add('next')
      throw lost
    })
    await expect(opened).rejects.toBe(lost)
    expect(calls).toBe(MAX_SESSIONS_TRIED)
  })

  it('tries no other entry after an error that its caller takes for the last word', async () => {
    const { pool, lose } = setUp(['a', 'b'])
    const said: string[] = []
    const opened = pool.open(
      async (entry) => {
        lose(entry)
        throw lost
      },
      {
        goesOn: ({ code }) => {
          said.push(code)
          return false
        },
      },
    )
    await expect(opened).rejects.toBe(lost)
    expect(said).toEqual(['ERR_LINK_LOST'])
  })

  it('tries no other entry for a caller that has gone', async () => {
    const { pool, lose } = setUp(['a', 'b'])
    const cancel = new AbortController()
    let calls = 0
    const opened = pool.open(
      async (entry) => {
        calls += 1
        lose(entry)
        cancel.abort()
        throw lost
      },
      { signal: cancel.signal },
    )
    await expect(opened).rejects.toBe(lost)
    expect(calls).toBe(1)
  })

  it('says why there was nothing to open it through, and only then', async () => {
    const { pool } = setUp()
    const unserved: string[] = []
    const options = { waitMs: 0, unserved: ({ code }: LinkSocksError) => unserved.push(code) }
    const opened = pool.open(async () => {}, options)
    await expect(opened).rejects.toMatchObject({ code: 'ERR_DIAL_NETWORK_UNREACHABLE' })
    const { pool: other } = setUp(['a'])
    await expect(other.open(() => Promise.reject(lost), options)).rejects.toBe(lost)
    expect(unserved).toEqual(['ERR_DIAL_NETWORK_UNREACHABLE'])
  })
})

describe('SessionPool.close()', () => {
  it('ends every wait with the first reason, now and later', async () => {
    const { clock, pool, choose } = setUp()
    const waits = [choose(), pool.choose(), pool.open(async () => {}, { waitMs: WAIT_MS })]
    const reason = new LinkSocksError('ERR_SESSION_CLOSED', 'over')
    pool.close(reason)
    pool.close(lost)
    for (const wait of waits) await expect(wait).rejects.toBe(reason)
    await expect(choose()).rejects.toBe(reason)
    await expect(pool.choose()).rejects.toBe(reason)
    await settle()
    expect(clock.pending).toBe(0)
  })

  it('leaves the entries that are there in use', async () => {
    const { pool, chosen } = setUp(['a'])
    pool.close(lost)
    expect(await chosen(2)).toEqual(['a', 'a'])
  })
})
