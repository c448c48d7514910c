import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { parseProxyUrl } from '../../../src/exit/proxy/proxy-url.js'

describe('parseProxyUrl', () => {
  it.each([
    ['socks5://127.0.0.1', { protocol: 'socks5', host: '127.0.0.1', port: 1080 }],
    ['socks5h://proxy.example:9050', { protocol: 'socks5', host: 'proxy.example', port: 9050 }],
    ['SOCKS5://proxy.example/', { protocol: 'socks5', host: 'proxy.example', port: 1080 }],
    ['http://proxy.example', { protocol: 'http', host: 'proxy.example', port: 8080 }],
    ['http://proxy.example:80', { protocol: 'http', host: 'proxy.example', port: 80 }],
    ['http://[2001:db8::1]:3128', { protocol: 'http', host: '2001:db8::1', port: 3128 }],
    ['http://[::1]', { protocol: 'http', host: '::1', port: 8080 }],
  ])('reads %s', (text, url) => {
    expect(parseProxyUrl(text)).toEqual(url)
  })

  it.each([
    ['socks5://u:p@h', 'u', 'p'],
    ['socks5://us%3Aer:p%40ss%3A%2F@h', 'us:er', 'p@ss:/'],
    ['http://u:a:b@h', 'u', 'a:b'],
    ['http://u:a@b@h', 'u', 'a@b'],
    ['http://u:a/b?c#d@h', 'u', 'a/b?c#d'],
    ['http://u@h', 'u', ''],
    ['http://u:@h', 'u', ''],
    ['http://%C3%BC:%E2%82%AC@h', 'ü', '€'],
  ])('reads the credentials of %s', (text, username, password) => {
    expect(parseProxyUrl(text).credentials).toEqual({ username, password })
  })

  it.each(['socks5://[fe80::1%25eth0]:1080', 'http://u:hunter2@[fe80::1%eth0]'])(
    'says of %s that a URL carries no zone',
    (text) => {
      expect(() => parseProxyUrl(text)).toThrow(
        'a URL carries no zone of an IPv6 address (RFC 9844): give an address of the proxy that is not link-local',
      )
    },
  )

  it.each([
    '',
    'proxy.example:1080',
    'socks4://h',
    'https://h',
    'ftp://u:hunter2@h',
    'constructor://h',
    'http://',
    'http://:80',
    'http://h:0',
    'http://h:65536',
    'http://h:',
    'http://h:8o',
    'http://u:hunter2@h:99999',
    'http://h/path',
    'http://h?q',
    'http://h#f',
    'http://a b',
    'http://[::1',
    'http://[nonsense]',
    'http://h%20x',
    ' http://h',
    'http://h\n',
    'http://u:hunter2%0d%0aX-Evil: 1@h',
    'http://u:hunter2\u0000@h',
    'http://u:hunter2%zz@h',
    'http://u%3Av:hunter2@h',
    'socks5://u@h',
    'socks5://:hunter2@h',
    'socks5://u:@h',
    `socks5://u:${'hunter2'.repeat(37)}@h`,
  ])('refuses %j without repeating any of it', (text) => {
    let error: unknown
    try {
      parseProxyUrl(text)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(LinkSocksError)
    expect(error).toMatchObject({ code: 'ERR_OPTION', message: expect.stringContaining('proxy') })
    expect(String(error)).not.toContain('hunter2')
    expect((error as LinkSocksError).cause).toBeUndefined()
  })

  it('accepts the longest SOCKS5 credentials', () => {
    const part = '€'.repeat(85)
    const { credentials } = parseProxyUrl(`socks5://${encodeURIComponent(part)}:${part}@h`)
    expect(credentials).toEqual({ username: part, password: part })
  })
})
