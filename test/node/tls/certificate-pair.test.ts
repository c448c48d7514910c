import { createPrivateKey, createPublicKey } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { readCertificatePair, readPrivateKey, shownNames, timesOf } from '../../../src/node/tls/certificate-pair.js'
import { Authority, type Issued } from '../../support/certificates.js'

const NOT_BEFORE = new Date('2026-01-02T03:04:05Z')
const NOT_AFTER = new Date('2040-06-07T08:09:10Z')

let authority: Authority
let one: Issued
let chained: Issued
let rsa: Issued

beforeAll(async () => {
  authority = await Authority.create()
  const between = await authority.between('Test Issuer')
  one = await authority.issue({ names: ['a.test'], notBefore: NOT_BEFORE, notAfter: NOT_AFTER })
  chained = await between.issue({ names: ['b.test'] })
  rsa = await authority.issue({ names: ['c.test'], key: 2048 })
})

const begins = (pem: string): number => pem.split('BEGIN CERTIFICATE').length - 1

/** Why it is refused; nothing of what was given may be in it. */
function refusal(certificates: string, key: string): string {
  try {
    readCertificatePair(certificates, key)
  } catch (thrown) {
    const { message, code, cause } = thrown as Error & { code?: string }
    expect([code, cause]).toEqual(['ERR_OPTION', undefined])
    for (const line of `${certificates}\n${key}`.split('\n')) {
      if (/^[\w+/=]{16,}$/.test(line)) expect(message).not.toContain(line)
    }
    return message
  }
  return 'taken'
}

const exported = (pem: string, type: 'sec1' | 'pkcs1', passphrase?: string): string =>
  createPrivateKey(pem)
    .export({ type, format: 'pem', ...(passphrase && { cipher: 'aes-128-cbc', passphrase }) })
    .toString()

describe('readCertificatePair', () => {
  it('reads a certificate with its key, and when it is good', () => {
    const pair = readCertificatePair(one.cert, one.key)
    expect(pair).toMatchObject({ notBefore: +NOT_BEFORE, notAfter: +NOT_AFTER, key: one.key })
    expect(pair.leaf.checkHost('a.test')).toBe('a.test')
    expect(timesOf(pair.leaf)).toEqual({ notBefore: +NOT_BEFORE, notAfter: +NOT_AFTER })
  })

  it('takes the chain along, in its order', () => {
    const { chain, leaf } = readCertificatePair(chained.chain, chained.key)
    expect(begins(chain)).toBe(2)
    expect(chain.replaceAll('\n', '')).toBe(chained.chain.replaceAll('\n', ''))
    expect(leaf.issuer).toBe('CN=Test Issuer')
  })

  it.each(['before', 'after'])('reads one file with the key %s the certificates', (place) => {
    const file = place === 'before' ? `${chained.key}${chained.chain}` : `${chained.chain}${chained.key}`
    const pair = readCertificatePair(file, file)
    expect(begins(pair.chain)).toBe(2)
    expect(pair.chain).not.toContain('PRIVATE')
  })

  it('takes as many certificates as the limit', () => {
    expect(begins(readCertificatePair(one.cert.repeat(16), one.key).chain)).toBe(16)
  })

  it('passes over other text, and ends of lines as on Windows', () => {
    const noted = (text: string): string => `# of the shop\r\n${text.replaceAll('\n', '\r\n')}\r\nBag Attributes: none`
    expect(readCertificatePair(noted(one.cert), noted(one.key)).notAfter).toBe(+NOT_AFTER)
  })

  it.each([
    ['EC', (): [string, string] => [one.cert, exported(one.key, 'sec1')]],
    ['RSA', (): [string, string] => [rsa.cert, exported(rsa.key, 'pkcs1')]],
  ])('reads the older form of %s keys', (_name, files) => {
    const [cert, key] = files()
    expect(key).toMatch(/BEGIN (EC|RSA) PRIVATE KEY/)
    expect(readCertificatePair(cert, key).key).toContain('BEGIN PRIVATE KEY')
  })

  it('reads a key after the parameters that openssl writes before it', () => {
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
    expect(readCertificatePair(one.cert, `${parameters}${exported(one.key, 'sec1')}`).leaf.subject).toBe('CN=test')
  })
})

const ENCRYPTED =
  'the key is encrypted: write it without a passphrase (openssl pkey -in KEY -out NEW), readable by its owner alone'
const FOREIGN = 'the key does not belong to the certificate: that of the key has to come first, its chain after it'

