import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  parseApiKey,
  parseBoolean,
  parseChoice,
  parseCidr,
  parseClientToken,
  parseCredential,
  parseDuration,
  parseHeader,
  parseHost,
  parseInteger,
  parsePacHost,
  parsePort,
  parsePortRange,
  parseProxy,
  parseProxyProtocols,
  parseSize,
  parseText,
  parseToken,
  parseUrl,
  sizeText,
} from '../../../src/cli/settings/values.js'
import { LinkSocksError } from '../../../src/errors.js'
import { codePoint } from '../../support/code-point.js'

const fromZero = (text: string): number => parseDuration(text, 0)
const fromOneSecond = (text: string): number => parseDuration(text, 1_000)
const threads = (text: string): number => parseInteger(text, 1, 64)
const size = (text: string): number => parseSize(text, 1, Number.MAX_SAFE_INTEGER)
const rate = (text: string): number => parseSize(text, 1, 1_000_000_000_000)
const format = (text: string): string => parseChoice(text, ['text', 'json'])

const accepted: readonly (readonly [string, (text: string) => unknown, string, unknown])[] = [
  ['parsePort', parsePort, '0', 0],
  ['parsePort', parsePort, '65535', 65_535],
  ['parsePort', parsePort, '0080', 80],
  ['parseInteger', threads, '1', 1],
  ['parseInteger', threads, '64', 64],
  ['parsePortRange', parsePortRange, '10000-19999', [10_000, 19_999]],
  ['parsePortRange', parsePortRange, '1-65535', [1, 65_535]],
  ['parsePortRange', parsePortRange, '8080-8080', [8_080, 8_080]],
  ['parseDuration', fromZero, '0', 0],
  ['parseDuration', fromZero, '0s', 0],
  ['parseDuration', fromZero, '500ms', 500],
  ['parseDuration', fromZero, '5s', 5_000],
  ['parseDuration', fromZero, '1.5m', 90_000],
  ['parseDuration', fromZero, '30m', 1_800_000],
  ['parseDuration', fromZero, '1h30m', 5_400_000],
  ['parseDuration', fromZero, '24h', 86_400_000],
  ['parseDuration', fromOneSecond, '1s', 1_000],
  ['parseSize', size, '1', 1],
  ['parseSize', size, '0001', 1],
  ['parseSize', size, '65536', 65_536],
  ['parseSize', size, '10K', 10_000],
  ['parseSize', size, '10k', 10_000],
  ['parseSize', size, '1.5M', 1_500_000],
  ['parseSize', size, '0.001K', 1],
  ['parseSize', size, '1.001K', 1_001],
  ['parseSize', size, '50G', 50_000_000_000],
  ['parseSize', size, '64KiB', 65_536],
  ['parseSize', size, '1.5kib', 1_536],
  ['parseSize', size, '2MiB', 2_097_152],
  ['parseSize', size, '64Ki', 65_536],
  ['parseSize', size, '24MB', 24_000_000],
  ['parseSize', size, '1GiB', 1_073_741_824],
  ['parseSize', size, '1TiB', 1_099_511_627_776],
  ['parseSize', size, '9007.199T', 9_007_199_000_000_000],
  ['parseSize', size, '8999999999.9M', 8_999_999_999_900_000],
  ['parseSize', size, '9007199254740991', Number.MAX_SAFE_INTEGER],
  ['parseSize', rate, '1T', 1_000_000_000_000],
  ['parseCidr', parseCidr, '10.0.0.0/8', '10.0.0.0/8'],
  ['parseCidr', parseCidr, '192.0.2.7', '192.0.2.7/32'],
  ['parseCidr', parseCidr, 'fd00::/8', 'fd00::/8'],
  ['parseCidr', parseCidr, '::1', '::1/128'],
  ['parseCidr', parseCidr, '0.0.0.0/0', '0.0.0.0/0'],
  ['parseBoolean', parseBoolean, '1', true],
  ['parseBoolean', parseBoolean, 'TRUE', true],
  ['parseBoolean', parseBoolean, 'yes', true],
  ['parseBoolean', parseBoolean, 'on', true],
  ['parseBoolean', parseBoolean, '0', false],
  ['parseBoolean', parseBoolean, 'False', false],
  ['parseBoolean', parseBoolean, 'no', false],
  ['parseBoolean', parseBoolean, 'off', false],
  ['parseHost', parseHost, '0.0.0.0', '0.0.0.0'],
  ['parseHost', parseHost, '::', '::'],
  ['parseHost', parseHost, '[::1]', '::1'],
  ['parseHost', parseHost, 'relay.example.com', 'relay.example.com'],
  ['parseUrl', parseUrl, 'relay.example.com', 'relay.example.com'],
  ['parseUrl', parseUrl, 'localhost:8765', 'localhost:8765'],
  ['parseUrl', parseUrl, 'ws://[::1]:8765/socket/x', 'ws://[::1]:8765/socket/x'],
  ['parseUrl', parseUrl, 'HTTPS://relay.example.com', 'HTTPS://relay.example.com'],
  ['parseProxy', parseProxy, 'socks5://ann:secret@127.0.0.1:1080', 'socks5://ann:secret@127.0.0.1:1080'],
  ['parseProxy', parseProxy, 'http://proxy', 'http://proxy'],
  ['parseProxyProtocols', parseProxyProtocols, 'socks5,socks4,http', ['socks5', 'socks4', 'http']],
  ['parseProxyProtocols', parseProxyProtocols, 'HTTP, socks5', ['socks5', 'http']],
  ['parseProxyProtocols', parseProxyProtocols, 'socks4a', ['socks4']],
  ['parsePacHost', parsePacHost, 'proxy.example.com', 'proxy.example.com'],
  ['parseToken', parseToken, 'a', 'a'],
  ['parseToken', parseToken, 'ü'.repeat(127), 'ü'.repeat(127)],
  ['parseToken', parseToken, ' with, blank ', ' with, blank '],
  ['parseClientToken', parseClientToken, 'anonymous', 'anonymous'],
  ['parseCredential', parseCredential, 'x'.repeat(255), 'x'.repeat(255)],
  ['parseApiKey', parseApiKey, 'k', 'k'],
  ['parseApiKey', parseApiKey, 'two words', 'two words'],
  ['parseHeader', parseHeader, 'X-Key: a: b', ['X-Key', 'a: b']],
  ['parseHeader', parseHeader, 'X-Empty:', ['X-Empty', '']],
  ['parseHeader', parseHeader, 'Host: relay.example.com', ['Host', 'relay.example.com']],
  ['parseChoice', format, 'json', 'json'],
  ['parseText', parseText, ' ', ' '],
]

