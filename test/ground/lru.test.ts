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
})
