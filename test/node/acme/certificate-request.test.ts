import { createHash, createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import type { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from '@peculiar/x509'
import { describe, expect, it } from 'vitest'
import {
  challengeCertificate,
  loadX509,
  newAccountKey,
  requestCertificate,
} from '../../../src/node/acme/certificate-request.js'

const NAME = 'relay.example.com'
const SUBJECT_ALT_NAME = '2.5.29.17'

function namesOf(request: Pkcs10CertificateRequest): unknown {
  return (request.getExtension(SUBJECT_ALT_NAME) as SubjectAlternativeNameExtension | null)?.names.toJSON()
}

describe('requestCertificate()', () => {
  it('asks for the one name, signed by the key that comes along', async () => {
    const { csr, key } = await requestCertificate(NAME)
    const x509 = await loadX509()
    const request = new x509.Pkcs10CertificateRequest(new Uint8Array(csr))
    expect(await request.verify()).toBe(true)
    const names = namesOf(request)
    expect(names).toEqual([{ type: 'dns', value: NAME }])
    expect(request.extensions).toHaveLength(1)
    const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
    expect(Buffer.from(request.publicKey.rawData).equals(publicKey)).toBe(true)
    expect(createPrivateKey(key).asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
  })

  it('makes another key each time', async () => {
    const [one, two] = [await requestCertificate(NAME), await requestCertificate(NAME)]
    expect(one.key).not.toBe(two.key)
  })

  it.each(['a.test', `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(57)}.test`])(
    'takes %s',
    async (name) => {
      const x509 = await loadX509()
      const request = new x509.Pkcs10CertificateRequest(new Uint8Array((await requestCertificate(name)).csr))
      expect(namesOf(request)).toEqual([{ type: 'dns', value: name }])
    },
  )
})

describe('challengeCertificate()', () => {
  it('has the name and, critical, the digest as an OCTET STRING (RFC 8737 section 3)', async () => {
    const digest = createHash('sha256').update('a-token.thumbprint').digest()
    const { chain, key, leaf } = await challengeCertificate(NAME, digest)
    const x509 = await loadX509()
    const certificate = new x509.X509Certificate(chain)
    const identifier = certificate.getExtension('1.3.6.1.5.5.7.1.31')
    expect(identifier?.critical).toBe(true)
    expect(Buffer.from(identifier?.value ?? new ArrayBuffer()).toString('hex')).toBe(`0420${digest.toString('hex')}`)
    expect(leaf.subjectAltName).toBe(`DNS:${NAME}`)
    expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true)
    expect(leaf.verify(leaf.publicKey)).toBe(true)
    expect(new X509Certificate(chain).issuer).toBe(leaf.subject)
  })

  it('is good now', async () => {
    const { notBefore, notAfter } = await challengeCertificate(NAME, new Uint8Array(32))
    expect(notBefore).toBeLessThan(Date.now())
    expect(notAfter).toBeGreaterThan(Date.now())
  })
})

describe('newAccountKey()', () => {
  it('is P-256 in PKCS #8, another one each time', async () => {
    const [one, two] = [await newAccountKey(), await newAccountKey()]
    expect(one).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
    expect(createPrivateKey(one).asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
    expect(one).not.toBe(two)
  })
})
