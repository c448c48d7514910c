import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { checkClientOptions, checkServerOptions, MAX_API_KEYS } from '../../src/node/check-options.js'
import type { TlsOptions } from '../../src/node/connect/server-socket.js'
import type { ApiKey, ClientOptions, ServerOptions } from '../../src/node/options.js'

const key = (name: string, more: Partial<ApiKey> = {}): ApiKey => ({
  name,
  role: 'full',
  key: `key of ${name}`,
  ...more,
})
const many = (count: number): readonly ApiKey[] => Array.from({ length: count }, (_, index) => key(`k${index}`))
const domains = (count: number): string[] => Array.from({ length: count }, (_, index) => `a${index}.test`)
const HEX = 'ab'.repeat(32)

const GOOD: readonly ServerOptions[] = [
  { apiKeys: [] },
  { apiKeys: many(MAX_API_KEYS) },
  { apiKeys: [key('a'.repeat(64)), key('A.b_c-9'), key('default')] },
  { apiKey: 'k', apiKeys: [key('a', { key: 'x'.repeat(1_024), role: 'read-only' })] },
  { dataDir: 'd', dataKey: HEX.toUpperCase() },
  { dataDir: 'd', dataKey: Buffer.alloc(32).toString('base64') },
  { dataDir: 'd', dataKey: Buffer.alloc(32).toString('base64').replace('=', '') },
  { entryRules: [], dialRules: [{}, { addresses: ['10.0.0.0/8'], ports: [[1, 9]] }] },
  { proxyProtocols: ['http'], pacHosts: ['proxy.example.com'] },
  { metricsKey: 'm', metricsListen: { host: '::1', port: 0 } },
  {
    dataDir: 'd',
    acme: { domains: ['relay.example.com', `${'a'.repeat(63)}.test`], email: 'a@b.test', httpListen: false },
  },
  {
    dataDir: 'd',
    acme: { domains: domains(32), directory: 'https://ca.test/dir', httpListen: { host: '::', port: 0 } },
  },
]

const BAD: readonly (readonly [ServerOptions, RegExp])[] = [
  [{ apiKeys: many(MAX_API_KEYS + 1) }, /^apiKeys: at most 64 keys$/],
  [{ apiKeys: [key('')] }, /^apiKeys: the name of key 1 must be/],
  [{ apiKeys: [key('a'.repeat(65))] }, /^apiKeys: the name of key 1 must be/],
  [{ apiKeys: [key('a', { key: '' })] }, /^apiKeys: the key of 'a' must not be empty$/],
  [{ apiKeys: [key('a', { key: 'x'.repeat(1_025) })] }, /^apiKeys: the key of 'a' must be 1 to 1024 ASCII/],
  [{ apiKeys: [key('a', { key: 'schlüssel' })] }, /^apiKeys: the key of 'a' must be 1 to 1024 ASCII/],
  [{ apiKeys: [key('a'), key('a', { key: 'other' })] }, /^apiKeys: two keys have the name 'a'$/],
  [{ apiKeys: [key('a'), key('b', { key: 'key of a' })] }, /^apiKeys: 'a' and 'b' have the same key/],
  [{ apiKey: 'k', apiKeys: [key('a', { key: 'k' })] }, /^apiKeys: 'default' and 'a' have the same key/],
  [{ apiKey: 'k', apiKeys: [key('default')] }, /^apiKeys: two keys have the name 'default'$/],
  [{ dataDir: '' }, /^dataDir must not be empty$/],
  [{ dataKey: HEX }, /^dataKey needs dataDir$/],
  [{ dataDir: 'd', dataKey: HEX.slice(2) }, /^dataKey must be 32 bytes/],
  [{ dataDir: 'd', dataKey: Buffer.alloc(31).toString('base64') }, /^dataKey must be 32 bytes/],
  [{ dataDir: 'd', dataKey: `${Buffer.alloc(32).toString('base64')}=` }, /^dataKey must be 32 bytes/],
  [{ entryRules: [{ ports: [0] }] }, /^entryRules: access rule 1: a port must be from 1 to 65535/],
  [{ dialRules: [{}, { addresses: ['a'] }] }, /^dialRules: access rule 2: invalid address "a"$/],
  [{ proxyProtocols: [] }, /^proxyProtocols must be some of socks5, socks4, http, each once$/],
  [{ proxyProtocols: ['http', 'http'] }, /^proxyProtocols must be/],
  [{ pacHosts: ['a', 'a:80'] }, /^pacHosts\[1\] must be a host name without a port$/],
  [{ pacHosts: Array.from({ length: 65 }, () => 'a') }, /^pacHosts: at most 64$/],
  [{ metricsKey: '' }, /^metricsKey must be 1 to 1024 ASCII/],
  [{ metricsListen: { host: '', port: 1 } }, /^metricsListen.host must not be empty$/],
  [{ metricsListen: { host: 'a', port: 65_536 } }, /^metricsListen.port must be an integer from 0 to 65535$/],
  [{ acme: { domains: ['a.test'] } }, /^acme needs dataDir, where account and certificates are kept$/],
  [{ dataDir: 'd', acme: { domains: [] } }, /^acme.domains must be 1 to 32$/],
  [{ dataDir: 'd', acme: { domains: domains(33) } }, /^acme.domains must be 1 to 32$/],
  [{ dataDir: 'd', acme: { domains: ['a.test', 'a.test'] } }, /^acme.domains: each name once$/],
  [{ dataDir: 'd', acme: { domains: ['a.test', 'A.test'] } }, /^acme.domains\[1\] must be a host name in lower case/],
  [
    { dataDir: 'd', acme: { domains: ['*.a.test'] } },
    /^acme.domains\[0\] must be a host name in lower case, without a w/,
  ],
  [{ dataDir: 'd', acme: { domains: ['constructor'] } }, /^acme.domains\[0\] must be a host name/],
  [{ dataDir: 'd', acme: { domains: ['127.0.0.1'] } }, /^acme.domains\[0\] must be a host name/],
  [{ dataDir: 'd', acme: { domains: ['a.test'], email: 'a@b?cc=c' } }, /^acme.email must be a mail address$/],
  [
    { dataDir: 'd', acme: { domains: ['a.test'], directory: 'http://ca' } },
    /^acme.directory must be an https:\/\/ URL$/,
  ],
  [
    { dataDir: 'd', acme: { domains: ['a.test'], directory: 'https://ann:secret@ca' } },
    /^acme.directory must be an https:\/\/ URL$/,
  ],
  [{ dataDir: 'd', acme: { domains: ['a.test'], directory: 'ca' } }, /^acme.directory must be an https:\/\/ URL$/],
  [
    { dataDir: 'd', acme: { domains: ['a.test'], httpListen: { host: '::', port: 65_536 } } },
    /^acme.httpListen.port must be an integer from 0 to 65535$/,
  ],
]