/** Cuts the last so many characters off. */
const cut = (pem: string, characters: number): string => pem.slice(0, -characters)
/** Others in the middle of what is encoded. */
const damaged = (pem: string): string => {
  const lines = pem.split('\n')
  lines[2] = 'A'.repeat(lines[2]?.length ?? 0)
  lines[3] = 'A'.repeat(lines[3]?.length ?? 0)
  return lines.join('\n')
}

const REFUSALS: readonly (readonly [what: string, files: () => readonly [string, string], message: string])[] = [
  ['an empty certificate', () => ['', one.key], 'it holds no PEM certificate'],
  ['DER', () => ['0\x82\x01\x0a', one.key], 'it holds no PEM certificate'],
  ['a key in its place', () => [one.key, one.key], 'it holds no PEM certificate'],
  ['half a certificate', () => [cut(one.cert, 40), one.key], 'a certificate in it has no end: the file is not whole'],
  [
    'half a chain',
    () => [cut(chained.chain, 40), chained.key],
    'a certificate in it has no end: the file is not whole',
  ],
  [
    'a certificate that breaks off in another',
    () => [cut(one.cert, 40) + one.cert, one.key],
    'a certificate in it has no end: the file is not whole',
  ],
  ['a damaged certificate', () => [damaged(one.cert), one.key], "certificate 1 can't be read: it is damaged"],
  ['a damaged chain', () => [one.cert + damaged(one.cert), one.key], "certificate 2 can't be read: it is damaged"],
  ['too many certificates', () => [one.cert.repeat(17), one.key], 'it holds 17 certificates, and 16 at most are read'],
  ['an empty key', () => [one.cert, ''], 'the key is no PEM private key'],
  ['a certificate in its place', () => [one.cert, one.cert], 'the key is no PEM private key'],
  [
    'a public key',
    () => [one.cert, createPublicKey(one.key).export({ type: 'spki', format: 'pem' }).toString()],
    'the key is no PEM private key',
  ],
  ['half a key', () => [one.cert, cut(one.key, 40)], 'the key has no end: the file is not whole'],
  [
    'half a key of the older form',
    () => [one.cert, cut(exported(one.key, 'sec1'), 40)],
    'the key has no end: the file is not whole',
  ],
  ['a damaged key', () => [one.cert, damaged(one.key)], "the key can't be read: it is damaged"],
  ['an encrypted key of the older form', () => [one.cert, exported(one.key, 'sec1', 'secret')], ENCRYPTED],
  ['the key of another certificate', () => [one.cert, chained.key], FOREIGN],
  ['a key of another kind', () => [one.cert, rsa.key], FOREIGN],
  [
    'a chain in the wrong order',
    () => [
      chained.chain
        .split(/(?<=-----END CERTIFICATE-----\n)/)
        .reverse()
        .join(''),
      chained.key,
    ],
    FOREIGN.replace('the certificate', 'the first certificate'),
  ],
]

describe('readCertificatePair refuses', () => {
  it.each(REFUSALS)('%s', (_what, files, message) => {
    expect(refusal(...files())).toBe(message)
  })

  it('an encrypted key', () => {
    const encrypted = createPrivateKey(one.key).export({
      ...{ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
    } as const)
    expect(refusal(one.cert, encrypted.toString())).toBe(ENCRYPTED)
    expect(refusal(one.cert, cut(encrypted.toString(), 40))).toBe(ENCRYPTED)
  })

  it('a key that is too short', async () => {
    const short = await authority.issue({ key: 1024 })
    expect(refusal(short.cert, short.key)).toBe(
      'TLS does not take the certificate: its key is too short, take RSA with 2048 bits or more, or P-256',
    )
  })
})

describe('readPrivateKey', () => {
  it('gives the key', () => {
    expect(readPrivateKey(one.key).asymmetricKeyType).toBe('ec')
  })
})

describe('shownNames', () => {
  it.each([
    [['a.test'], 'a.test'],
    [['a.test', '*.b.test', 'IP:192.0.2.1', 'd.test'], 'a.test, *.b.test, 192.0.2.1, d.test'],
    [['a.test', 'b.test', 'c.test', 'd.test', 'e.test'], 'a.test, b.test, c.test, d.test, ...'],
    [[], ''],
  ])('shows four of %j', async (names, shown) => {
    const { cert, key } = await authority.issue({ names })
    expect(shownNames(readCertificatePair(cert, key))).toBe(shown)
  })
})
