import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import {
  LOOKUP_TIMEOUT_MS,
  Lookups,
  MAX_RUNNING_LOOKUPS,
  MAX_RUNNING_LOOKUPS_OF_SOURCE,
  MAX_WAITING_LOOKUPS,
  MAX_WAITING_LOOKUPS_OF_SOURCE,
} from '../../../src/exit/dial/lookups.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { Calls, failureOf } from '../fakes.js'

function setUp(limits: { maxRunning?: number; maxWaiting?: number } = {}) {
  const clock = new ManualClock()
  const resolver = new Calls<string, readonly string[]>({ heedSignal: false })
  const lookups = new Lookups({ resolve: resolver.call, clock, ...limits })
  return { clock, resolver, lookups }
}

describe('Lookups', () => {
  it('gives IP text back in its one spelling without asking', async () => {
    const { lookups, resolver } = setUp()
    expect(await lookups.lookup('2001:DB8::0:1')).toEqual(['2001:db8::1'])
    expect(await lookups.lookup('::ffff:1.2.3.4')).toEqual(['1.2.3.4'])
    expect(resolver.asked).toEqual([])
  })

  it('shares one look-up among callers of one name, whatever its case', async () => {
    const { lookups, resolver } = setUp()
    const answers = [lookups.lookup('Example.com'), lookups.lookup('example.COM')]
    expect(resolver.asked).toEqual(['example.com'])
    resolver.at(0).resolve(['1.1.1.1'])
    expect(await Promise.all(answers)).toEqual([['1.1.1.1'], ['1.1.1.1']])
    expect(lookups.pending).toBe(0)
  })

  it('asks again the second time', async () => {
    const { lookups, resolver } = setUp()
    const first = lookups.lookup('a')
    resolver.at(0).reject(new LinkSocksError('ERR_DIAL_HOST_UNREACHABLE', 'no'))
    expect((await failureOf(first)).code).toBe('ERR_DIAL_HOST_UNREACHABLE')
    const second = lookups.lookup('a')
    resolver.at(1).resolve(['1.1.1.1'])
    expect(await second).toEqual(['1.1.1.1'])
  })

  it(`runs ${MAX_RUNNING_LOOKUPS} at a time, the others first come first served`, async () => {
    const { lookups, resolver } = setUp()
    const names = Array.from({ length: MAX_RUNNING_LOOKUPS + 2 }, (_, at) => `n${at}`)
    const answers = names.map((name) => lookups.lookup(name))
    expect(resolver.asked).toEqual(names.slice(0, MAX_RUNNING_LOOKUPS))
    resolver.at(1).resolve(['1.1.1.1'])
    await answers[1]
    expect(resolver.asked).toEqual(names.slice(0, MAX_RUNNING_LOOKUPS + 1))
  })

  it(`refuses the name after ${MAX_WAITING_LOOKUPS} waiting ones, and takes it once there is room`, async () => {
    const { lookups, resolver } = setUp()
    const full = MAX_RUNNING_LOOKUPS + MAX_WAITING_LOOKUPS
    const answers = Array.from({ length: full }, (_, at) => lookups.lookup(`n${at}`))
    expect(lookups.pending).toBe(full)
    expect((await failureOf(lookups.lookup('more'))).code).toBe('ERR_DIAL_FAILED')
    const shared = lookups.lookup(`n${full - 1}`)
    resolver.at(0).resolve([])
    await answers[0]
    const more = lookups.lookup('more')
    for (let at = 1; at <= full; at += 1) {
      resolver.at(at).resolve(['1.1.1.1'])
      await settle()
    }
    expect(await Promise.all([shared, more])).toEqual([['1.1.1.1'], ['1.1.1.1']])
    expect(lookups.pending).toBe(0)
  })

  it('frees the place of a waiting name when its callers leave, not that of a running one', async () => {
    const { lookups, resolver } = setUp({ maxRunning: 1, maxWaiting: 1 })
    const controllers = [new AbortController(), new AbortController()]
    const left = controllers.map(({ signal }, at) => failureOf(lookups.lookup(`n${at}`, { signal })))
    for (const controller of controllers) controller.abort()
    expect((await Promise.all(left)).map(({ code }) => code)).toEqual(['ERR_CANCELLED', 'ERR_CANCELLED'])
    expect(lookups.pending).toBe(1)
    expect(resolver.at(0).aborted).toBe(false)
    const next = lookups.lookup('next')
    expect(resolver.asked).toEqual(['n0'])
    resolver.at(0).resolve([])
    await settle()
    expect(resolver.asked).toEqual(['n0', 'next'])
    resolver.at(1).resolve(['1.1.1.1'])
    expect(await next).toEqual(['1.1.1.1'])
  })

  it('keeps a shared look-up for those who stay', async () => {
    const { lookups, resolver } = setUp()
    const controller = new AbortController()
    const left = failureOf(lookups.lookup('a', { signal: controller.signal }))
    const stays = lookups.lookup('a')
    controller.abort()
    expect((await left).code).toBe('ERR_CANCELLED')
    resolver.at(0).resolve(['1.1.1.1'])
    expect(await stays).toEqual(['1.1.1.1'])
  })

  it('does not ask for a caller that cancelled before', async () => {
    const { lookups, resolver } = setUp()
    expect((await failureOf(lookups.lookup('a', { signal: AbortSignal.abort() }))).code).toBe('ERR_CANCELLED')
    expect(resolver.asked).toEqual([])
    expect(lookups.pending).toBe(0)
  })

  it('gives a look-up up that never ends, and its place to the next', async () => {
    const { lookups, resolver, clock } = setUp({ maxRunning: 1 })
    const stuck = failureOf(lookups.lookup('stuck'))
    const next = lookups.lookup('next')
    await clock.advanceAsync(LOOKUP_TIMEOUT_MS)
    expect((await stuck).code).toBe('ERR_DIAL_TIMEOUT')
    expect(resolver.at(0).aborted).toBe(true)
    resolver.at(1).resolve(['1.1.1.1'])
    expect(await next).toEqual(['1.1.1.1'])
    expect(clock.pending).toBe(0)
  })

  it('reports a resolver that throws something else as ERR_DIAL_FAILED', async () => {
    const lookups = new Lookups({
      resolve: () => {
        throw new Error('broken')
      },
      clock: new ManualClock(),
    })
    expect((await failureOf(lookups.lookup('a'))).code).toBe('ERR_DIAL_FAILED')
    expect(lookups.pending).toBe(0)
  })
})

