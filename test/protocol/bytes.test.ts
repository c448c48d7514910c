import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader, ByteWriter } from '../../src/protocol/bytes.js'
import { decodeUtf8 } from '../../src/protocol/text.js'
import { anyText } from './arbitraries.js'
import { bytes, hex } from './hex.js'
import { codeOf } from './thrown.js'

describe('ByteWriter', () => {
  const written = (write: (out: ByteWriter) => void): string => {
    const out = new ByteWriter()
    write(out)
    return hex(out.done())
  }

  it.each([
    ['u8', 0xff, 'ff'],
    ['u16', 0x0102, '0102'],
    ['u32', 0xfffe_fdfc, 'fffefdfc'],
    ['u64', 2 ** 53 - 1, '001fffffffffffff'],
    ['u64', 0, '0000000000000000'],
  ] as const)('writes %s big-endian', (width, value, wire) => {
    expect(written((out) => out[width](value))).toBe(wire)
  })

  it.each([
    ['u8', 256],
    ['u16', 65_536],
    ['u32', 2 ** 32],
    ['u64', 2 ** 53],
    ['u8', -1],
    ['u8', 0.5],
    ['u8', Number.NaN],
    ['u8', Number.POSITIVE_INFINITY],
  ] as const)('refuses for %s what does not fit: %d', (width, value) => {
    expect(codeOf(() => new ByteWriter()[width](value))).toBe('ERR_MESSAGE_INVALID')
  })

  it('refuses an id that has not 16 bytes', () => {
    expect(codeOf(() => new ByteWriter().uuid(new Uint8Array(15)))).toBe('ERR_MESSAGE_INVALID')
  })

  it('joins any number of parts in order, of any size', () => {
    const parts = fc.array(fc.uint8Array({ size: 'large' }))
    const property = fc.property(parts, (list) => {
      const whole = written((out) => {
        for (const part of list) out.bytes(part)
      })
      expect(whole).toBe(list.map(hex).join(''))
    })
    fc.assert(property)
  })

  it('gives memory of its own that the next message does not touch, and no more than it needs', () => {
    const first = new ByteWriter().u32(1).done()
    const second = new ByteWriter().u32(2).done()
    expect([hex(first), hex(second), first.buffer.byteLength]).toEqual(['00000001', '00000002', 4])
  })

  it('writes a message larger than the memory it keeps', () => {
    const large = new Uint8Array(300_000).fill(7)
    const whole = new ByteWriter().u8(1).bytes(large).done()
    expect(Buffer.compare(whole, Buffer.concat([Uint8Array.of(1), large]))).toBe(0)
    expect(written((out) => out.u8(9))).toBe('09')
  })

  describe('str8()', () => {
    const str8 = (text: string): Uint8Array => new ByteWriter().str8(text).done()

    it('writes as many whole characters as fit in 255 bytes, and how many bytes these are', () => {
      const property = fc.property(anyText, (text) => {
        const [length, ...rest] = str8(text)
        const kept = Uint8Array.from(rest)
        expect(length).toBe(kept.length)
        expect(hex(kept)).toBe(hex(Buffer.from(text).subarray(0, kept.length)))
        const next = [...text].at([...decodeUtf8(kept)].length)
        expect(next === undefined || kept.length + Buffer.byteLength(next) > 255).toBe(true)
      })
      fc.assert(property)
    })

    it.each([0, 1, 2, 3])('cuts four-byte characters shifted by %i', (shift) => {
      const kept = str8(`${'x'.repeat(shift)}${'😀'.repeat(80)}`).subarray(1)
      expect(decodeUtf8(kept)).toBe(`${'x'.repeat(shift)}${'😀'.repeat(63)}`)
    })

    it('writes half a surrogate pair as U+FFFD', () => {
      expect(hex(str8('a\ud83d'))).toBe('0461efbfbd')
    })
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
