import { describe, expect, it } from 'vitest'
import { nodeCrypto } from '../../../src/node/system/crypto.js'
import { TokenExpiry } from '../../../src/relay/tokens/token-expiry.js'
import { MAX_TOKENS, newToken, type Token } from '../../../src/relay/tokens/tokens.js'
import { ManualClock } from '../../support/manual-clock.js'

function setUp() {
  const clock = new ManualClock()
  const expired: string[] = []
  const expiry = new TokenExpiry(clock, { expired: (token) => expired.push(token.token) })
  const token = (name: string, inMs: number | undefined): Token => ({
    ...newToken(name, 'api', clock, nodeCrypto, {
      expiresAt: inMs === undefined ? undefined : clock.wallTime() + inMs,
    }),
    type: 'forward',
  })
  return { clock, expiry, expired, token }
}

function expireAt(token: Token, expiresAt: number | undefined): void {
  token.traits = { ...token.traits, expiresAt }
}

describe('TokenExpiry', () => {
  it('calls once for each token, in time, whatever the order they came in', () => {
    const { clock, expiry, expired, token } = setUp()
    for (const ms of [5_000, 100, 90_000, 2_000]) expiry.watch(token(`${ms}`, ms))
    expiry.watch(token('never', undefined))
    expiry.watch(token('over', 0))
    clock.advance(99)
    expect(expired).toEqual([])
    clock.advance(1)
    expect(expired).toEqual(['100'])
    clock.advance(1_900)
    expect(expired).toEqual(['100', '2000'])
    clock.advance(1_000_000)
    expect(expired).toEqual(['100', '2000', '5000', '90000'])
    expect(clock.pending).toBe(0)
  })

  it('has one timer, and none for tokens that are gone or don’t expire', () => {
    const { clock, expiry, token } = setUp()
    const [one, two] = [token('one', 1_000), token('two', 2_000)]
    for (const each of [one, two, one]) expiry.watch(each)
    expect(clock.pending).toBe(1)
    expiry.forget(one)
    expect(clock.pending).toBe(1)
    expireAt(two, undefined)
    expiry.watch(two)
    expect(clock.pending).toBe(0)
  })

  it('takes no more after its end', () => {
    const { clock, expiry, expired, token } = setUp()
    expiry.watch(token('one', 1_000))
    expiry.close()
    expiry.watch(token('two', 1_000))
    clock.advance(10_000)
    expect([expired, clock.pending]).toEqual([[], 0])
  })

  it('follows a token whose time is moved in the middle of the wait', () => {
    const { clock, expiry, expired, token } = setUp()
    const one = token('one', 1_000)
    expiry.watch(one)
    expireAt(one, clock.wallTime() + 5_000)
    expiry.watch(one)
    clock.advance(4_999)
    expect(expired).toEqual([])
    expireAt(one, clock.wallTime() + 1)
    expiry.watch(one)
    clock.advance(1)
    expect(expired).toEqual(['one'])
  })

  it('may be told of others, or of the same again, while it calls', () => {
    const { clock, expired, token } = setUp()
    const again = token('again', 1_000)
    const expiry: TokenExpiry = new TokenExpiry(clock, {
      expired: (each) => {
        expired.push(each.token)
        if (expired.length > 2) return
        expireAt(again, clock.wallTime() + 500)
        expiry.watch(again)
      },
    })
    expiry.watch(again)
    clock.advance(1_999)
    expect(expired).toEqual(['again', 'again'])
    clock.advance(1)
    expect([expired.length, clock.pending]).toEqual([3, 0])
  })

  it('watches as many tokens as there may be without looking at all of them for each', () => {
    const { clock, expiry, expired, token } = setUp()
    const looked = { count: 0 }
    const common = token('', undefined)
    const tokens = Array.from({ length: MAX_TOKENS }, (_, each) => ({
      ...common,
      token: `${each}`,
      traits: {
        ...common.traits,
        get expiresAt() {
          looked.count += 1
          return clock.epoch + 1_000_000 - each
        },
      },
    }))
    for (const each of tokens) expiry.watch(each)
    for (const each of tokens.slice(1)) expiry.forget(each)
    expect(looked.count).toBeLessThan(10 * MAX_TOKENS)
    clock.advance(1_000_000)
    expect([expired, clock.pending]).toEqual([['0'], 0])
  })
})
