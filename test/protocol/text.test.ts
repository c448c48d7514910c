import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeUtf8, encodeUtf8, isTokenText } from '../../src/protocol/text.js'
import { codePoint } from '../support/code-point.js'
import { bytes } from './hex.js'

describe('isTokenText', () => {
  it.each(['a', 'x'.repeat(255), 'é'.repeat(127), 'Anonymous', 'a b'])('takes %j', (text) => {
    expect(isTokenText(text)).toBe(true)
  })

  it.each(['', 'x'.repeat(256), 'é'.repeat(128), 'anonymous', 'a\u0000', '\udc00'])('refuses %j', (text) => {
    expect(isTokenText(text)).toBe(false)
  })
})

describe('decodeUtf8', () => {
  it('reads what encodeUtf8() wrote', () => {
    fc.assert(
      fc.property(fc.string({ unit: codePoint }), (text) => void expect(decodeUtf8(encodeUtf8(text))).toBe(text)),
    )
  })

  it.each([
    ['ff', '\ufffd'],
    ['61 c3', 'a\ufffd'],
    ['c0 80', '\ufffd\ufffd'],
    ['ed a0 80', '\ufffd\ufffd\ufffd'],
    ['f0 9f 98', '\ufffd'],
    ['ef bb bf 61', '\ufeffa'],
  ])('reads the invalid or odd %s', (wire, text) => {
    expect(decodeUtf8(bytes(wire))).toBe(text)
  })

  it('never throws and is not confused by the call before', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 40 }), (noise) => {
      expect(decodeUtf8(noise)).toBe(Buffer.from(noise).toString('utf8'))
      expect(decodeUtf8(bytes('616263'))).toBe('abc')
    })
    fc.assert(property)
  })
})
