import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { decodeSegment } from '../../../src/api/request/path.js'
import { codePoint } from '../../support/code-point.js'

describe('decodeSegment', () => {
  it('agrees with decodeURIComponent on everything encodeURIComponent makes', () => {
    fc.assert(
      fc.property(fc.string({ unit: codePoint }), (text) => {
        expect(decodeSegment(encodeURIComponent(text))).toBe(text)
      }),
    )
  })

  it('agrees with decodeURIComponent on random ASCII, broken escapes included', () => {
    const piece = fc.oneof(fc.constant('%'), fc.constantFrom('%2e', '%C3', '%A9', '%F0'), fc.string({ maxLength: 3 }))
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const segment = pieces.join('')
        let expected: string | undefined
        try {
          expected = decodeURIComponent(segment)
        } catch {}
        expect(decodeSegment(segment)).toBe(expected)
      }),
    )
  })

  it('takes raw bytes of UTF-8, one character each', () => {
    expect(decodeSegment('caf\xc3\xa9')).toBe('café')
    expect(decodeSegment('caf%C3\xa9')).toBe('café')
  })

  it('keeps a byte order mark', () => {
    expect(decodeSegment('%EF%BB%BFx')).toBe('\ufeffx')
  })

  it.each(['%', '%2', '%2g', '%+1', '% 1', 'a%', '%%20'])('refuses the broken escape %j', (segment) => {
    expect(decodeSegment(segment)).toBeUndefined()
  })

  it.each(['%FF', '%C3', '%C0%AE', '%ED%A0%80', '\xff', 'é', 'Ā', '%F4%90%80%80'])(
    'refuses %j, which is not UTF-8',
    (segment) => {
      expect(decodeSegment(segment)).toBeUndefined()
    },
  )
})
