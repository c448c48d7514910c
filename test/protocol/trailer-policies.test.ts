import { describe, expect, it } from 'vitest'
import { ByteWriter } from '../../src/protocol/bytes.js'
import { decodeTrailer, type Trailer, writeTrailer } from '../../src/protocol/trailer.js'
import { bytes, hex } from './hex.js'
import { codeOf } from './thrown.js'

const encodeTrailer = (trailer: Trailer): Uint8Array => writeTrailer(new ByteWriter(), trailer).done()
const MOST = Array.from({ length: 63 }, (_, index) => index)

describe('tags 13 and 14 of a trailer', () => {
  it.each<readonly [string, string, Trailer]>([
    ['a sender that knows policies', '4c58 13 00', { knowsPolicies: true }],
    ['one number', '4c58 14 04 00000001', { policies: [1] }],
    ['two numbers', '4c58 14 08 00000002 ffffffff', { policies: [2, 0xffff_ffff] }],
    ['the same number twice', '4c58 14 08 00000007 00000007', { policies: [7, 7] }],
    [
      'credit before both',
      '4c58 01 04 00000005 13 00 14 04 00000000',
      { streamControl: 5, knowsPolicies: true, policies: [0] },
    ],
  ])('carry %s', (_name, wire, fields) => {
    expect(decodeTrailer(bytes(wire), 0)).toEqual(fields)
    expect(hex(encodeTrailer(fields))).toBe(wire.replaceAll(' ', ''))
  })

  it.each([
    ['13 of 1 byte', '13 01 01'],
    ['14 of nothing', '14 00'],
    ['14 of 3 bytes', '14 03 000001'],
    ['14 of 5 bytes', '14 05 0000000100'],
    ['14 that is cut', '14 08 00000001 000000'],
    ['14 without its length', '14'],
  ])('make the whole trailer count as absent: %s', (_name, wire) => {
    expect(decodeTrailer(bytes(`4c58 02 01 05 ${wire}`), 0)).toBeUndefined()
  })

  it('count with the last of them when 14 is repeated', () => {
    expect(decodeTrailer(bytes('4c58 14 04 00000001 77 01 aa 14 04 00000002'), 0)).toEqual({ policies: [2] })
  })

  it('take as many numbers as an entry has bytes for, and no more', () => {
    expect(decodeTrailer(encodeTrailer({ policies: MOST }), 0)).toEqual({ policies: MOST })
    expect(codeOf(() => encodeTrailer({ policies: [...MOST, 63] }))).toBe('ERR_MESSAGE_INVALID')
  })

  it.each([-1, 0.5, 2 ** 32])('are not written with the number %d', (ref) => {
    expect(codeOf(() => encodeTrailer({ policies: [ref] }))).toBe('ERR_MESSAGE_INVALID')
  })
})
