import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteWriter } from '../../src/protocol/bytes.js'
import { decodeMessage, encodeAuth, encodeAuthResponse } from '../../src/protocol/messages.js'
import { decodeTrailer, type Trailer, writeTrailer } from '../../src/protocol/trailer.js'
import { bytes, hex } from './hex.js'
import { codeOf } from './thrown.js'

const encodeTrailer = (trailer: Trailer): Uint8Array => writeTrailer(new ByteWriter(), trailer).done()

const SESSION = '000102030405060708090a0b0c0d0e0f'

const known: readonly (readonly [string, string, Trailer])[] = [
  ['nothing received', '4c58 12 08 00000000 00000000', { received: 0 }],
  ['a count', '4c58 12 08 00000001 00000002', { received: 2 ** 32 + 2 }],
  ['the largest count', '4c58 12 08 001fffff ffffffff', { received: Number.MAX_SAFE_INTEGER }],
  [
    'all that an answer tells',
    `4c58 10 10 ${SESSION} 11 00 12 08 00000000 00000007`,
    { sessionId: bytes(SESSION), keepsOrder: true, received: 7 },
  ],
]

describe('tag 12 of a trailer', () => {
  it.each(known)('%s is read', (_name, wire, fields) => {
    expect(decodeTrailer(bytes(wire), 0)).toEqual(fields)
  })

  it.each(known)('%s is written', (_name, wire, fields) => {
    expect(hex(encodeTrailer(fields))).toBe(wire.replaceAll(' ', ''))
  })

  it.each([
    ['0 bytes', '12 00'],
    ['7 bytes', '12 07 00000000 000000'],
    ['9 bytes', '12 09 00000000 00000001 00'],
    ['8 bytes that are cut', '12 08 00000000 000000'],
    ['more than any session counts', '12 08 00200000 00000000'],
    ['the largest number', '12 08 ffffffff ffffffff'],
  ])('with %s makes the whole trailer count as absent', (_name, wire) => {
    expect(decodeTrailer(bytes(`4c58 10 10 ${SESSION} ${wire}`), 0)).toBeUndefined()
  })

  it('counts with its last value when it is repeated', () => {
    expect(decodeTrailer(bytes('4c58 12 08 0000000000000001 12 08 0000000000000002'), 0)).toEqual({ received: 2 })
  })

  it('is absent, not 0, where it is not set', () => {
    expect(decodeTrailer(encodeTrailer({ keepsOrder: true }), 0)).not.toHaveProperty('received')
  })

  it.each([-1, 0.5, 2 ** 53])('is not written with %d', (received) => {
    expect(codeOf(() => encodeTrailer({ received }))).toBe('ERR_MESSAGE_INVALID')
  })

  it('goes through Auth and AuthResponse unchanged', () => {
    const fields = fc.record({
      sessionId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      received: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    })
    const property = fc.property(fields, (trailer) => {
      const auth = encodeAuth({ token: 'token', reverse: false, instance: new Uint8Array(16), trailer })
      expect(decodeMessage(auth)).toMatchObject({ trailer })
      expect(decodeMessage(encodeAuthResponse({ success: true, trailer }))).toMatchObject({ trailer })
    })
    fc.assert(property)
  })
})
