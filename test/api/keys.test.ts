import { describe, expect, it } from 'vitest'

import { type ApiKey, createKeyCheck, isApiKey, MAX_API_KEY_LENGTH } from '../../src/api/keys.js'
import { crypto } from './fixture.js'

const full = (key: string, name = 'a'): ApiKey => ({ name, role: 'full', key })
/** The name of the key's holder. */
const check =
  (keys: readonly ApiKey[], by = crypto) =>
  (header: string | null) =>
    createKeyCheck(keys, by)(header)?.name

describe('isApiKey', () => {
  it.each(['k', '!', '~', 'two  words', 'x'.repeat(MAX_API_KEY_LENGTH)])('takes %j', (text) => {
    expect(isApiKey(text)).toBe(true)
  })

  it.each(['', ' ', ' k', 'k ', 'kéy', 'a\tb', 'k\n', '\u007f', 'x'.repeat(MAX_API_KEY_LENGTH + 1)])(
    'refuses %j',
    (text) => {
      expect(isApiKey(text)).toBe(false)
    },
  )
})

describe('createKeyCheck', () => {
  it('accepts the key again and again', () => {
    const keyOf = createKeyCheck([full('secret')], crypto)
    const holder = { name: 'a', role: 'full' }
    expect([keyOf('secret'), keyOf('wrong'), keyOf('secret')]).toEqual([holder, undefined, holder])
  })

  it('tells whose key it is, and what it may do', () => {
    const keys = [full('one', 'ops'), { name: 'screen', role: 'read-only', key: 'two' } as const]
    const keyOf = createKeyCheck(keys, crypto)
    expect(keyOf('one')).toEqual({ name: 'ops', role: 'full' })
    expect(keyOf('two')).toEqual({ name: 'screen', role: 'read-only' })
    expect(keyOf('three')).toBeUndefined()
  })

  it.each([null, '', 's', 'secre', 'secret2', 'Secret', 'secret, secret'])('refuses %j', (header) => {
    expect(check([full('secret')])(header)).toBeUndefined()
  })

  it('refuses an empty key, which an absent header would fit', () => {
    expect(() => check([full('a'), full('', 'b')])('a')).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }))
  })

  it('refuses everything where there is no key', () => {
    expect(check([])('')).toBeUndefined()
    expect(check([])(null)).toBeUndefined()
  })

  it('compares all bytes of the hash: one differing bit anywhere is enough', () => {
    const zeros = new Uint8Array(32)
    for (let bit = 0; bit < 256; bit++) {
      const other = new Uint8Array(32)
      other[bit >> 3] = 1 << (bit & 7)
      const hashes = [zeros, other, zeros]
      const keyOf = createKeyCheck([full('a')], { ...crypto, sha256: () => hashes.shift() ?? zeros })
      expect([keyOf('b')?.name, keyOf('a')?.name]).toEqual([undefined, 'a'])
    }
  })

  it('compares with every key, whichever fits', () => {
    const compared: number[] = []
    const counting = (index: number): Uint8Array =>
      new Proxy(new Uint8Array(32).fill(index), {
        get(bytes, property) {
          if (property !== 'entries') return Reflect.get(bytes, property)
          return () => {
            compared.push(index)
            return bytes.entries()
          }
        },
      })
    const hashes = [counting(1), counting(2), counting(3), new Uint8Array(32).fill(1)]
    const sha256 = (): Uint8Array => hashes.shift() ?? new Uint8Array(32)
    expect(check([full('x', 'one'), full('y', 'two'), full('z', 'three')], { ...crypto, sha256 })('x')).toBe('one')
    expect(compared).toEqual([1, 2, 3])
  })

  it('takes a key beyond ASCII as the bytes on the wire', () => {
    const keyOf = check([full('clé')])
    expect([keyOf('cl\xc3\xa9'), keyOf('cl\xe9')]).toEqual(['a', undefined])
  })
})
