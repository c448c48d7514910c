import { createSecretKey, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { SEAL_BYTES, TokenSeal } from '../../../src/node/store/token-seal.js'

const seal = new TokenSeal(createSecretKey(randomBytes(32)))
const other = new TokenSeal(createSecretKey(randomBytes(32)))

describe('TokenSeal', () => {
  it('gives back what it sealed, of any length', () => {
    for (const length of [0, 1, 16, 5_000]) {
      const value = randomBytes(length)
      const sealed = seal.seal(value, 'a')
      expect(sealed.byteLength).toBe(length + SEAL_BYTES)
      expect(seal.unseal(sealed, 'a').equals(value)).toBe(true)
    }
  })

  it('never uses a nonce twice', () => {
    const nonces = Array.from({ length: 1_000 }, () => seal.seal(Buffer.from('x'), 'a').toString('hex', 0, 12))
    expect(new Set(nonces).size).toBe(1_000)
  })

  it('opens nothing with another key, under another subject, or changed or cut anywhere', () => {
    const sealed = seal.seal(Buffer.from('value'), 'a')
    expect(() => other.unseal(sealed, 'a')).toThrow()
    expect(() => seal.unseal(sealed, 'b')).toThrow()
    for (const at of sealed.keys()) {
      const changed = Buffer.from(sealed)
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
      expect(() => seal.unseal(changed, 'a'), `byte ${at}`).toThrow()
      expect(() => seal.unseal(sealed.subarray(0, at), 'a'), `cut at ${at}`).toThrow()
    }
  })

  it('tells another key from a damaged key check', () => {
    const check = seal.makeKeyCheck()
    expect(seal.fits(check)).toBe('yes')
    expect(other.fits(check)).toBe('another-key')
    for (const at of check.keys()) {
      const changed = Buffer.from(check)
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
      expect(seal.fits(changed)).toBe('damaged')
      expect(seal.fits(check.subarray(0, at))).toBe('damaged')
    }
  })
})
