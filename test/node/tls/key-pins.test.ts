import { createHash, X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { keyPin, parseKeyPin } from '../../../src/node/tls/key-pins.js'
import { selfSigned } from '../../support/certificates.js'

const BYTES = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index * 7))
const BASE64 = BYTES.toString('base64')
const HEX = BYTES.toString('hex')

describe('parseKeyPin()', () => {
  it.each([
    ['base64', BASE64],
    ['base64 without padding', BASE64.replace('=', '')],
    ['hex', HEX],
    ['hex in capitals', HEX.toUpperCase()],
    ['base64 as curl writes it', `sha256//${BASE64}`],
    ['hex after the same', `sha256//${HEX}`],
  ])('reads %s', (_what, text) => {
    expect(parseKeyPin(text)).toBe(BASE64)
  })

  it.each([
    ['nothing', ''],
    ['the prefix alone', 'sha256//'],
    ['a digit too few', HEX.slice(1)],
    ['a digit too many', `${HEX}a`],
    ['a byte too few in base64', BYTES.subarray(1).toString('base64')],
    ['a byte too many in base64', Buffer.concat([BYTES, Buffer.of(1)]).toString('base64')],
    ['two paddings', `${BASE64}=`],
    ['hex with colons', HEX.replace(/../g, '$&:').slice(0, -1)],
    ['base64url', '-_'.repeat(21).concat('-=')],
    ['blanks around', ` ${BASE64}`],
    ['a line end', `${BASE64}\n`],
    ['another hash', `sha1//${BASE64}`],
    ['another spelling', `SHA256//${BASE64}`],
    ['the prefix twice', `sha256//sha256//${BASE64}`],
  ])('refuses %s', (_what, text) => {
    const message = 'must be the SHA-256 of a public key, as 64 hex digits or base64'
    expect(() => parseKeyPin(text)).toThrow(expect.objectContaining({ code: 'ERR_OPTION', message }))
  })
})

describe('keyPin()', () => {
  it('is the SHA-256 of the SubjectPublicKeyInfo as it stands in the certificate', async () => {
    const { cert } = await selfSigned('relay.test')
    const certificate = new X509Certificate(cert)
    const spki = certificate.publicKey.export({ type: 'spki', format: 'der' })
    expect(certificate.raw.includes(spki)).toBe(true)
    expect(keyPin(certificate)).toBe(createHash('sha256').update(spki).digest('base64'))
    expect(parseKeyPin(keyPin(certificate))).toBe(keyPin(certificate))
  })

  it('differs between keys', async () => {
    const [one, two] = [await selfSigned('relay.test'), await selfSigned('relay.test')]
    expect(keyPin(new X509Certificate(one.cert))).not.toBe(keyPin(new X509Certificate(two.cert)))
  })
})
