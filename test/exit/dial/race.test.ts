import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import {
  ATTEMPT_DELAY_MS,
  interleaveFamilies,
  MAX_ATTEMPTS,
  mostTelling,
  raceConnect,
} from '../../../src/exit/dial/race.js'
import type { ByteStream, SocketAddress } from '../../../src/ports.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { Calls, failureOf, IdleStream } from '../fakes.js'

function error(code: ConstructorParameters<typeof LinkSocksError>[0]): LinkSocksError {
  return new LinkSocksError(code, code)
}

function setUp(count: number, options: { heedSignal?: boolean; signal?: AbortSignal } = {}) {
  const clock = new ManualClock()
  const connects = new Calls<SocketAddress, ByteStream>(options)
  const addresses = Array.from({ length: count }, (_, at) => ({ host: `10.0.0.${at + 1}`, port: 80 }))
  const result = raceConnect(addresses, { connectTcp: connects.call, clock, signal: options.signal })
  result.catch(() => {})
  return { clock, connects, result }
}

describe('interleaveFamilies', () => {
  it('alternates, beginning with the family of the first answer', () => {
    expect(interleaveFamilies(['2001::1', '2001::2', '2001::3', '1.1.1.1', '1.1.1.2'])).toEqual([
      '2001::1',
      '1.1.1.1',
      '2001::2',
      '1.1.1.2',
      '2001::3',
    ])
    expect(interleaveFamilies(['1.1.1.1', '1.1.1.2', '1.1.1.3', '2001::1'])).toEqual([
      '1.1.1.1',
      '2001::1',
      '1.1.1.2',
      '1.1.1.3',
    ])
  })

  it('leaves one family and nothing at all as they are', () => {
    expect(interleaveFamilies(['1.1.1.2', '1.1.1.1'])).toEqual(['1.1.1.2', '1.1.1.1'])
    expect(interleaveFamilies([])).toEqual([])
  })
})

describe('raceConnect', () => {
  it('begins the next attempt after the delay and lets earlier ones go on', async () => {
    const { clock, connects, result } = setUp(3)
    expect(connects.asked).toHaveLength(1)
    clock.advance(ATTEMPT_DELAY_MS - 1)
    expect(connects.asked).toHaveLength(1)
    clock.advance(1)
    expect(connects.asked.map(({ host }) => host)).toEqual(['10.0.0.1', '10.0.0.2'])
    clock.advance(ATTEMPT_DELAY_MS)
    const stream = new IdleStream()
    connects.at(0).resolve(stream)
    expect(await result).toEqual({ stream, address: { host: '10.0.0.1', port: 80 } })
    expect(connects.pending.map(({ aborted }) => aborted)).toEqual([false, true, true])
    expect(clock.pending).toBe(0)
  })

  it('begins the next attempt at once when one fails, with a full delay of its own', async () => {
    const { clock, connects } = setUp(3)
    clock.advance(ATTEMPT_DELAY_MS - 1)
    connects.at(0).reject(error('ERR_DIAL_REFUSED'))
    await settle()
    expect(connects.asked).toHaveLength(2)
    clock.advance(ATTEMPT_DELAY_MS - 1)
    expect(connects.asked).toHaveLength(2)
    clock.advance(1)
    expect(connects.asked).toHaveLength(3)
  })

  it('aborts a stream that comes too late', async () => {
    const { clock, connects, result } = setUp(2, { heedSignal: false })
    clock.advance(ATTEMPT_DELAY_MS)
    connects.at(1).resolve(new IdleStream())
    await result
    const late = new IdleStream()
    connects.at(0).resolve(late)
    await settle()
    expect(late.aborted?.code).toBe('ERR_CANCELLED')
  })

  it('fails with the most telling error once all attempts failed, not before', async () => {
    const { connects, result } = setUp(3)
    connects.at(0).reject(error('ERR_DIAL_NETWORK_UNREACHABLE'))
    await settle()
    connects.at(1).reject(error('ERR_DIAL_REFUSED'))
    await settle()
    connects.at(2).reject(error('ERR_DIAL_TIMEOUT'))
    expect((await failureOf(result)).code).toBe('ERR_DIAL_REFUSED')
  })

  it(`tries ${MAX_ATTEMPTS} addresses at most`, async () => {
    const { clock, connects, result } = setUp(MAX_ATTEMPTS + 3)
    clock.advance(ATTEMPT_DELAY_MS * 20)
    expect(connects.asked).toHaveLength(MAX_ATTEMPTS)
    for (const pending of connects.pending) pending.reject(error('ERR_DIAL_TIMEOUT'))
    expect((await failureOf(result)).code).toBe('ERR_DIAL_TIMEOUT')
  })

  it('ends every attempt when cancelled, and attempts nothing more', async () => {
    const controller = new AbortController()
    const { clock, connects, result } = setUp(3, { signal: controller.signal })
    clock.advance(ATTEMPT_DELAY_MS)
    controller.abort()
    expect((await failureOf(result)).code).toBe('ERR_CANCELLED')
    expect(connects.pending.map(({ aborted }) => aborted)).toEqual([true, true])
    expect(clock.pending).toBe(0)
    await clock.advanceAsync(10_000)
    expect(connects.asked).toHaveLength(2)
  })

  it('does not connect when cancelled before', async () => {
    const { connects, result } = setUp(1, { signal: AbortSignal.abort() })
    expect((await failureOf(result)).code).toBe('ERR_CANCELLED')
    expect(connects.asked).toHaveLength(0)
  })

  it('names a refusal at the deadline although another address stayed silent', async () => {
    const controller = new AbortController()
    const { connects, result } = setUp(2, { signal: controller.signal })
    connects.at(0).reject(error('ERR_DIAL_REFUSED'))
    await settle()
    controller.abort(error('ERR_DIAL_TIMEOUT'))
    expect((await failureOf(result)).code).toBe('ERR_DIAL_REFUSED')
  })

  it('fails at once without addresses', async () => {
    const { result } = setUp(0)
    expect((await failureOf(result)).code).toBe('ERR_DIAL_HOST_UNREACHABLE')
  })
})

describe('mostTelling', () => {
  it('ranks refused, timeout, host unreachable, anything else, network unreachable', () => {
    const ranked = [
      error('ERR_DIAL_REFUSED'),
      error('ERR_DIAL_TIMEOUT'),
      error('ERR_DIAL_HOST_UNREACHABLE'),
      error('ERR_DIAL_FAILED'),
      error('ERR_DIAL_NETWORK_UNREACHABLE'),
    ]
    for (let at = 0; at < ranked.length; at += 1) expect(mostTelling(ranked.slice(at).reverse())).toBe(ranked[at])
  })

  it('takes the first among equals', () => {
    const [first, second] = [error('ERR_DIAL_REFUSED'), error('ERR_DIAL_REFUSED')]
    expect(mostTelling([first, second])).toBe(first)
  })
})
