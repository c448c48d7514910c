import { describe, expect, it } from 'vitest'
import type { LinkSocksError } from '../../../src/errors.js'
import { nodeCrypto } from '../../../src/node/system/crypto.js'
import {
  HELD_LINK_ANSWER_MS,
  HeldLinks,
  type HeldSession,
  type HoldOptions,
  limitedInstance,
  MAX_WAITING_ATTEMPTS,
  MAX_WAITING_OF_INSTANCE,
  RELEASE_ANSWER_MS,
  RETIRE_MS,
  SECOND_TRY_END_MS,
  SECOND_TRY_MS,
  SECOND_TRY_ROUND_TRIPS,
} from '../../../src/relay/admission/held-links.js'
import { newToken, type Token } from '../../../src/relay/tokens/tokens.js'
import { countListeners } from '../../support/count-listeners.js'
import { ManualClock, settle } from '../../support/manual-clock.js'

/** A link whose answers the test gives. */
class ScriptedSession implements HeldSession {
  available = true
  channels = 0
  used = false
  closes = 0
  readonly usage: { roundTripMs: number | undefined } = { roundTripMs: undefined }
  readonly asked: ((alive: boolean) => void)[] = []
  readonly reasons: LinkSocksError[] = []

  answers(): Promise<boolean> {
    return new Promise((resolve) => this.asked.push(resolve))
  }

  async close(): Promise<void> {
    this.closes += 1
    this.available = false
  }

  abort(reason: LinkSocksError): void {
    this.reasons.push(reason)
    this.available = false
  }

  async answer(alive: boolean): Promise<void> {
    this.asked.at(-1)?.(alive)
    await settle()
  }
}

function setUp(options: HoldOptions = {}) {
  const key = 'one'
  const clock = new ManualClock()
  const held = new HeldLinks(clock)
  const session = new ScriptedSession()
  held.hold(key, session, options)
  const given: boolean[] = []
  const wait = (signal?: AbortSignal): void => {
    const place = given.push(false) - 1
    const pending = held.wait(key, { signal })
    void pending.then((may) => {
      given[place] = may
    })
  }
  return { clock, held, session, given, wait }
}

