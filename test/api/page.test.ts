import { describe, expect, it } from 'vitest'
import { pageOf } from '../../src/api/page.js'

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)
const self = (number: number): number => number

describe('pageOf', () => {
  it('gives 100 entries and where to go on, unless told otherwise', () => {
    expect(pageOf(upTo(101), self, {})).toEqual({ entries: upTo(100), next: '100', total: 101 })
    expect(pageOf(upTo(100), self, {})).toMatchObject({ next: null, total: 100 })
    expect(pageOf([], self, { after: '7' })).toEqual({ entries: [], next: null, total: 0 })
  })

  it.each([1, 2, 3, 7, 10])('goes through a list in pages of %i without a gap, in both directions', (limit) => {
    for (const list of [upTo(7), upTo(7).reverse()]) {
      const seen: number[] = []
      let after: string | null | undefined
      for (let pages = 0; after !== null && pages < 10; pages += 1) {
        const page = pageOf(list, self, { limit: String(limit), after })
        seen.push(...page.entries)
        after = page.next
      }
      expect(seen).toEqual(list)
    }
  })

  it('misses nothing when the entry it stopped at is gone, and shows what came meanwhile', () => {
    expect(pageOf([1, 2, 4, 5], self, { after: '3' }).entries).toEqual([4, 5])
    expect(pageOf([5, 4, 2, 1], self, { after: '3' }).entries).toEqual([2, 1])
    expect(pageOf([1, 2], self, { after: '9' })).toEqual({ entries: [], next: null, total: 2 })
  })
})
