import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { TlsOptions } from '../../../src/node/connect/server-socket.js'
import { run, temporaryFile } from '../harness.js'

type Env = Record<string, string>

const read = (name: string): string => readFileSync(new URL(`../../support/tls/${name}`, import.meta.url), 'utf8')
const CERT = read('server.pem')
const KEY = read('server.key')
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const OTHER_KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const SEALED = { cipher: 'aes-256-cbc', passphrase: 'hidden' } as const
const ENCRYPTED = privateKey.export({ type: 'pkcs8', format: 'pem', ...SEALED }).toString()
const OLD_ENCRYPTED = privateKey.export({ type: 'sec1', format: 'pem', ...SEALED }).toString()
const HALF_KEY = KEY.slice(0, 120)
const BROKEN_KEY = KEY.replace(/\n[^-\n]{20}/, '\nAAAAAAAAAAAAAAAAAAAA')

const cert = temporaryFile(CERT)
const key = temporaryFile(KEY)
const PIN = Buffer.alloc(32, 0xab).toString('base64')
const HEX = 'ab'.repeat(32)

async function tlsOf(argv: readonly string[], env: Env = {}): Promise<TlsOptions | undefined> {
  const { code, fake, io } = await run(argv, env)
  expect(io.err).not.toContain('linksocks:')
  expect(code).toBe(0)
  return fake.client?.tls
}

describe.each(['client', 'provider', 'connector'])('certificates and pins of linksocks %s', (command) => {
  it.each<[string, readonly string[], Env, Partial<TlsOptions>]>([
    ['two files', ['--client-cert', cert, '--client-key', key], {}, { cert: CERT, key: KEY }],
    ['variables', [], { LINKSOCKS_CLIENT_CERT: cert, LINKSOCKS_CLIENT_KEY: key }, { cert: CERT, key: KEY }],
    ['a flag and a variable', ['--client-cert', cert], { LINKSOCKS_CLIENT_KEY: key }, { cert: CERT, key: KEY }],
    ['a pin in base64', ['--pin-sha256', PIN], {}, { pinSha256: [PIN] }],
    ['a pin in hex', ['--pin-sha256', HEX], {}, { pinSha256: [HEX] }],
    ['a pin as curl writes it', ['--pin-sha256', `sha256//${PIN}`], {}, { pinSha256: [`sha256//${PIN}`] }],
    ['several pins', ['--pin-sha256', PIN, '--pin-sha256', HEX], {}, { pinSha256: [PIN, HEX] }],
    ['pins of a variable', [], { LINKSOCKS_PIN_SHA256: `${PIN} ${HEX},${PIN}` }, { pinSha256: [PIN, HEX, PIN] }],
    ['a flag before a variable', ['--pin-sha256', HEX], { LINKSOCKS_PIN_SHA256: 'x' }, { pinSha256: [HEX] }],
  ])('are read from %s', async (_what, argv, env, expected) => {
    expect(await tlsOf([command, '-t', 'tok', ...argv], env)).toMatchObject(expected)
  })

  it('may be in one file', async () => {
    const both = temporaryFile(CERT + KEY)
    const argv = [command, '-t', 'tok', '--client-cert', both, '--client-key', both]
    expect(await tlsOf(argv)).toMatchObject({ cert: CERT + KEY, key: CERT + KEY })
  })

  it('are none unless given', async () => {
    expect(Object.keys((await tlsOf([command, '-t', 'tok'])) ?? {}).sort()).toEqual(['ca', 'insecure', 'serverName'])
  })
})

const own = (certText: string, keyText: string): string[] => [
  ...['--client-cert', temporaryFile(certText), '--client-key', temporaryFile(keyText)],
]
const BOTH = '--client-cert and --client-key: '

