import { describe, expect, it } from 'vitest'
import { nodeCrypto } from '../../src/node/crypto.js'

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

  it('gives plain arrays whose slice() copies', () => {
    for (const bytes of [nodeCrypto.randomBytes(8), nodeCrypto.sha256(new Uint8Array(1))]) {
      expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype)
      expect(bytes.buffer.byteLength).toBe(bytes.byteLength)
    }
  })
})
