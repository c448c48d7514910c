import { createHash, createPrivateKey, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { keyAuthorization, signedBody } from '../../../src/node/acme/jws.js'

/** The key of RFC 7515 appendix A.3. */
const JWK = {
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
}
const D = 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI'
const KEY: KeyObject = createPrivateKey({ key: { ...JWK, d: D }, format: 'jwk' })

function read(body: string) {
  const { protected: head, payload, signature, ...more } = JSON.parse(body) as Record<string, string>
  const header: unknown = JSON.parse(Buffer.from(head ?? '', 'base64url').toString())
  const signed = Buffer.from(`${head}.${payload}`)
  return {
    header,
    payload,
    signature: Buffer.from(signature ?? '', 'base64url'),
    signed,
    more,
    texts: [head, payload, signature],
  }
}

describe('keyAuthorization()', () => {
  it('is the token with the SHA-256 of the public key’s fields, in order and without blanks (RFC 7638)', () => {
    const text = `{"crv":"P-256","kty":"EC","x":"${JWK.x}","y":"${JWK.y}"}`
    const thumbprint = createHash('sha256').update(text).digest('base64url')
    expect(keyAuthorization(KEY, 'a-token')).toBe(`a-token.${thumbprint}`)
    expect(thumbprint).toBe('oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U')
  })
})

describe('signedBody()', () => {
  const at = { nonce: 'n-1', url: 'https://ca.test/orders' }

  it.each([
    ['an account', { ...at, kid: 'https://ca.test/account/1' }, { kid: 'https://ca.test/account/1' }],
    ['a key that has no account yet', at, { jwk: JWK }],
  ])('names %s in its protected header, and nothing of the private key', (_what, header, identity) => {
    const { header: shown, more, texts } = read(signedBody(KEY, header, { a: 1 }))
    expect(shown).toEqual({ alg: 'ES256', ...at, ...identity })
    expect(more).toEqual({})
    expect(JSON.stringify(shown)).not.toContain(D)
    // base64url without padding (RFC 8555 section 6.1)
    for (const text of texts) expect(text).toMatch(/^[\w-]+$/)
  })

  it('is signed over header and payload with ES256 as RFC 7518 section 3.4 writes it', () => {
    const { signature, signed, payload } = read(signedBody(KEY, at, { text: 'grüße' }))
    expect(signature).toHaveLength(64)
    expect(JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())).toEqual({ text: 'grüße' })
    const key = { key: createPublicKey(KEY), dsaEncoding: 'ieee-p1363' } as const
    expect(verify('sha256', signed, key, signature)).toBe(true)
    expect(verify('sha256', Buffer.concat([signed, Buffer.from('A')]), key, signature)).toBe(false)
  })

  it('has an empty payload for POST-as-GET, which differs from an empty object', () => {
    expect(read(signedBody(KEY, at, undefined)).payload).toBe('')
    expect(read(signedBody(KEY, at, {})).payload).toBe('e30')
  })
})
