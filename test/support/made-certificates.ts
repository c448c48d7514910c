import { type webcrypto as NodeWebCrypto, webcrypto } from 'node:crypto'
import { loadX509 } from '../../src/node/acme/certificate-request.js'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const YEAR_MS = 365 * 24 * 3_600_000

export interface MadeCertificate {
  /** PEM. */
  readonly cert: string
  readonly key: string
}

/** A certificate that signs itself, good for a year before and after now. */
export async function madeCertificate(name: string): Promise<MadeCertificate> {
  const x509 = await loadX509()
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as NodeWebCrypto.CryptoKeyPair
  const now = Date.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ serialNumber: '01', name: `CN=${name}`, keys, signingAlgorithm: ALGORITHM },
    ...{ notBefore: new Date(now - YEAR_MS), notAfter: new Date(now + YEAR_MS) },
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  })
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()
  return {
    cert: `${certificate.toString('pem')}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  }
}
