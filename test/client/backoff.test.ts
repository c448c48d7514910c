import { describe, expect, it } from 'vitest'
import { Backoff, MAX_DELAY_MS } from '../../src/client/backoff.js'
import { nodeCrypto } from '../../src/node/system/crypto.js'
import { constantCrypto } from './fixture.js'

const take = (backoff: Backoff, count: number): number[] => Array.from({ length: count }, () => backoff.next())

describe('Backoff', () => {
  it('tries at once, then below a ceiling that doubles up to 30 s', () => {
    const delays = take(new Backoff(constantCrypto(255)), 10)
    expect(delays).toEqual([0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  })

  it('jitters over the whole range', () => {
    expect(take(new Backoff(constantCrypto(0)), 10)).toEqual(Array.from({ length: 10 }, () => 0))
    const backoff = new Backoff(nodeCrypto)
    take(backoff, 20)
    const delays = take(backoff, 400)
    expect(Math.max(...delays)).toBeLessThanOrEqual(MAX_DELAY_MS)
    expect(Math.min(...delays)).toBeLessThan(MAX_DELAY_MS / 4)
    expect(Math.max(...delays)).toBeGreaterThan((MAX_DELAY_MS * 3) / 4)
  })

  it('stays at the ceiling after very many attempts', () => {
    const backoff = new Backoff(constantCrypto(255))
    take(backoff, 2_000)
    expect(backoff.next()).toBe(MAX_DELAY_MS)
  })

  it('begins again after reset()', () => {
    const backoff = new Backoff(constantCrypto(255))
    take(backoff, 6)
    backoff.reset()
    expect(take(backoff, 2)).toEqual([0, 500])
  })
})
