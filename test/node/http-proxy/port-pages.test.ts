import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { RawAnswer } from '../../support/raw-http.js'
import { parseAnswer } from '../../support/raw-http.js'
import { MemoryProxy, type MemoryProxyOptions } from './memory-proxy.js'
import { message } from './messages.js'

interface Asked {
  readonly host?: string
  readonly method?: string
  readonly options?: MemoryProxyOptions
}

/** The answer to a request for a page; its connection ends with it. */
async function page(
  path: string,
  { host = '192.0.2.1:1080', method = 'GET', options }: Asked = {},
): Promise<RawAnswer> {
  const proxy = new MemoryProxy(options)
  await proxy.send(message([`${method} ${path} HTTP/1.1`, `Host: ${host}`]))
  expect(proxy.client.state).toBe('ended')
  expect(proxy.dialled).toEqual([])
  return parseAnswer(proxy.answer)
}

/** What a browser makes of a PAC file. */
function find(pac: string, host: string): unknown {
  const shExpMatch = (text: string, pattern: string): boolean =>
    new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')}$`).test(text)
  return runInNewContext(`${pac}; FindProxyForURL('http://' + host + '/', host)`, { shExpMatch, host })
}

describe('/proxy.pac', () => {
  it.each([
    ['192.0.2.1:1080', 'PROXY 192.0.2.1:1080; SOCKS5 192.0.2.1:1080'],
    ['localhost:8080', 'PROXY localhost:8080; SOCKS5 localhost:8080'],
    ['[2001:db8::1]:1080', 'PROXY [2001:db8::1]:1080; SOCKS5 [2001:db8::1]:1080'],
    ['127.0.0.1:1', 'PROXY 127.0.0.1:1; SOCKS5 127.0.0.1:1'],
  ])('asked for by %s names that', async (host, ways) => {
    const { status, head, body } = await page('/proxy.pac', { host })
    expect(status).toBe(200)
    expect(head).toContain('\r\nContent-Type: application/x-ns-proxy-autoconfig\r\n')
    expect(find(body, 'anything.test')).toBe(ways)
    expect(body).not.toContain('DIRECT')
  })

  it('does not name SOCKS5 where browsers can not use it', async () => {
    const credentials = { username: 'u', password: 'p' }
    for (const options of [{ credentials }, { protocols: ['http'] as const }]) {
      const { body } = await page('/proxy.pac', { options })
      expect(find(body, 'a.test')).toBe('PROXY 192.0.2.1:1080')
    }
  })

  it.each([
    '?direct=*.local,10.*',
    '?direct=*.local&direct=10.*',
    '?direct=%2a.local%2C10.%2A',
    '?direct=,*.local,,10.*&x=y',
  ])('%s names exceptions', async (query) => {
    const { body } = await page(`/proxy.pac${query}`)
    expect(find(body, 'a.local')).toBe('DIRECT')
    expect(find(body, '10.1.2.3')).toBe('DIRECT')
    expect(find(body, 'a.test')).toMatch(/^PROXY /)
  })

  it.each(['', '?', '?direct=', '?direct', '?other=*', '?DIRECT=*'])('%s never says DIRECT', async (query) => {
    expect((await page(`/proxy.pac${query}`)).body).not.toContain('DIRECT')
  })

  it.each([
    '?direct=")}evil(){("',
    '?direct=%22',
    '?direct=a%0Ab',
    '?direct=a%20b',
    '?direct=%5C',
    '?direct=%E2%80%A8',
    '?direct=%',
    '?direct=<script>',
    "?direct=a'b",
    `?direct=${'a'.repeat(254)}`,
  ])('%s is refused', async (query) => {
    expect((await page(`/proxy.pac${query}`)).status).toBe(400)
  })
})

describe('/', () => {
  it('shows how the port is used, and loads nothing', async () => {
    const { status, head, body } = await page('/')
    expect(status).toBe(200)
    expect(head).toContain("\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n")
    for (const text of [
      'socks5h://192.0.2.1:1080',
      'socks4a://192.0.2.1:1080',
      'http://192.0.2.1:1080/proxy.pac',
      'no UDP',
    ]) {
      expect(body).toContain(text)
    }
  })

  it('shows no secret', async () => {
    const credentials = { username: 'the-user', password: 'the-password' }
    const { body } = await page('/', { options: { credentials } })
    expect(body).toContain('asks for a user name and a password')
    expect(body).not.toMatch(/the-user|the-password/)
  })

  it('shows what is served alone', async () => {
    const { body } = await page('/', { options: { protocols: ['http'] } })
    expect(body).not.toContain('socks5h://')
  })
})

describe('a page of the port', () => {
  it.each(['evil.test', 'evil.test:1080', 'localhost.evil.test', '127.0.0.1.evil.test', 'proxy.test.evil.test', ''])(
    'is not shown to a page that came by the name %j',
    async (host) => {
      for (const path of ['/', '/proxy.pac']) {
        const { status, body } = await page(path, { host, options: { names: ['proxy.test'] } })
        expect(status).toBe(421)
        expect(body).not.toMatch(/script|1080|192\.0\.2/)
      }
    },
  )

  it.each([
    'localhost',
    'LOCALHOST:1',
    'app.localhost',
    '127.0.0.1',
    '[::1]:1080',
    '10.0.0.1:80',
    'Proxy.Test:8',
    'proxy.test',
  ])('is shown by the name %s', async (host) => {
    expect((await page('/', { host, options: { names: ['PROXY.test'] } })).status).toBe(200)
  })

  it('has the same head for HEAD, and no body', async () => {
    for (const path of ['/', '/proxy.pac']) {
      const [get, head] = [await page(path), await page(path, { method: 'HEAD' })]
      const withoutDate = ({ head: text }: RawAnswer): string => text.replace(/Date: .*/, '')
      expect(withoutDate(head)).toBe(withoutDate(get))
      expect(head.body).toBe('')
      expect(get.head).toContain(`Content-Length: ${Buffer.byteLength(get.body)}`)
    }
  })

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('is not changed by %s', async (method) => {
    const { status, head } = await page('/', { method })
    expect(status).toBe(405)
    expect(head).toContain('\r\nAllow: GET, HEAD\r\n')
  })

  it.each([
    '/x',
    '//',
    '//[',
    '//evil.test/',
    '//evil.test/proxy.pac',
    '/proxy.pac/',
    '/./',
    '/%',
    '/proxy.pac%00',
    '/favicon.ico',
  ])('is not there at %s', async (path) => {
    expect((await page(path)).status).toBe(404)
  })

  it('needs no password', async () => {
    const options = { credentials: { username: 'u', password: 'p' } }
    expect((await page('/proxy.pac', { options })).status).toBe(200)
  })

  it('is answered to one that wants a WebSocket of it', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(message(['GET / HTTP/1.1', 'Host: localhost', 'Connection: upgrade', 'Upgrade: websocket']))
    expect(parseAnswer(proxy.answer).status).toBe(200)
    expect(proxy.client.state).toBe('ended')
    expect(proxy.finished).toBe(true)
  })
})