describe('Lookups of several sources', () => {
  /** Asks for so many names of its own. */
  const ask = (lookups: Lookups, source: string, count: number): readonly Promise<unknown>[] =>
    Array.from({ length: count }, (_, at) => lookups.lookup(`${source}${at}`, { source }).catch(() => {}))
  const names = (source: string, first: number, last: number): readonly string[] =>
    Array.from({ length: last - first + 1 }, (_, at) => `${source}${first + at}`)

  it(`runs ${MAX_RUNNING_LOOKUPS_OF_SOURCE} of one source at a time, and leaves the other places to others`, async () => {
    const { lookups, resolver } = setUp()
    const [first] = ask(lookups, 'a', MAX_RUNNING_LOOKUPS)
    expect(resolver.asked).toEqual(names('a', 0, MAX_RUNNING_LOOKUPS_OF_SOURCE - 1))
    ask(lookups, 'b', 1)
    void lookups.lookup('nobody')
    expect(resolver.asked.slice(MAX_RUNNING_LOOKUPS_OF_SOURCE)).toEqual(['b0', 'nobody'])
    resolver.at(0).resolve([])
    await first
    expect(resolver.asked.slice(MAX_RUNNING_LOOKUPS_OF_SOURCE + 2)).toEqual([`a${MAX_RUNNING_LOOKUPS_OF_SOURCE}`])
  })

  it('gives the next place to the source with the fewest look-ups, and there to the name that came first', async () => {
    const { lookups, resolver } = setUp()
    const [first] = ask(lookups, 'a', 20)
    ask(lookups, 'b', 20)
    ask(lookups, 'c', 2)
    const before = resolver.asked.length
    expect(before).toBe(MAX_RUNNING_LOOKUPS)
    resolver.at(0).resolve([])
    await first
    resolver.at(4).resolve([])
    await settle()
    resolver.at(5).resolve([])
    await settle()
    expect(resolver.asked.slice(before)).toEqual(['c0', 'c1', 'b4'])
  })

  it(`refuses a source the name after ${MAX_WAITING_LOOKUPS_OF_SOURCE} waiting ones, and takes names of others`, async () => {
    const { lookups, resolver } = setUp()
    ask(lookups, 'a', MAX_RUNNING_LOOKUPS_OF_SOURCE + MAX_WAITING_LOOKUPS_OF_SOURCE)
    expect((await failureOf(lookups.lookup('more', { source: 'a' }))).code).toBe('ERR_DIAL_FAILED')
    ask(lookups, 'b', MAX_RUNNING_LOOKUPS_OF_SOURCE + 1)
    expect(resolver.asked).toHaveLength(MAX_RUNNING_LOOKUPS)
    expect(lookups.pending).toBe(MAX_RUNNING_LOOKUPS + MAX_WAITING_LOOKUPS_OF_SOURCE + 1)
    resolver.at(0).resolve([])
    await settle()
    const more = failureOf(lookups.lookup('more', { source: 'a' }))
    expect(lookups.pending).toBe(MAX_RUNNING_LOOKUPS + MAX_WAITING_LOOKUPS_OF_SOURCE + 1)
    for (let at = 1; at < MAX_RUNNING_LOOKUPS + MAX_WAITING_LOOKUPS_OF_SOURCE + 2; at += 1) {
      resolver.at(at).reject(new LinkSocksError('ERR_DIAL_HOST_UNREACHABLE', 'no'))
      await settle()
    }
    expect((await more).code).toBe('ERR_DIAL_HOST_UNREACHABLE')
    expect(lookups.pending).toBe(0)
    ask(lookups, 'a', MAX_RUNNING_LOOKUPS)
    expect(resolver.asked.slice(-MAX_RUNNING_LOOKUPS_OF_SOURCE)).toEqual(names('a', 0, 3))
  })

  it('starts a name that waits for one source as soon as another one asks for it', async () => {
    const { lookups, resolver } = setUp()
    ask(lookups, 'a', MAX_RUNNING_LOOKUPS_OF_SOURCE)
    const shared = [lookups.lookup('shared', { source: 'a' }), lookups.lookup('shared', { source: 'b' })]
    expect(resolver.asked.slice(MAX_RUNNING_LOOKUPS_OF_SOURCE)).toEqual(['shared'])
    resolver.at(MAX_RUNNING_LOOKUPS_OF_SOURCE).resolve(['1.1.1.1'])
    expect(await Promise.all(shared)).toEqual([['1.1.1.1'], ['1.1.1.1']])
  })

  it('frees the place of a waiting name whose callers leave, and keeps that of a running one', async () => {
    const { lookups, resolver } = setUp()
    const count = MAX_RUNNING_LOOKUPS_OF_SOURCE + MAX_WAITING_LOOKUPS_OF_SOURCE
    const callers = names('x', 1, count).map((name) => ({ name, cancel: new AbortController() }))
    const left = callers.map(({ name, cancel: { signal } }) => failureOf(lookups.lookup(name, { source: 'a', signal })))
    for (const { cancel } of callers) cancel.abort()
    expect(new Set((await Promise.all(left)).map(({ code }) => code))).toEqual(new Set(['ERR_CANCELLED']))
    expect(lookups.pending).toBe(MAX_RUNNING_LOOKUPS_OF_SOURCE)
    ask(lookups, 'a', MAX_WAITING_LOOKUPS_OF_SOURCE)
    expect(resolver.asked).toHaveLength(MAX_RUNNING_LOOKUPS_OF_SOURCE)
    expect(lookups.pending).toBe(count)
    resolver.at(0).resolve([])
    await settle()
    expect(resolver.asked.slice(MAX_RUNNING_LOOKUPS_OF_SOURCE)).toEqual(['a0'])
  })

  it('counts a waiting name for the source that stays', async () => {
    const { lookups, resolver } = setUp({ maxRunning: 1 })
    void lookups.lookup('first')
    const cancel = new AbortController()
    const left = failureOf(lookups.lookup('shared', { source: 'a', signal: cancel.signal }))
    const stays = lookups.lookup('shared', { source: 'b' })
    cancel.abort()
    expect((await left).code).toBe('ERR_CANCELLED')
    ask(lookups, 'a', MAX_WAITING_LOOKUPS_OF_SOURCE)
    expect(lookups.pending).toBe(2 + MAX_WAITING_LOOKUPS_OF_SOURCE)
    expect((await failureOf(lookups.lookup('more', { source: 'a' }))).code).toBe('ERR_DIAL_FAILED')
    resolver.at(0).resolve([])
    await settle()
    resolver.at(1).resolve(['1.1.1.1'])
    expect(await stays).toEqual(['1.1.1.1'])
  })
})