const refused: readonly (readonly [string, (text: string) => unknown, string])[] = [
  ...['', '-1', '65536', '80 ', '0x50', '1e3', '8.5', 'http', '99999999999'].map(
    (t) => ['parsePort', parsePort, t] as const,
  ),
  ...['0', '65', ''].map((t) => ['parseInteger', threads, t] as const),
  ...['', '5', '0-10', '20-10', '1-65536', '1-2-3', 'a-b', '-'].map(
    (t) => ['parsePortRange', parsePortRange, t] as const,
  ),
  ...['', '5', '-5s', '5d', 's', '5 s', '24h1ms', '1.2345s', 'Infinitys'].map(
    (t) => ['parseDuration', fromZero, t] as const,
  ),
  ...['999ms', '0'].map((t) => ['parseDuration from 1s', fromOneSecond, t] as const),
  ...[
    '',
    '0',
    '-1',
    '0.0001M',
    '1.5',
    'M',
    '10 M',
    '10Mbit',
    '10Mb',
    '10P',
    '1e6',
    '0x10',
    '1,5M',
    '9007199254740992',
    '9008T',
  ].map((t) => ['parseSize', size, t] as const),
  ...['1000000000001', '1.001T', '1TiB'].map((t) => ['parseSize up to 1T', rate, t] as const),
  ...['', 'example.com', '10.0.0.0/33', '::1/129', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0/8', 'fe80::1%eth0'].map(
    (t) => ['parseCidr', parseCidr, t] as const,
  ),
  ...['', 'maybe', '2', 'truely'].map((t) => ['parseBoolean', parseBoolean, t] as const),
  ...['', 'a b', 'http://x', 'x/y', 'x'.repeat(254), '[]'].map((t) => ['parseHost', parseHost, t] as const),
  ...['', 'ftp://x', 'ws://', 'ws://a b', 'ws://x:99999', 'ws://ann:pw@x', 'ws://x#f', `ws://${'x'.repeat(2_048)}`].map(
    (t) => ['parseUrl', parseUrl, t] as const,
  ),
  ...['', 'proxy:1080', 'https://proxy', 'socks4://proxy', 'socks5://', 'http://a b', 'socks5://ann@proxy'].map(
    (t) => ['parseProxy', parseProxy, t] as const,
  ),
  ...['', 'socks', 'socks5,', 'http,http', 'socks5 http'].map(
    (t) => ['parseProxyProtocols', parseProxyProtocols, t] as const,
  ),
  ...['', 'a:80', 'a/b', 'a..b', '[::1]', 'x'.repeat(254)].map((t) => ['parsePacHost', parsePacHost, t] as const),
  ...['', 'x'.repeat(256), 'ü'.repeat(128), 'a\nb', 'a\u0000', 'a\u0085', 'anonymous'].map(
    (t) => ['parseToken', parseToken, t] as const,
  ),
  ...['', 'x'.repeat(256)].map((t) => ['parseCredential', parseCredential, t] as const),
  ...['', ' k', 'k ', 'kéy', 'a\tb', 'x'.repeat(1_025)].map((t) => ['parseApiKey', parseApiKey, t] as const),
  ...['', 'no colon', ': value', 'Na me: v', 'X: a\r\nY: b', 'X: \u0100', 'Upgrade: x', 'sec-websocket-key: x'].map(
    (t) => ['parseHeader', parseHeader, t] as const,
  ),
  ...['', 'TEXT', 'xml'].map((t) => ['parseChoice', format, t] as const),
  ['parseText', parseText, ''],
]

