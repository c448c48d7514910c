import { describe, expect, it } from 'vitest'
import { Lru } from '../../src/lru.js'

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

  it('does not take an entry for recent that was only looked at', () => {
    const lru = new Lru<string, number>(2)
    lru.set('a', 1)
    lru.set('b', 2)
    expect([lru.get('a'), lru.get('c')]).toEqual([1, undefined])
    lru.set('c', 3)
    expect([lru.get('a'), lru.get('b'), lru.get('c')]).toEqual([undefined, 2, 3])
  })

  it('lists its entries, the least recent first', () => {
    const lru = new Lru<string, number>(2)
    for (const [key, value] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ] as const)
      lru.set(key, value)
    lru.touch('b')
    expect([...lru.entries()]).toEqual([
      ['c', 3],
      ['b', 2],
    ])
  })

  it('is of use again after clear(), up to its limit', () => {
    const lru = new Lru<number, number>(2)
    for (let i = 0; i < 5; i += 1) lru.set(i, i)
    lru.clear()
    for (let i = 0; i < 3; i += 1) lru.set(i, i)
    expect([lru.size, lru.get(0), lru.get(1), lru.get(2)]).toEqual([2, undefined, 1, 2])
  })
})
