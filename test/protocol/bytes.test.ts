import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader, concat, u8, u16, u32, u64 } from '../../src/protocol/bytes.js'
import { bytes, hex } from './hex.js'
import { codeOf } from './thrown.js'

describe('numbers', () => {
  it.each([
    [u8, 0xff, 'ff'],
    [u16, 0x0102, '0102'],
    [u32, 0xfffe_fdfc, 'fffefdfc'],
    [u64, 2 ** 53 - 1, '001fffffffffffff'],
    [u64, 0, '0000000000000000'],
  ])('are written big-endian', (write, value, wire) => {
    expect(hex(write(value))).toBe(wire)
  })

  it.each([
    [u8, 256],
    [u16, 65_536],
    [u32, 2 ** 32],
    [u64, 2 ** 53],
    [u8, -1],
    [u8, 0.5],
    [u8, Number.NaN],
    [u8, Number.POSITIVE_INFINITY],
  ])('are refused beyond their width', (write, value) => {
    expect(codeOf(() => write(value))).toBe('ERR_MESSAGE_INVALID')
  })
})

describe('ByteReader', () => {
  it('reads numbers of each width one after the other', () => {
    const reader = new ByteReader(bytes('ff 0102 ffffffff 80000000'))
    expect([reader.u8(), reader.u16(), reader.u32(), reader.u32()]).toEqual([255, 258, 0xffff_ffff, 0x8000_0000])
    expect(reader.left).toBe(0)
  })

  it('stays where it was when too little is left for a view', () => {
    const reader = new ByteReader(bytes('010203'))
    expect(codeOf(() => reader.view(4))).toBe('ERR_MESSAGE_TRUNCATED')
    expect(hex(reader.view(3))).toBe('010203')
    expect(codeOf(() => reader.u8())).toBe('ERR_MESSAGE_TRUNCATED')
  })

  it('tells an absent Str8 from an empty one', () => {
    expect(new ByteReader(bytes('')).optionalStr8()).toBeUndefined()
    expect(new ByteReader(bytes('00')).optionalStr8()).toBe('')
  })

  it('gives views of the message but copies of ids', () => {
    const wire = bytes('00'.repeat(32))
    const reader = new ByteReader(wire)
    const [id, view] = [reader.uuid(), reader.view(16)]
    wire.fill(1)
    expect([hex(id), hex(view)]).toEqual(['00'.repeat(16), '01'.repeat(16)])
  })
})

describe('concat', () => {
  it('joins any number of parts in order', () => {
    const property = fc.property(fc.array(fc.uint8Array()), (parts) => {
      expect(hex(concat(...parts))).toBe(parts.map(hex).join(''))
    })
    fc.assert(property)
  })
})
