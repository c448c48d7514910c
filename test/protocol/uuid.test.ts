import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Crypto } from '../../src/ports.js'
import { bytesOfKey, channelKey, formatUuid, NIL_UUID, newUuid, parseUuid } from '../../src/protocol/uuid.js'
import { id } from './arbitraries.js'
import { bytes, hex } from './hex.js'

function cryptoOf(random: Uint8Array): Crypto {
  return {
    randomBytes: (length) => {
      expect(length).toBe(random.length)
      return Uint8Array.from(random)
    },
    sha256: () => new Uint8Array(32),
  }
}

describe('bytesOfKey', () => {
  it('gives back the bytes of which a key was made', () => {
    const same = (bytes: Uint8Array): boolean => hex(bytesOfKey(channelKey(bytes))) === hex(bytes)
    fc.assert(fc.property(id, same))
  })
})

describe('channelKey', () => {
  it('is equal for equal ids and differs at every bit', () => {
    const property = fc.property(id, fc.nat(127), (bits, position) => {
      const other = Uint8Array.from(bits)
      other[position >> 3] = (other[position >> 3] ?? 0) ^ (1 << (position & 7))
      expect(channelKey(Uint8Array.from(bits))).toBe(channelKey(bits))
      expect(channelKey(other)).not.toBe(channelKey(bits))
    })
    fc.assert(property)
  })

  it('reads the id inside a message', () => {
    const property = fc.property(id, fc.uint8Array({ maxLength: 30 }), (bits, before) => {
      expect(channelKey(Uint8Array.of(...before, ...bits, 7), before.length)).toBe(channelKey(bits))
    })
    fc.assert(property)
  })
})

describe('newUuid', () => {
  it.each(['00', 'ff', 'a5'])('marks version 4 and its variant on random bytes 0x%s', (byte) => {
    const text = formatUuid(newUuid(cryptoOf(bytes(byte.repeat(16)))))
    expect(text).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  it('keeps the other 122 bits', () => {
    expect(hex(newUuid(cryptoOf(bytes('ff'.repeat(16)))))).toBe('ffffffffffff4fffbfffffffffffffff')
    expect(hex(newUuid(cryptoOf(bytes('00'.repeat(16)))))).toBe('00000000000040008000000000000000')
  })
})

describe('UUID text', () => {
  it('is read and written', () => {
    const text = '65c9bb62-d189-4ebc-a9e7-cb2d50827bb2'
    expect(parseUuid(text)).toEqual(bytes('65c9bb62d1894ebca9e7cb2d50827bb2'))
    expect(parseUuid(text.toUpperCase())).toEqual(bytes('65c9bb62d1894ebca9e7cb2d50827bb2'))
    expect(formatUuid(NIL_UUID)).toBe('00000000-0000-0000-0000-000000000000')
  })

  it('survives both ways', () => {
    fc.assert(fc.property(id, (bits) => void expect(parseUuid(formatUuid(bits))).toEqual(bits)))
    fc.assert(fc.property(fc.uuid(), (text) => void expect(formatUuid(parseUuid(text) ?? NIL_UUID)).toBe(text)))
  })

  it.each([
    '',
    '65c9bb62d1894ebca9e7cb2d50827bb2',
    '65c9bb62-d189-4ebc-a9e7-cb2d50827bb',
    '65c9bb62-d189-4ebc-a9e7-cb2d50827bb2f',
    '65c9bb62-d189-4ebc-a9e7-cb2d50827bg2',
    '{65c9bb62-d189-4ebc-a9e7-cb2d50827bb2}',
    '65c9bb62-d189-4ebc-a9e7-cb2d50827bb2\n',
    '65c9bb6-2d189-4ebc-a9e7-cb2d50827bb2',
  ])('is not "%s"', (text) => {
    expect(parseUuid(text)).toBeUndefined()
  })
})