function refusal(parse: (text: string) => unknown, text: string): LinkSocksError {
  try {
    parse(text)
  } catch (error) {
    if (error instanceof LinkSocksError) return error
  }
  throw new Error(`'${text}' was not refused`)
}

describe('values', () => {
  it.each(accepted)('%s reads %3$s', (_name, parse, text, value) => {
    expect(parse(text)).toEqual(value)
  })

  it.each(refused)('%s refuses "%3$s"', (_name, parse, text) => {
    const { code, message } = refusal(parse, text)
    expect(code).toMatch(/^ERR_(OPTION|URL)$/)
    expect(message).not.toContain('\n')
  })

  it('says which sizes there are', () => {
    expect(refusal(rate, '10Mb').message).toBe(
      "must be a size from 1 to 1T such as 500K, 1.5M, 10G or 64MiB, not '10Mb'",
    )
  })

  it.each([
    [1, '1'],
    [999, '999'],
    [1_000, '1K'],
    [1_024, '1KiB'],
    [1_234, '1234'],
    [1_500, '1.5K'],
    [65_536, '64KiB'],
    [1_500_000, '1.5M'],
    [1_572_864, '1536KiB'],
    [50_000_000_000, '50G'],
    [1_000_000_000_000, '1T'],
    [1_073_741_824, '1GiB'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
  ])('shows %d bytes as %s', (bytes, text) => {
    expect(sizeText(bytes)).toBe(text)
  })

  it('reads every size back that it shows', () => {
    const units = fc.constantFrom(1, 100, 1_000, 1_024, 1e5, 1e6, 1_024 ** 2, 1e8, 1e9, 1_024 ** 3)
    const sizes = fc.tuple(units, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })).map(([unit, below]) => {
      return Math.ceil(below / unit / 2) * unit
    })
    fc.assert(
      fc.property(sizes, (bytes) => {
        expect(size(sizeText(bytes))).toBe(bytes)
      }),
    )
  })

  it.each([
    ['a token', parseToken, 'hunter2\u0001'],
    ['a password', parseCredential, 'hunter2'.repeat(40)],
    ['an API key', parseApiKey, ' hunter2'],
    ['a proxy URL', parseProxy, 'ftp://ann:hunter2@proxy'],
    ['a server URL', parseUrl, 'ws://ann:hunter2@relay'],
    ['a header', parseHeader, 'Authorization: hunter2\u0001'],
  ] as const)('never repeats %s', (_name, parse, text) => {
    expect(refusal(parse, text).message).not.toContain('hunter2')
  })

  it('repeats a harmless value, cut and without control characters', () => {
    expect(refusal(parsePort, 'abc').message).toBe("must be a port from 0 to 65535, not 'abc'")
    const { message } = refusal(parsePort, `\u001b[2J${'x'.repeat(500)}`)
    expect(message).not.toContain('\u001b')
    expect(message.length).toBeLessThan(120)
  })

  it('throws nothing but the typed error, whatever the text', () => {
    const anyText = fc.string({ unit: codePoint, maxLength: 300 })
    const parsers = [...accepted, ...refused].map(([, parse]) => parse)
    fc.assert(
      fc.property(fc.constantFrom(...parsers), anyText, (parse, text) => {
        try {
          parse(text)
        } catch (error) {
          expect(error).toBeInstanceOf(LinkSocksError)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
