import { describe, expect, it } from 'vitest'
import { checkClientOptions, checkServerOptions, MAX_API_KEYS } from '../../src/node/check-options.js'
import type { ApiKey, ClientOptions, ServerOptions } from '../../src/node/options.js'

const key = (name: string, more: Partial<ApiKey> = {}): ApiKey => ({
  name,
  role: 'full',
  key: `key of ${name}`,
  ...more,
})
const many = (count: number): readonly ApiKey[] => Array.from({ length: count }, (_, index) => key(`k${index}`))
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
