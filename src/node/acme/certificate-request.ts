import { generateKeyPair, type webcrypto as NodeWebCrypto, webcrypto } from 'node:crypto'
import { promisify } from 'node:util'
import type * as X509Package from '@peculiar/x509'
import { LinkSocksError } from '../../errors.js'
import type { CertificatePair } from '../tls/certificate-pair.js'
import { readCertificatePair } from '../tls/certificate-pair.js'

type X509 = typeof X509Package

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
/** acmeIdentifier (RFC 8737 section 3). */
const ACME_IDENTIFIER = '1.3.6.1.5.5.7.1.31'
const OCTET_STRING = 0x04
const DAY_MS = 24 * 3_600_000

/** The packages that write certificates are loaded with the first use. @throws {LinkSocksError} ERR_OPTION: they are not installed */
export async function loadX509(): Promise<X509> {
  try {
    await import('reflect-metadata')
    const x509 = await import('@peculiar/x509')
    x509.cryptoProvider.set(webcrypto as Parameters<X509['cryptoProvider']['set']>[1])
    return x509
  } catch (cause) {
    const advice = 'npm install @peculiar/x509 reflect-metadata'
    throw new LinkSocksError('ERR_OPTION', `certificates of one's own need two optional packages: ${advice}`, { cause })
  }
}

export interface CertificateRequest {
  /** PKCS #10, DER (RFC 2986). */
  readonly csr: Uint8Array
  /** PEM of the new key, a secret. */
  readonly key: string
}

/** A new key, and what asks an authority to certify it for `domain`. */
export async function requestCertificate(domain: string): Promise<CertificateRequest> {
  const x509 = await loadX509()
  const keys = await newKeys()
  const extensions = [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: domain }])]
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: ALGORITHM, extensions })
  return { csr: new Uint8Array(request.rawData), key: await pemOf(keys.privateKey) }
}

/**
 * What answers the validation of `domain` at a TLS port (RFC 8737 section 3).
 * @param digest SHA-256 of the key authorization
 */
export async function challengeCertificate(domain: string, digest: Uint8Array): Promise<CertificatePair> {
  const x509 = await loadX509()
  const keys = await newKeys()
  const now = Date.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ serialNumber: '01', name: 'CN=ACME challenge', keys, signingAlgorithm: ALGORITHM },
    ...{ notBefore: new Date(now - DAY_MS), notAfter: new Date(now + DAY_MS) },
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: domain }]),
      new x509.Extension(ACME_IDENTIFIER, true, Uint8Array.of(OCTET_STRING, digest.byteLength, ...digest)),
    ],
  })
  return readCertificatePair(certificate.toString('pem'), await pemOf(keys.privateKey))
}

/** PEM of a new key for an account (PKCS #8). */
export async function newAccountKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

async function newKeys(): Promise<NodeWebCrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as NodeWebCrypto.CryptoKeyPair
}

async function pemOf(key: NodeWebCrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${bytes.replace(/.{64}/g, '$&\n').trimEnd()}\n-----END PRIVATE KEY-----\n`
}
