import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { maskReceivedToken, maskToken } from '../../src/api/mask.js'
import { codePoint } from '../support/code-point.js'

describe('maskReceivedToken()', () => {
  it.each([
    ['', '…'],
    ['a', '…'],
    ['abc', 'a…'],
    ['1234567', '123…'],
    ['12345678', '1234…'],
    ['办公室办公室办公', '办公室办…'],
    ['abcd…', 'abcd…'],
    ['…', '…'],
    ['abcde…', 'abc…'],
  ])('masks %j as %j', (token, masked) => {
    expect(maskReceivedToken(token)).toBe(masked)
  })

  it('leaves what the server masked as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: codePoint }), (token) => {
        expect(maskReceivedToken(maskToken(token))).toBe(maskToken(token))
      }),
    )
  })
})
