import { describe, expect, it } from 'vitest'
import {
  serverProxyFor as namedProxyFor,
  type ServerProxyOptions,
  variablesAt,
} from '../../../src/node/connect/server-proxy.js'

const WS = 'ws://relay.example.com:8765/socket'
const WSS = 'wss://relay.example.com/socket'
const HTTP = 'http://web-proxy:3128'

const serverProxyFor = (url: string, options: ServerProxyOptions): string | undefined =>
  namedProxyFor(url, options)?.url

describe('serverProxyFor', () => {
  it('connects directly when nothing names a proxy', () => {
    expect(serverProxyFor(WS, {})).toBeUndefined()
    expect(serverProxyFor(WS, { proxyEnv: {} })).toBeUndefined()
    expect(serverProxyFor(WS, { proxyEnv: { http_proxy: '', HTTP_PROXY: '  ' } })).toBeUndefined()
  })

  it('prefers serverProxy to the environment, for loopback and no_proxy hosts too', () => {
    const options = { serverProxy: 'socks5://own:1080', proxyEnv: { http_proxy: HTTP, no_proxy: '*' } }
    expect(serverProxyFor(WS, options)).toBe('socks5://own:1080')
    expect(serverProxyFor('ws://localhost:1/', options)).toBe('socks5://own:1080')
  })

  it('takes http_proxy for ws and https_proxy for wss', () => {
    const proxyEnv = { http_proxy: HTTP, https_proxy: 'http://tls-proxy:3129' }
    expect(serverProxyFor(WS, { proxyEnv })).toBe(HTTP)
    expect(serverProxyFor(WSS, { proxyEnv })).toBe('http://tls-proxy:3129')
    expect(serverProxyFor(WSS, { proxyEnv: { http_proxy: HTTP } })).toBeUndefined()
    expect(serverProxyFor(WS, { proxyEnv: { https_proxy: HTTP } })).toBeUndefined()
  })

  it('falls back to all_proxy', () => {
    const proxyEnv = { all_proxy: 'socks5h://all:1080' }
    expect(serverProxyFor(WS, { proxyEnv })).toBe('socks5h://all:1080')
    expect(serverProxyFor(WSS, { proxyEnv })).toBe('socks5h://all:1080')
    expect(serverProxyFor(WS, { proxyEnv: { ...proxyEnv, http_proxy: HTTP } })).toBe(HTTP)
  })

  it('reads lower case before upper case', () => {
    expect(serverProxyFor(WS, { proxyEnv: { HTTP_PROXY: 'http://upper:1' } })).toBe('http://upper:1')
    expect(serverProxyFor(WS, { proxyEnv: { HTTP_PROXY: 'http://upper:1', http_proxy: HTTP } })).toBe(HTTP)
    expect(serverProxyFor(WSS, { proxyEnv: { ALL_PROXY: 'http://upper:2' } })).toBe('http://upper:2')
    expect(serverProxyFor(WS, { proxyEnv: { http_proxy: HTTP, NO_PROXY: 'example.com' } })).toBeUndefined()
  })

  it('says which variable it read, and none for an option', () => {
    expect(namedProxyFor(WS, { proxyEnv: { HTTP_PROXY: HTTP } })).toEqual({ url: HTTP, variable: 'HTTP_PROXY' })
    expect(namedProxyFor(WSS, { proxyEnv: { all_proxy: HTTP } })?.variable).toBe('all_proxy')
    expect(namedProxyFor(WS, { serverProxy: HTTP })).toEqual({ url: HTTP })
  })

  it('takes socks:// of the environment for socks5://, and leaves other schemes', () => {
    for (const [named, url] of [
      ['socks://p:1080/', 'socks5://p:1080/'],
      ['SOCKS://u:w@p:1', 'socks5://u:w@p:1'],
      ['socks5h://p:1', 'socks5h://p:1'],
      ['socks4://p:1', 'socks4://p:1'],
    ]) {
      expect(serverProxyFor(WS, { proxyEnv: { all_proxy: named } })).toBe(url)
    }
    expect(serverProxyFor(WS, { serverProxy: 'socks://p:1' })).toBe('socks://p:1')
  })

  it('reads host:port without a scheme as an HTTP proxy', () => {
    expect(serverProxyFor(WS, { proxyEnv: { http_proxy: 'web-proxy:3128' } })).toBe(HTTP)
    expect(serverProxyFor(WS, { serverProxy: 'web-proxy:3128' })).toBe(HTTP)
  })

  it.each([
    'ws://localhost:8765/',
    'ws://LOCALHOST/',
    'ws://relay.localhost/',
    'ws://localhost./',
    'ws://127.0.0.1/',
    'ws://127.8.9.1/',
    'ws://[::1]:8765/',
    'ws://[::ffff:127.0.0.1]/',
  ])('never goes through the environment to %s', (url) => {
    expect(serverProxyFor(url, { proxyEnv: { http_proxy: HTTP, all_proxy: HTTP } })).toBeUndefined()
  })

  it.each([
    ['relay.example.com', WS],
    ['example.com', WS],
    ['.example.com', WS],
    ['*.example.com', WS],
    ['EXAMPLE.COM', WS],
    ['example.com.', WS],
    ['a.test, example.com', WS],
    ['a.test example.com', WS],
    ['*', WS],
    ['relay.example.com:8765', WS],
    ['10.1.2.3', 'ws://10.1.2.3/'],
    ['10.0.0.0/8', 'ws://10.1.2.3:99/'],
    ['10.1.2.3:80', 'ws://10.1.2.3/'],
    ['2001:db8::1', 'ws://[2001:db8::1]/'],
    ['[2001:db8::1]:443', 'ws://[2001:db8::1]:443/'],
    ['2001:db8::/32', 'ws://[2001:db8::1]/'],
    ['0xa.1.2.3', 'ws://10.1.2.3/'],
    ['::ffff:10.1.2.3', 'ws://10.1.2.3/'],
    ['::ffff:10.0.0.0/104', 'ws://10.1.2.3/'],
  ])('honours no_proxy %s for %s', (no_proxy, url) => {
    expect(serverProxyFor(url, { proxyEnv: { http_proxy: HTTP, no_proxy } })).toBeUndefined()
  })

  it.each([
    ['ample.com', WS],
    ['com.example', WS],
    ['relay.example.com:80', WS],
    ['11.0.0.0/8', 'ws://10.1.2.3/'],
    ['1.2.3', 'ws://10.1.2.3/'],
    ['10.1.2.3:81', 'ws://10.1.2.3/'],
    ['2001:db9::/32', 'ws://[2001:db8::1]/'],
    ['10.0.0.0/99', 'ws://10.1.2.3/'],
    ['.', WS],
    [':::', WS],
    ['', WS],
  ])('does not take no_proxy %s for %s', (no_proxy, url) => {
    expect(serverProxyFor(url, { proxyEnv: { http_proxy: HTTP, no_proxy } })).toBe(HTTP)
  })
})

describe('variablesAt', () => {
  it('names the variables that lead to a port of this machine', () => {
    const env = {
      http_proxy: 'http://127.0.0.1:9870',
      HTTPS_PROXY: 'localhost:9870/',
      all_proxy: 'socks5h://u:p@[::1]:9870',
      ALL_PROXY: 'socks://127.0.0.1:9871',
      https_proxy: 'http://192.0.2.1:9870',
      no_proxy: '127.0.0.1:9870',
    }
    expect(variablesAt({ host: '127.0.0.1', port: 9_870 }, env)).toEqual(['http_proxy', 'HTTPS_PROXY', 'all_proxy'])
    expect(variablesAt({ host: '192.0.2.1', port: 9_870 }, env)).toEqual(['https_proxy'])
    expect(variablesAt({ host: 'localhost', port: 80 }, { http_proxy: 'http://127.0.0.1:80' })).toEqual(['http_proxy'])
    expect(
      variablesAt({ host: '0.0.0.0', port: 1 }, { http_proxy: '', all_proxy: 'http://[', HTTP_PROXY: undefined }),
    ).toEqual([])
  })
})
