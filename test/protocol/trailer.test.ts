import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteWriter } from '../../src/protocol/bytes.js'
import { decodeTrailer, type Trailer, writeTrailer } from '../../src/protocol/trailer.js'
import { trailer } from './arbitraries.js'
import { bytes, hex } from './hex.js'
import { codeOf } from './thrown.js'

const encodeTrailer = (trailer: Trailer): Uint8Array => writeTrailer(new ByteWriter(), trailer).done()

const SESSION = '000102030405060708090a0b0c0d0e0f'

const known: readonly (readonly [string, string, object])[] = [
  ['nothing', '4c58', {}],
  ['stream control', '4c58 01 04 00080000', { streamControl: 524_288 }],
  ['the largest credit', '4c58 01 04 ffffffff', { streamControl: 0xffff_ffff }],
  ['a REP', '4c58 02 01 05', { rep: 5 }],
  ['a session id', `4c58 10 10 ${SESSION}`, { sessionId: bytes(SESSION) }],
  ['kept order', '4c58 11 00', { keepsOrder: true }],
  [
    'everything',
    `4c58 01 04 00010000 02 01 00 10 10 ${SESSION} 11 00`,
    { streamControl: 65_536, rep: 0, sessionId: bytes(SESSION), keepsOrder: true },
  ],
]

describe('a trailer with', () => {
  it.each(known)('%s is read', (_name, wire, fields) => {
    expect(decodeTrailer(bytes(wire), 0)).toEqual(fields)
  })

  it.each(known)('%s is written', (_name, wire, fields) => {
    expect(hex(encodeTrailer(fields))).toBe(wire.replaceAll(' ', ''))
  })

  it.each(known)('%s is nothing when it is cut inside an entry', (_name, wire, fields) => {
    const whole = bytes(wire)
    for (let length = 0; length < whole.length; length++) {
      const read = decodeTrailer(whole.subarray(0, length), 0)
      // a cut between two entries leaves a shorter trailer
      if (read === undefined) continue
      expect(Object.keys(read).length).toBeLessThan(Object.keys(fields).length)
      expect(hex(encodeTrailer(read))).toBe(hex(whole.subarray(0, length)))
    }
  })
})

describe('decodeTrailer', () => {
  it('reads what writeTrailer() wrote, at any offset', () => {
    const property = fc.property(trailer, fc.uint8Array({ maxLength: 40 }), (fields, before) => {
      const wire = Uint8Array.of(...before, ...encodeTrailer(fields))
      expect(decodeTrailer(wire, before.length)).toEqual(fields)
    })
    fc.assert(property)
  })

  it('skips unknown tags', () => {
    expect(decodeTrailer(bytes('4c58 77 03 aabbcc 02 01 05 78 00'), 0)).toEqual({ rep: 5 })
  })

  it('takes the last of a repeated tag', () => {
    expect(decodeTrailer(bytes('4c58 02 01 05 02 01 06'), 0)).toEqual({ rep: 6 })
  })

  it.each(['', '4c', '4d58', '4c59', '58 4c'])('finds none in "%s"', (wire) => {
    expect(decodeTrailer(bytes(wire), 0)).toBeUndefined()
  })

  it('finds none beyond the end', () => {
    expect(decodeTrailer(bytes('4c58'), 2)).toBeUndefined()
  })

  it.each([
    ['stream control of 3', '01 03 000800'],
    ['stream control of 5', '01 05 0000080000'],
    ['REP of 0', '02 00'],
    ['REP of 2', '02 02 0505'],
    ['session id of 15', `10 0f ${SESSION.slice(2)}`],
    ['session id of 17', `10 11 ${SESSION}10`],
    ['kept order of 1', '11 01 01'],
  ])('ignores the whole trailer for a %s bytes', (_name, wire) => {
    expect(decodeTrailer(bytes(`4c58 02 01 05 ${wire}`), 0)).toBeUndefined()
  })

  it.each(['77', '77 01', '77 05 01020304'])('ignores the whole trailer for an unknown tag cut as "%s"', (wire) => {
    expect(decodeTrailer(bytes(`4c58 02 01 05 ${wire}`), 0)).toBeUndefined()
  })

  it('copies the session id', () => {
    const wire = bytes(`4c58 10 10 ${SESSION}`)
    const read = decodeTrailer(wire, 0)
    wire.fill(0)
    expect(read).toEqual({ sessionId: bytes(SESSION) })
  })

  it('never throws', () => {
    const noise = fc.uint8Array({ maxLength: 60 }).map((tail) => Uint8Array.of(0x4c, 0x58, ...tail))
    fc.assert(
      fc.property(noise, fc.nat(70), (wire, offset) => {
        decodeTrailer(wire, 0)
        decodeTrailer(wire, offset)
      }),
    )
  })
})

describe('writeTrailer', () => {
  it.each([{ streamControl: -1 }, { streamControl: 2 ** 32 }, { rep: 256 }, { sessionId: new Uint8Array(15) }])(
    'refuses %o',
    (fields) => {
      expect(codeOf(() => encodeTrailer(fields))).toBe('ERR_MESSAGE_INVALID')
    },
  )
})
