// decorators of the package need it first
import 'reflect-metadata'
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

type CryptoKey = webcrypto.CryptoKey
type CryptoKeyPair = webcrypto.CryptoKeyPair

x509.cryptoProvider.set(webcrypto)

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: Uint8Array.of(1, 0, 1) }
const USAGES = ['sign', 'verify'] as const
const DAY_MS = 24 * 3_600_000

/** What a key is: 2048 and 1024 are bits of RSA. */
export type KeyKind = 'ec' | 2048 | 1024
/** As text (`CN=ann,O=Example`), or each part with what no text can hold; several attributes in one object are one part. */
export type Subject = string | Record<string, string[]>[]

/** PEM. */
export interface Issued {
  /** The certificate alone. */
  readonly cert: string
  /** With those of the authorities between it and the root. */
  readonly chain: string
  /** PKCS #8. */
  readonly key: string
}

export interface IssueOptions {
  readonly subject?: Subject
  /** Host names; `IP:` before an address. */
  readonly names?: readonly string[]
  readonly key?: KeyKind
  readonly notBefore?: Date
  readonly notAfter?: Date
  /** For TLS-ALPN-01 and the like. */
  readonly extensions?: readonly x509.Extension[]
}

const rsaKeys = new Map<KeyKind, Promise<CryptoKeyPair>>()

/** A new key; those of RSA take long, and there is one of each size. */
function keysOf(kind: KeyKind): Promise<CryptoKeyPair> {
  if (kind === 'ec') return webcrypto.subtle.generateKey(EC, true, USAGES)
  const known = rsaKeys.get(kind)
  if (known !== undefined) return known
  const made = webcrypto.subtle.generateKey({ ...RSA, modulusLength: kind }, true, USAGES)
  rsaKeys.set(kind, made)
  return made
}

async function pemOf(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString()
}

function generalName(name: string): x509.JsonGeneralName {
  return name.startsWith('IP:') ? { type: 'ip', value: name.slice(3) } : { type: 'dns', value: name }
}

/** Signs certificates. Made in memory, with a key of its own. */
export class Authority {
  readonly #keys: CryptoKeyPair
  readonly #certificate: x509.X509Certificate
  /** PEM of those between it and the root, itself included. */
  readonly #between: string

  private constructor(keys: CryptoKeyPair, certificate: x509.X509Certificate, between: string) {
    this.#keys = keys
    this.#certificate = certificate
    this.#between = between
  }

  static async create(name = 'Test Root'): Promise<Authority> {
    const keys = await keysOf('ec')
    const subject = `CN=${name}`
    return new Authority(
      keys,
      await sign({ subject, publicKey: keys.publicKey, ca: true }, subject, keys.privateKey),
      '',
    )
  }

  /** PEM. */
  get pem(): string {
    return `${this.#certificate.toString('pem')}\n`
  }

  /** An authority that this one has signed. */
  async between(name: string): Promise<Authority> {
    const keys = await keysOf('ec')
    const signed = await this.#sign({ subject: `CN=${name}`, publicKey: keys.publicKey, ca: true })
    return new Authority(keys, signed, `${signed.toString('pem')}\n${this.#between}`)
  }

  async issue({ key = 'ec', subject = 'CN=test', ...options }: IssueOptions = {}): Promise<Issued> {
    const keys = await keysOf(key)
    const cert = `${(await this.#sign({ subject, publicKey: keys.publicKey, ca: false, ...options })).toString('pem')}\n`
    return { cert, chain: `${cert}${this.#between}`, key: await pemOf(keys.privateKey) }
  }

  #sign(wanted: Wanted): Promise<x509.X509Certificate> {
    return sign(wanted, this.#certificate.subjectName.toJSON(), this.#keys.privateKey)
  }
}

/** A certificate that signs itself, of which no authority knows. */
export async function selfSigned(name: string): Promise<Pick<Issued, 'cert' | 'key'>> {
  const { publicKey, privateKey } = await keysOf('ec')
  const subject = `CN=${name}`
  const signed = await sign({ subject, publicKey, ca: false, names: [name] }, subject, privateKey)
  return { cert: `${signed.toString('pem')}\n`, key: await pemOf(privateKey) }
}

interface Wanted extends Omit<IssueOptions, 'key'> {
  readonly subject: Subject
  readonly publicKey: CryptoKey
  readonly ca: boolean
}

function sign(wanted: Wanted, issuer: Subject, signingKey: CryptoKey): Promise<x509.X509Certificate> {
  const { subject, publicKey, ca, names = [], extensions = [] } = wanted
  const { notBefore = new Date(Date.now() - DAY_MS), notAfter = new Date(Date.now() + 365 * DAY_MS) } = wanted
  return x509.X509CertificateGenerator.create({
    // positive
    serialNumber: `01${randomBytes(8).toString('hex')}`,
    ...{ subject, issuer, publicKey, signingKey, notBefore, notAfter, signingAlgorithm: EC },
    extensions: [
      new x509.BasicConstraintsExtension(ca, undefined, true),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names.map(generalName))] : []),
      ...extensions,
    ],
  })
}
