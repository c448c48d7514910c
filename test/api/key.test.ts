import { describe, expect, it } from 'vitest'

import { createKeyCheck } from '../../src/api/key.js'
import { crypto } from './fixture.js'

describe('createKeyCheck', () => {
  it('accepts the key again and again', () => {
    const isKey = createKeyCheck('secret', crypto)
    expect([isKey('secret'), isKey('wrong'), isKey('secret')]).toEqual([true, false, true])
  })

  it.each([null, '', 's', 'secre', 'secret2', 'Secret', 'secret, secret'])('refuses %j', (header) => {
    expect(createKeyCheck('secret', crypto)(header)).toBe(false)
  })

  it('refuses an absent header even if the hash of nothing matches', () => {
    const isKey = createKeyCheck('', crypto)
    expect(isKey(null)).toBe(false)
  })

  it('compares all bytes of the hash: one differing bit anywhere is enough', () => {
    const zeros = new Uint8Array(32)
    for (let bit = 0; bit < 256; bit++) {
      const other = new Uint8Array(32)
      other[bit >> 3] = 1 << (bit & 7)
      const hashes = [zeros, other, zeros]
      const isKey = createKeyCheck('a', { ...crypto, sha256: () => hashes.shift() ?? zeros })
      expect([isKey('b'), isKey('a')]).toEqual([false, true])
    }
  })

  it('takes a key beyond ASCII as the bytes on the wire', () => {
    const isKey = createKeyCheck('clé', crypto)
    expect([isKey('cl\xc3\xa9'), isKey('cl\xe9')]).toEqual([true, false])
  })
})
