import { describe, expect, it } from 'vitest'
import { nodeCrypto } from '../../../src/node/system/crypto.js'

describe('nodeCrypto', () => {
  it('hashes as FIPS 180-4 says', () => {
    const hash = nodeCrypto.sha256(new TextEncoder().encode('abc'))
    expect(Buffer.from(hash).toString('hex')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })

  it('hashes a part of a larger buffer', () => {
    const part = new TextEncoder().encode('xabcx').subarray(1, 4)
    expect(nodeCrypto.sha256(part)).toEqual(nodeCrypto.sha256(new TextEncoder().encode('abc')))
  })

  it('gives as many random bytes as asked, different each time', () => {
    expect(nodeCrypto.randomBytes(0).byteLength).toBe(0)
    expect(nodeCrypto.randomBytes(32).byteLength).toBe(32)
    expect(nodeCrypto.randomBytes(32)).not.toEqual(nodeCrypto.randomBytes(32))
  })

  it('never gives the same bytes twice, nor zeros, whatever lengths take them over the edge of what is drawn ahead', () => {
    const lengths = [16, 4_000, 64, 16, 4_096, 1, 4_095, 4_097, 100, 20_000, 16]
    const all = lengths.flatMap((length) => {
      const bytes = nodeCrypto.randomBytes(length)
      expect(bytes.byteLength).toBe(length)
      return Array.from({ length: Math.floor(length / 16) }, (_, i) =>
        Buffer.from(bytes).toString('hex', 16 * i, 16 * i + 16),
      )
    })
    expect(all.length).toBeGreaterThan(2_000)
    expect(new Set(all).size).toBe(all.length)
    expect(all).not.toContain('00'.repeat(16))
  })

  it('gives bytes that later calls leave alone', () => {
    const first = nodeCrypto.randomBytes(32)
    const copy = new Uint8Array(first)
    for (let i = 0; i < 300; i += 1) nodeCrypto.randomBytes(32).fill(0)
    expect(first).toEqual(copy)
  })

  it('gives plain arrays whose slice() copies', () => {
    for (const bytes of [nodeCrypto.randomBytes(8), nodeCrypto.sha256(new Uint8Array(1))]) {
      expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype)
      expect(bytes.buffer.byteLength).toBe(bytes.byteLength)
    }
  })
})
