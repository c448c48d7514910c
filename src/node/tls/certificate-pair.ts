import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { LinkSocksError } from '../../errors.js'
import { KIB } from '../../protocol/limits.js'
import { errorCode } from '../system/error-code.js'

/** Largest PEM text of a certificate with its chain, or of a key. */
export const MAX_PEM_BYTES = 256 * KIB
/** Certificates of a chain; public ones have two to four. */
const MAX_CHAIN = 16
/** Shortest RSA key: clients refuse shorter ones, and of Node the later versions do. */
const MIN_RSA_BITS = 2_048

const BEGIN_CERTIFICATE = /-----BEGIN CERTIFICATE-----/g
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g
const PRIVATE_KEY = /-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----[^-]*-----END \1-----/
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m

/** A certificate with its chain and its key, checked. */
export interface CertificatePair {
  /** PEM: the server's certificate first. */
  readonly chain: string
  /** PEM, a secret. */
  readonly key: string
  readonly leaf: X509Certificate
  /** Unix milliseconds. */
  readonly notBefore: number
  readonly notAfter: number
}

/**
 * Reads a certificate chain and its private key.
 * @throws {LinkSocksError} ERR_OPTION in words that say what to do; nothing of the key is repeated
 */
export function readCertificatePair(certificates: string, keyText: string): CertificatePair {
  const found = readCertificates(certificates)
  const [leaf] = found
  const key = readPrivateKey(keyText)
  if (leaf === undefined || !leaf.checkPrivateKey(key)) {
    const place = found.length > 1 ? 'first certificate' : 'certificate'
    throw invalid(`the key does not belong to the ${place}: that of the key has to come first, its chain after it`)
  }
  const { modulusLength = MIN_RSA_BITS } = leaf.publicKey.asymmetricKeyDetails ?? {}
  if (modulusLength < MIN_RSA_BITS) throw unusable(TOO_SHORT)
  const chain = found.map((one) => one.toString()).join('')
  const pair = { chain, key: key.export({ type: 'pkcs8', format: 'pem' }).toString(), leaf, ...timesOf(leaf) }
  try {
    createSecureContext({ cert: pair.chain, key: pair.key })
  } catch (thrown) {
    // no cause: it could quote what it read
    throw unusable(contextProblem(thrown))
  }
  return pair
}

/** Unix milliseconds of the time for which a certificate is good. */
export function timesOf(certificate: X509Certificate): { readonly notBefore: number; readonly notAfter: number } {
  return { notBefore: Date.parse(certificate.validFrom), notAfter: Date.parse(certificate.validTo) }
}

/** @throws {LinkSocksError} ERR_OPTION */
export function readCertificates(pem: string): readonly X509Certificate[] {
  const texts = pem.match(CERTIFICATE) ?? []
  const begun = pem.match(BEGIN_CERTIFICATE)?.length ?? 0
  if (begun > texts.length) throw invalid('a certificate in it has no end: the file is not whole')
  if (begun === 0) throw invalid('it holds no PEM certificate')
  if (texts.length > MAX_CHAIN)
    throw invalid(`it holds ${texts.length} certificates, and ${MAX_CHAIN} at most are read`)
  return texts.map((text, index) => {
    try {
      return new X509Certificate(text)
    } catch {
      throw invalid(`certificate ${index + 1} can't be read: it is damaged`)
    }
  })
}

/** @throws {LinkSocksError} ERR_OPTION; nothing of the key is repeated */
export function readPrivateKey(pem: string): KeyObject {
  if (ENCRYPTED.test(pem)) {
    throw invalid(
      'the key is encrypted: write it without a passphrase (openssl pkey -in KEY -out NEW), readable by its owner alone',
    )
  }
  const [text] = PRIVATE_KEY.exec(pem) ?? []
  if (text === undefined) {
    const half = /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)
    throw invalid(half ? 'the key has no end: the file is not whole' : 'the key is no PEM private key')
  }
  try {
    return createPrivateKey(text)
  } catch {
    throw invalid("the key can't be read: it is damaged")
  }
}

/** Names that a certificate is for, for messages and logs. */
export function shownNames({ leaf }: CertificatePair): string {
  const names = leaf.subjectAltName?.split(', ').map((name) => name.replace(/^(DNS|IP Address):/, '')) ?? []
  return names.slice(0, 4).join(', ') + (names.length > 4 ? ', ...' : '')
}

const TOO_SHORT = 'its key is too short, take RSA with 2048 bits or more, or P-256'

function contextProblem(thrown: unknown): string {
  const code = errorCode(thrown)
  if (code === 'ERR_SSL_EE_KEY_TOO_SMALL') return TOO_SHORT
  if (code === 'ERR_SSL_CA_MD_TOO_WEAK') return 'it is signed with a broken hash'
  return code === '' ? 'unknown reason' : code
}

function unusable(problem: string): LinkSocksError {
  return invalid(`TLS does not take the certificate: ${problem}`)
}

function invalid(message: string): LinkSocksError {
  return new LinkSocksError('ERR_OPTION', message)
}
