import { describe, expect, it } from 'vitest'
import { mapPage, pageOf } from '../../../src/relay/observe/page.js'

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)
const self = (number: number): number => number

describe('pageOf', () => {
  it('gives as many entries as asked for, and where to go on', () => {
    expect(pageOf(upTo(101), self, { limit: 100 })).toEqual({ entries: upTo(100), next: 100, total: 101 })
    expect(pageOf(upTo(100), self, { limit: 100 })).toMatchObject({ next: undefined, total: 100 })
    expect(pageOf([], self, { limit: 1, after: 7 })).toEqual({ entries: [], next: undefined, total: 0 })
  })

  it.each([1, 2, 3, 7, 10])('goes through a list in pages of %i without a gap, in both directions', (limit) => {
    for (const descending of [false, true]) {
      const list = descending ? upTo(7).reverse() : upTo(7)
      const seen: number[] = []
      let after: number | undefined
      for (let pages = 0; pages < 10; pages += 1) {
        const page = pageOf(list, self, { limit, after, descending })
        seen.push(...page.entries)
        after = page.next
        if (after === undefined) break
      }
      expect(seen).toEqual(list)
    }
  })

  it('misses nothing when the entry it stopped at is gone, and shows what came meanwhile', () => {
    expect(pageOf([1, 2, 4, 5], self, { limit: 9, after: 3 }).entries).toEqual([4, 5])
    expect(pageOf([5, 4, 2, 1], self, { limit: 9, after: 3, descending: true }).entries).toEqual([2, 1])
    expect(pageOf([1, 2], self, { limit: 9, after: 9 }).entries).toEqual([])
  })

  it('knows the direction of a list that has one entry left', () => {
    expect(pageOf([1], self, { limit: 9, after: 51, descending: true }).entries).toEqual([1])
    expect(pageOf([60], self, { limit: 9, after: 51, descending: true }).entries).toEqual([])
    expect(pageOf([1], self, { limit: 9, after: 51 }).entries).toEqual([])
  })
})

describe('mapPage', () => {
  it('converts the entries of the page, and no others', () => {
    const made: number[] = []
    const page = mapPage(pageOf(upTo(1_000), self, { limit: 2, after: 5 }), (entry) => made.push(entry))
    expect([page.entries, page.next, page.total, made]).toEqual([[1, 2], 7, 1_000, [6, 7]])
  })
})