describe('HeldLinks', () => {
  it('refuses all attempts that wait when the held link answers, and asks it once for all of them', async () => {
    const { held, session, given, wait } = setUp()
    for (let count = 0; count < 3; count += 1) wait()
    expect([held.waiting, session.asked.length]).toEqual([3, 1])
    await session.answer(true)
    expect([given, held.waiting, session.reasons]).toEqual([[false, false, false], 0, []])
    expect(held.holds('one')).toBe(true)
  })

  it('gives up a link that does not answer, and gives its place to the first that waits', async () => {
    const { held, session, given, wait } = setUp()
    for (let count = 0; count < 3; count += 1) wait()
    await session.answer(false)
    expect(given).toEqual([true, false, false])
    expect(session.reasons.map(({ code }) => code)).toEqual(['ERR_LINK_TIMEOUT'])
    expect(held.holds('one')).toBe(false)
  })

  it('asks anew for those that come after an answer', async () => {
    const { session, given, wait } = setUp()
    wait()
    await session.answer(true)
    wait()
    expect(session.asked).toHaveLength(2)
    await session.answer(false)
    expect(given).toEqual([false, true])
  })

  it('takes the place of one that left for free: the next one gets it', async () => {
    const { held, session, given, wait } = setUp()
    const first = new AbortController()
    const listeners = countListeners(first.signal)
    wait(first.signal)
    wait()
    expect(listeners()).toBe(1)
    first.abort()
    expect([held.waiting, listeners()]).toEqual([1, 0])
    await session.answer(false)
    expect(given).toEqual([false, true])
  })

  it('leaves no listener behind an answer', async () => {
    const { session, wait } = setUp()
    const { signal } = new AbortController()
    const listeners = countListeners(signal)
    wait(signal)
    await session.answer(true)
    expect(listeners()).toBe(0)
  })

  it('finishes the question of those that all left: the place is free when one is back', async () => {
    const { held, session, wait } = setUp()
    const left = new AbortController()
    wait(left.signal)
    left.abort()
    await session.answer(false)
    expect([held.waiting, session.reasons.length]).toEqual([0, 1])
    expect(held.holds('one')).toBe(false)
  })

  it('lets no attempt wait that has left before', async () => {
    const { held } = setUp()
    expect(await held.wait('one', { signal: AbortSignal.abort() })).toBe(false)
    expect(held.waiting).toBe(0)
  })

  it('lets only so many of one instance wait', async () => {
    const { held, session, given, wait } = setUp()
    for (let count = 0; count < MAX_WAITING_OF_INSTANCE; count += 1) wait()
    expect(await held.wait('one')).toBe(false)
    expect(held.waiting).toBe(MAX_WAITING_OF_INSTANCE)
    await session.answer(false)
    expect(given.filter((may) => may)).toHaveLength(1)
  })

  it('lets only so many of all instances wait, and asks the held link all the same', async () => {
    const held = new HeldLinks(new ManualClock())
    const instances = MAX_WAITING_ATTEMPTS / MAX_WAITING_OF_INSTANCE
    for (let number = 0; number < instances; number += 1) {
      held.hold(`${number}`, new ScriptedSession())
      for (let count = 0; count < MAX_WAITING_OF_INSTANCE; count += 1) void held.wait(`${number}`)
    }
    const session = new ScriptedSession()
    held.hold('late', session)
    expect([await held.wait('late'), held.waiting]).toEqual([false, MAX_WAITING_ATTEMPTS])
    await session.answer(false)
    expect(held.holds('late')).toBe(false)
  })

  it('gives the place of a link that never had a channel away when a client is to try again', () => {
    const { clock, held, session } = setUp()
    clock.advance(SECOND_TRY_MS - 1)
    expect(held.holds('one')).toBe(true)
    clock.advance(1)
    expect(held.holds('one')).toBe(false)
    clock.advance(SECOND_TRY_END_MS - SECOND_TRY_MS - 1)
    expect(held.holds('one')).toBe(false)
    // a client that had one waits for no link any more
    session.used = true
    expect(held.holds('one')).toBe(true)
    session.used = false
    clock.advance(1)
    expect(held.holds('one')).toBe(true)
  })

  it.each([
    [700, 700],
    [60_000, HELD_LINK_ANSWER_MS],
  ])('gives a client four round trips longer to try again on a long path: %s ms', (roundTripMs, countedMs) => {
    const { clock, held, session } = setUp()
    session.usage.roundTripMs = roundTripMs
    clock.advance(SECOND_TRY_END_MS + SECOND_TRY_ROUND_TRIPS * countedMs - 1)
    expect(held.holds('one')).toBe(false)
    clock.advance(1)
    expect(held.holds('one')).toBe(true)
  })

  it('closes a link whose place was taken', () => {
    let replaced = 0
    const { clock, held, session } = setUp({ replaced: () => (replaced += 1) })
    held.hold('one', new ScriptedSession())
    expect([replaced, session.closes, clock.pending]).toEqual([1, 1, 0])
  })

  it('closes a link that lingers as soon as it has no channel, which it still may get', () => {
    let replaced = 0
    const { clock, held, session } = setUp({ replaced: () => (replaced += 1), lingers: true })
    held.hold('one', new ScriptedSession())
    expect([replaced, session.closes]).toEqual([1, 0])
    session.channels = 1
    clock.advance(RETIRE_MS)
    expect(session.closes).toBe(0)
    session.channels = 0
    clock.advance(RETIRE_MS)
    expect([session.closes, clock.pending]).toEqual([1, 0])
  })

  it('closes a link that lingers after 30 s at the latest', () => {
    const { clock, held, session } = setUp({ lingers: true })
    held.hold('one', new ScriptedSession())
    session.channels = 1
    for (let look = 0; look < 30; look += 1) clock.advance(RETIRE_MS)
    expect([session.closes, clock.pending]).toEqual([1, 0])
  })

  it('leaves no timer of a link that lingers and ended by itself', () => {
    const { clock, held, session } = setUp({ lingers: true })
    held.hold('one', new ScriptedSession())
    held.release('one', session)
    expect([held.holds('one'), clock.pending]).toEqual([true, 0])
  })

  it.each([true, false])(
    'refuses the attempts that wait for a link whose place was taken (it lingers: %s)',
    async (lingers) => {
      const { clock, held, session, given, wait } = setUp({ lingers, asked: true })
      wait()
      wait()
      await session.answer(true)
      const next = new ScriptedSession()
      held.hold('one', next)
      await settle()
      expect([given, held.waiting, clock.pending]).toEqual([[false, false], 0, lingers ? 1 : 0])
      wait()
      await next.answer(false)
      expect(given).toEqual([false, false, true])
    },
  )

  it('lets a client have further links that keeps each channel on one', () => {
    const { held, session } = setUp()
    held.keepsChannels('two', session, true)
    held.keepsChannels('one', new ScriptedSession(), true)
    held.keepsChannels('one', session, false)
    expect(held.holds('one')).toBe(true)
    held.keepsChannels('one', session, true)
    expect(held.holds('one')).toBe(false)
    const further = new ScriptedSession()
    held.hold('one', further)
    held.release('one', further)
    expect([held.holds('one'), session.closes]).toEqual([false, 0])
    held.release('one', session)
    held.hold('one', further)
    expect(held.holds('one')).toBe(true)
  })

  it.each([
    ['keeps each channel on one link', true, [true, true]],
    ['does not', false, [false, false]],
  ])('lets attempts wait for what a client says that was asked: it %s', async (_, keeps, expected) => {
    const { clock, held, session, given, wait } = setUp({ asked: true })
    wait()
    wait()
    await session.answer(true)
    expect(held.waiting).toBe(2)
    held.keepsChannels('one', session, keeps)
    await settle()
    expect([given, held.waiting, clock.pending]).toEqual([expected, 0, 0])
  })

  it('waits a second for what a client says, once', async () => {
    const { clock, held, session, given, wait } = setUp({ asked: true })
    wait()
    await session.answer(true)
    await clock.advanceAsync(RELEASE_ANSWER_MS - 1)
    expect(held.waiting).toBe(1)
    await clock.advanceAsync(1)
    expect([given, held.waiting]).toEqual([[false], 0])
    wait()
    await session.answer(true)
    expect([given, held.waiting]).toEqual([[false, false], 0])
  })

  it('gives the place to the first that waits when the link ends before its client has said anything', async () => {
    const { clock, held, session, given, wait } = setUp({ asked: true })
    wait()
    wait()
    await session.answer(true)
    session.available = false
    held.release('one', session)
    await settle()
    expect([given, clock.pending]).toEqual([[true, false], 0])
  })

  it('makes the first refusal because of a link known, and no other one', () => {
    const { held } = setUp()
    expect([held.firstRefusal('one'), held.firstRefusal('one'), held.firstRefusal('two')]).toEqual([true, false, false])
  })

  it('keeps two instances apart', async () => {
    const { held, session, given, wait } = setUp()
    const other = new ScriptedSession()
    held.hold('two', other)
    wait()
    const waitsForOther = held.wait('two')
    await session.answer(false)
    expect([given, held.holds('two'), other.reasons]).toEqual([[true], true, []])
    await other.answer(true)
    expect(await waitsForOther).toBe(false)
  })

  it('leaves a link that is being closed to its own end', async () => {
    const { held, session, given, wait } = setUp()
    wait()
    session.available = false
    expect(held.holds('one')).toBe(false)
    await session.answer(false)
    expect([given, session.reasons]).toEqual([[true], []])
  })

  it('forgets a link that is gone, and not the one that came in its place', async () => {
    const { held, session } = setUp()
    const next = new ScriptedSession()
    held.hold('one', next)
    held.release('one', session)
    expect(held.holds('one')).toBe(true)
    held.release('one', next)
    expect(held.holds('one')).toBe(false)
    expect(await held.wait('one')).toBe(true)
  })

  it('refuses the attempts that wait at refuseAll(), and those after it without a question', async () => {
    const { held, session, given, wait } = setUp()
    wait()
    held.refuseAll()
    held.refuseAll()
    await settle()
    expect([given, held.waiting]).toEqual([[false], 0])
    wait()
    await settle()
    expect([given, session.asked.length]).toEqual([[false, false], 1])
    expect(held.firstRefusal('one')).toBe(false)
    await session.answer(true)
    expect(held.waiting).toBe(0)
  })
})

describe('limitedInstance', () => {
  const token = (name: string): Token => ({
    type: 'forward',
    ...newToken(name, 'api', new ManualClock(), nodeCrypto),
  })

  it('limits no client that keeps a channel on one link, or names no instance', () => {
    const one = { token: token('a'), instance: 'id', spreads: true }
    expect(limitedInstance(one)).toBeDefined()
    expect(limitedInstance({ ...one, spreads: false })).toBeUndefined()
    expect(limitedInstance({ ...one, instance: undefined })).toBeUndefined()
  })

  it('takes the same id with another token for another instance', () => {
    const one = { token: token('a'), instance: 'id', spreads: true }
    expect(limitedInstance(one)).not.toBe(limitedInstance({ ...one, token: token('b') }))
    expect(limitedInstance(one)).toBe(limitedInstance({ ...one, token: token('a') }))
  })
})
