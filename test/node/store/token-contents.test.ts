import { describe, expect, it } from 'vitest'
import { TokenContents, type TokenRow } from '../../../src/node/store/token-contents.js'

const row = (seq: number, id = `id ${seq}`, byte = seq): TokenRow => ({ seq, id, sealed: Uint8Array.of(byte) })

describe('TokenContents', () => {
  it('is the same for the same rows, whatever came and went before, in whatever order', () => {
    const contents = TokenContents.of([row(1), row(2), row(3)])
    const other = TokenContents.of([row(3), row(9), row(1)])
    other.remove(row(9))
    expect(other.equals(contents.bytes())).toBe(false)
    other.add(row(2))
    expect(other.equals(contents.bytes())).toBe(true)
    expect(other.count).toBe(3)
  })

  it('is another for any other row, place, id or content, and for a row twice', () => {
    const contents = TokenContents.of([row(1), row(2)])
    const others = [[], [row(1)], [row(1), row(3)], [row(1), row(2, 'x')], [row(1), row(2, 'id 2', 7)]]
    for (const rows of others) expect(TokenContents.of(rows).equals(contents.bytes())).toBe(false)
    expect(TokenContents.of([row(1), row(2), row(5), row(5)]).equals(contents.bytes())).toBe(false)
  })

  it('is copied whole', () => {
    const contents = TokenContents.of([row(1)])
    const copy = contents.copy()
    copy.add(row(2))
    expect(contents.equals(TokenContents.of([row(1)]).bytes())).toBe(true)
    expect(copy.equals(TokenContents.of([row(1), row(2)]).bytes())).toBe(true)
  })
})
