import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeUtf8, encodeUtf8, encodeUtf8Str8 } from '../../src/protocol/text.js'
import { anyText } from './arbitraries.js'
import { bytes, hex } from './hex.js'

describe('encodeUtf8Str8', () => {
  it('writes as many whole characters as fit in 255 bytes', () => {
    const property = fc.property(anyText, (text) => {
      const kept = encodeUtf8Str8(text)
      const all = Buffer.from(text)
      expect(kept.length).toBeLessThanOrEqual(255)
      expect(hex(kept)).toBe(hex(all.subarray(0, kept.length)))
      const next = [...text].at([...decodeUtf8(kept)].length)
      expect(next === undefined || kept.length + Buffer.byteLength(next) > 255).toBe(true)
    })
    fc.assert(property)
  })

  it.each([0, 1, 2, 3])('cuts four-byte characters shifted by %i', (shift) => {
    const kept = encodeUtf8Str8(`${'x'.repeat(shift)}${'😀'.repeat(80)}`)
    expect(decodeUtf8(kept)).toBe(`${'x'.repeat(shift)}${'😀'.repeat(63)}`)
  })

  it('writes half a surrogate pair as U+FFFD', () => {
    expect(hex(encodeUtf8Str8('a\ud83d'))).toBe('61efbfbd')
  })

  it('keeps no more memory than it needs', () => {
    expect(encodeUtf8Str8('abc').buffer.byteLength).toBe(3)
  })
})

describe('decodeUtf8', () => {
  it('reads what encodeUtf8() wrote', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => void expect(decodeUtf8(encodeUtf8(text))).toBe(text)),
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
