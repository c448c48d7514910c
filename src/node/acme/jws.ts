import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto'

/** The public key of an account (RFC 7518 section 6.2.1). */
interface PublicJwk {
  readonly crv: string
  readonly kty: string
  readonly x: string
  readonly y: string
}

export interface JwsHeader {
  readonly nonce: string
  readonly url: string
  /** Of the account; without it the public key itself is shown, for an account that is not known yet. */
  readonly kid?: string | undefined
}

/**
 * A request body of ACME: JWS with ES256, in its flattened JSON form (RFC 8555 section 6.2, RFC 7515 section 7.2.2).
 * @param key EC P-256
 * @param payload `undefined` for POST-as-GET (RFC 8555 section 6.3)
 */
export function signedBody(key: KeyObject, { nonce, url, kid }: JwsHeader, payload: object | undefined): string {
  const identity = kid === undefined ? { jwk: publicJwk(key) } : { kid }
  const head = base64url(JSON.stringify({ alg: 'ES256', nonce, url, ...identity }))
  const body = payload === undefined ? '' : base64url(JSON.stringify(payload))
  const signature = sign('sha256', Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' })
  return JSON.stringify({ protected: head, payload: body, signature: signature.toString('base64url') })
}

/** What proves to own a challenge (RFC 8555 section 8.1, with the thumbprint of RFC 7638). */
export function keyAuthorization(key: KeyObject, token: string): string {
  const { crv, kty, x, y } = publicJwk(key)
  // the fields in this order, without blanks
  const thumbprint = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
  return `${token}.${thumbprint}`
}

function publicJwk(key: KeyObject): PublicJwk {
  const { crv = '', kty = '', x = '', y = '' } = createPublicKey(key).export({ format: 'jwk' })
  return { crv, kty, x, y }
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
