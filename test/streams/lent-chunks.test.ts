import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LentChunks } from '../../src/streams/lent-chunks.js'

function setUp() {
  const recycled: number[] = []
  // a chunk is known by its first byte
  const lent = new LentChunks((chunk) => recycled.push(chunk[0] ?? -1))
  return { lent, recycled, lend: (name: number, bytes: number) => lent.lend(new Uint8Array(bytes).fill(name)) }
}

describe('LentChunks', () => {
  it('recycles a chunk when its last byte is used up, not before', () => {
    const { lent, recycled, lend } = setUp()
    lend(1, 10)
    lent.use(9)
    expect(recycled).toEqual([])
    lent.use(1)
    expect(recycled).toEqual([1])
  })

  it('recycles in the order they were lent, several at a time, with parts left over', () => {
    const { lent, recycled, lend } = setUp()
    for (const name of [1, 2, 3]) lend(name, 10)
    lent.use(25)
    expect(recycled).toEqual([1, 2])
    lend(4, 10)
    lent.use(4)
    expect(recycled).toEqual([1, 2])
    lent.use(1)
    expect(recycled).toEqual([1, 2, 3])
    lent.use(10)
    expect(recycled).toEqual([1, 2, 3, 4])
  })

  it('recycles each chunk once', () => {
    const { lent, recycled, lend } = setUp()
    lend(1, 10)
    lent.use(10)
    lent.use(10)
    lent.use(0)
    expect(recycled).toEqual([1])
  })

  it('owes nothing when more is used up than was lent', () => {
    const { lent, recycled, lend } = setUp()
    lend(1, 10)
    lent.use(15)
    lend(2, 10)
    lent.use(9)
    expect(recycled).toEqual([1])
    lent.use(1)
    expect(recycled).toEqual([1, 2])
  })

  it('goes on over many chunks', () => {
    const { lent, recycled, lend } = setUp()
    for (let i = 0; i < 200; i += 1) lend(i, 3)
    for (let i = 0; i < 600; i += 1) lent.use(1)
    expect(recycled).toEqual(Array.from({ length: 200 }, (_, i) => i))
  })

  it('forgets what is lent: it is never recycled, and what comes later counts from its beginning', () => {
    const { lent, recycled, lend } = setUp()
    lend(1, 10)
    lend(2, 10)
    lent.use(5)
    lent.forget()
    lent.use(100)
    lend(3, 10)
    lent.use(9)
    expect(recycled).toEqual([])
    lent.use(1)
    expect(recycled).toEqual([3])
  })

  it('takes a chunk that is lent while another is recycled', () => {
    const recycled: number[] = []
    const lent: LentChunks = new LentChunks((chunk) => {
      recycled.push(chunk[0] ?? -1)
      if (recycled.length === 1) lent.lend(Uint8Array.of(2, 2))
    })
    lent.lend(Uint8Array.of(1))
    lent.use(2)
    expect(recycled).toEqual([1])
    lent.use(1)
    expect(recycled).toEqual([1, 2])
  })

  it('has at any time recycled exactly the chunks that are used up whole', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 150 })
    fc.assert(
      fc.property(sizes, fc.array(fc.integer({ min: 1, max: 200 })), (chunks, uses) => {
        const { lent, recycled, lend } = setUp()
        const ends = chunks.map((_, i) => chunks.slice(0, i + 1).reduce((sum, bytes) => sum + bytes, 0))
        const total = ends.at(-1) ?? 0
        chunks.forEach((bytes, i) => void lend(i, bytes))
        let used = 0
        for (const bytes of uses) {
          if (used + bytes > total) break
          used += bytes
          lent.use(bytes)
          expect(recycled).toEqual(ends.flatMap((end, i) => (end <= used ? [i] : [])))
        }
      }),
    )
  })
})