describe('checkServerOptions', () => {
  it.each(GOOD)('takes %j', (options) => {
    expect(() => checkServerOptions(options)).not.toThrow()
  })

  it.each(BAD)('refuses %j', (options, message) => {
    expect(() => checkServerOptions(options)).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }))
    expect(() => checkServerOptions(options)).toThrow(message)
  })

  it('refuses a role that it does not know, which the types cannot always stop', () => {
    const apiKeys: readonly ApiKey[] = JSON.parse('[{"name":"a","role":"admin","key":"k"}]')
    expect(() => checkServerOptions({ apiKeys })).toThrow("apiKeys: the role of 'a' must be full or read-only")
  })
})

describe('checkClientOptions', () => {
  it.each<ClientOptions>([
    { socks: {}, entryRules: [{ addresses: ['::1'] }] },
    { reverse: true, dialRules: [{ ports: [80] }] },
  ])('takes %j', (options) => {
    expect(() => checkClientOptions(options)).not.toThrow()
  })

  it.each<readonly [ClientOptions, RegExp]>([
    [{ socks: {}, entryRules: [{ addresses: ['::1/200'] }] }, /^entryRules: access rule 1: invalid CIDR "::1\/200"$/],
    [{ entryRules: [{}] }, /^entryRules are for the proxy port: give socks as well$/],
    [{ reverse: true, entryRules: [{}] }, /^entryRules are for the proxy port: give socks as well$/],
    [{ dialRules: [{}] }, /^dialRules are for providers \(reverse: true\): this end dials nothing$/],
    [{ reverse: true, dialRules: [{ addresses: [''] }] }, /^dialRules: access rule 1: empty address spec$/],
  ])('refuses %j, for limits that would not hold', (options, message) => {
    expect(() => checkClientOptions(options)).toThrow(message)
  })
})

describe('checkClientOptions and tls', () => {
  const tlsFile = (name: string): string => readFileSync(new URL(`../support/tls/${name}`, import.meta.url), 'utf8')
  const cert = tlsFile('server.pem')
  const key = tlsFile('server.key')
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const other = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const encrypted = privateKey
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' })
    .toString()
  const pins = (count: number): string[] => Array.from({ length: count }, () => HEX)

  it.each<[string, TlsOptions]>([
    ['a certificate with its key', { cert, key }],
    ['both in one text', { cert: key + cert, key: key + cert }],
    ['a chain', { cert: cert + tlsFile('ca.pem'), key }],
    ['no pin', { pinSha256: undefined }],
    ['the most pins', { pinSha256: pins(16) }],
  ])('takes %s', (_what, tls) => {
    expect(() => checkClientOptions({ tls })).not.toThrow()
  })

  it.each<[string, TlsOptions, RegExp]>([
    ['a certificate alone', { cert }, /^tls\.cert needs tls\.key$/],
    ['a key alone', { key }, /^tls\.key needs tls\.cert$/],
    ['an empty key', { cert, key: '' }, /^tls\.cert and tls\.key: the key is no PEM private key$/],
    [
      'a key of another certificate',
      { cert, key: other },
      /^tls\.cert and tls\.key: the key does not belong to the cert/,
    ],
    [
      'the certificate of the authority first',
      { cert: tlsFile('ca.pem') + cert, key },
      /does not belong to the first cert/,
    ],
    ['an encrypted key', { cert, key: encrypted }, /^tls\.cert and tls\.key: the key is encrypted: write it without/],
    ['a damaged key', { cert, key: key.replace('MIGH', 'AAAA') }, /^tls\.cert and tls\.key: the key can't be read/],
    ['too many pins', { pinSha256: pins(17) }, /^tls\.pinSha256: 1 to 16 keys$/],
    ['a list without a pin', { pinSha256: [] }, /^tls\.pinSha256: 1 to 16 keys$/],
    ['a pin that is none', { pinSha256: [HEX, 'x'] }, /^tls\.pinSha256\[1\] must be the SHA-256 of a public key/],
  ])('refuses %s, and says nothing of the key', (_what, tls, message) => {
    const check = (): void => checkClientOptions({ tls })
    expect(check).toThrow(expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringMatching(message) }))
    for (const line of [key, other, encrypted]
      .join('\n')
      .split('\n')
      .filter((one) => /^[\w+/]{20}/.test(one))) {
      expect(check).not.toThrow(line)
    }
  })
})