const REFUSALS: readonly (readonly [what: string, argv: readonly string[], env: Env, line: string])[] = [
  ['a certificate alone', ['--client-cert', cert], {}, '--client-cert needs --client-key'],
  ['a key alone', ['--client-key', key], {}, '--client-key needs --client-cert'],
  ['a variable alone', [], { LINKSOCKS_CLIENT_KEY: key }, 'LINKSOCKS_CLIENT_KEY needs --client-cert'],
  ['no file', ['--client-cert', '/no/cert', '--client-key', key], {}, '--client-cert: cannot read the file (ENOENT)'],
  [
    'no key file',
    [],
    { LINKSOCKS_CLIENT_CERT: cert, LINKSOCKS_CLIENT_KEY: '/no' },
    'LINKSOCKS_CLIENT_KEY: cannot read the file (ENOENT)',
  ],
  ['an empty path', ['--client-cert', '', '--client-key', key], {}, '--client-cert: must not be empty'],
  ['a key for a certificate', own(KEY, KEY), {}, `${BOTH}it holds no PEM certificate`],
  ['a certificate for a key', own(CERT, CERT), {}, `${BOTH}the key is no PEM private key`],
  [
    'a key of another certificate',
    own(CERT, OTHER_KEY),
    {},
    `${BOTH}the key does not belong to the certificate: that of the key has to come first, its chain after it`,
  ],
  [
    'an encrypted key',
    own(CERT, ENCRYPTED),
    {},
    `${BOTH}the key is encrypted: write it without a passphrase (openssl pkey -in KEY -out NEW), readable by its owner alone`,
  ],
  [
    'an encrypted key of old',
    own(CERT, OLD_ENCRYPTED),
    {},
    `${BOTH}the key is encrypted: write it without a passphrase (openssl pkey -in KEY -out NEW), readable by its owner alone`,
  ],
  ['half a key', own(CERT, HALF_KEY), {}, `${BOTH}the key has no end: the file is not whole`],
  ['a damaged key', own(CERT, BROKEN_KEY), {}, `${BOTH}the key can't be read: it is damaged`],
  [
    'half a certificate',
    own(CERT.slice(0, 200), KEY),
    {},
    `${BOTH}a certificate in it has no end: the file is not whole`,
  ],
  [
    'too many pins',
    Array.from({ length: 17 }, () => ['--pin-sha256', PIN]).flat(),
    {},
    '--pin-sha256: at most 16 keys',
  ],
  [
    'too many pins of a variable',
    [],
    { LINKSOCKS_PIN_SHA256: `${HEX} `.repeat(17).trim() },
    'LINKSOCKS_PIN_SHA256: at most 16 keys',
  ],
  ['no pin', ['--pin-sha256', ''], {}, '--pin-sha256: must be the SHA-256 of a public key, as 64 hex digits or base64'],
  [
    'a short pin',
    ['--pin-sha256', PIN.slice(2)],
    {},
    '--pin-sha256: must be the SHA-256 of a public key, as 64 hex digits or base64',
  ],
  [
    'a wrong one of two',
    ['--pin-sha256', PIN, '--pin-sha256', 'x'],
    {},
    '--pin-sha256: must be the SHA-256 of a public key, as 64 hex digits or base64',
  ],
  [
    'a wrong pin of a variable',
    [],
    { LINKSOCKS_PIN_SHA256: `${PIN} x` },
    'LINKSOCKS_PIN_SHA256: must be the SHA-256 of a public key, as 64 hex digits or base64',
  ],
]

describe('certificates and pins of a client', () => {
  it.each(REFUSALS)('that are %s are a usage error, which says nothing of the key', async (_what, argv, env, line) => {
    const { code, io, fake } = await run(['client', '-t', 'tok', ...argv], env)
    expect(io.lines).toEqual([`linksocks: ${line}`])
    expect([code, fake.calls]).toEqual([2, []])
    for (const text of [KEY, OTHER_KEY, ENCRYPTED, OLD_ENCRYPTED]) {
      for (const secret of text.split('\n').filter((one) => one.length >= 20 && !one.startsWith('-'))) {
        expect(io.err).not.toContain(secret)
      }
    }
  })
})
