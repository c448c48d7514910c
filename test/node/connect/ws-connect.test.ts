import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type ConnectWebSocketOptions, connectWebSocket, MAX_REDIRECTS } from '../../../src/node/connect/ws-connect.js'
import { packageVersion } from '../../../src/node/system/package-version.js'
import type { WsTransport } from '../../../src/node/websocket/ws-transport.js'
import { TransportRecorder } from '../../contract/transport-recorder.js'
import { freePort } from '../../support/ports.js'
import { httpProxy, socksProxy } from '../../support/proxies.js'
import { type RelayHostOptions, relayHost, TEST_CA } from '../../support/relay-host.js'
import { until } from '../../support/wait.js'
import { stoppedClock } from '../stopped-clock.js'

const HASH = 'ab'.repeat(32)
const QUERY = `?token=${HASH}&reverse=false`

const closers: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function host(options?: RelayHostOptions) {
  const made = await relayHost(options)
  closers.push(() => made.close())
  return { ...made, url: `ws://127.0.0.1:${made.port}/socket` }
}

async function proxy<T extends { close(): Promise<void> }>(made: Promise<T>): Promise<T> {
  const started = await made
  closers.push(() => started.close())
  return started
}

/** A TCP server that does what `onConnection` says. */
async function rawServer(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

function connect(options: Partial<ConnectWebSocketOptions> & { url: string }, signal?: AbortSignal) {
  return connectWebSocket({ secretInBand: false, ...options }, { signal })
}

/** The first message that comes, after which the transport is ended. */
async function hello(connecting: Promise<WsTransport>): Promise<string> {
  const transport = await connecting
  const seen = new TransportRecorder()
  transport.start(seen)
  await seen.until(() => seen.messages.length === 1)
  transport.abort()
  return Buffer.from(seen.messages[0] ?? []).toString()
}

async function failure(connecting: Promise<WsTransport>): Promise<{ code: string; message: string }> {
  try {
    await connecting
  } catch (thrown) {
    const { code, message } = thrown as { code: string; message: string }
    expect(message).not.toContain(HASH)
    return { code, message }
  }
  return expect.unreachable('it connected')
}

describe('connectWebSocket', () => {
  it('opens a WebSocket with the query, own header fields and without compression or subprotocol', async () => {
    const { url, requests } = await host()
    expect(await hello(connect({ url: url + QUERY, headers: { 'X-Tenant': 'blue' } }))).toBe('hello')
    expect(requests[0]?.url).toBe(`/socket${QUERY}`)
    expect(requests[0]?.headers['x-tenant']).toBe('blue')
    expect(requests[0]?.headers['sec-websocket-extensions']).toBeUndefined()
    expect(requests[0]?.headers['sec-websocket-protocol']).toBeUndefined()
  })

  it('says what it is, unless it is told to say something else', async () => {
    const { url, requests } = await host()
    await hello(connect({ url: url + QUERY }))
    await hello(connect({ url: url + QUERY, headers: { 'user-AGENT': 'mine' } }))
    expect(requests.map(({ headers }) => headers['user-agent'])).toEqual([`linksocks/${packageVersion()}`, 'mine'])
  })

  it('names the variable whose proxy it cannot use, and nothing of its password', async () => {
    const { url } = await host()
    const { code, message } = await failure(
      connect({ url: url.replace('127.0.0.1', '192.0.2.1'), proxyEnv: { all_proxy: 'socks4://ann:pw@192.0.2.2' } }),
    )
    expect(code).toBe('ERR_OPTION')
    expect(message).toMatch(/^all_proxy: a proxy is written .*-E \(--no-env-proxy\)/)
    expect(message).not.toContain('pw')
  })

  it('says that nobody listens', async () => {
    const port = await freePort()
    expect(await failure(connect({ url: `ws://127.0.0.1:${port}/${QUERY}` }))).toEqual({
      code: 'ERR_CONNECT',
      message: `cannot reach ws://127.0.0.1:${port}: 127.0.0.1:${port} refused the connection`,
    })
  })

  it('passes on what a server answers instead, without secrets and control characters', async () => {
    const { url } = await host({
      answer: (request, response) => {
        response.writeHead(502, { 'content-type': 'text/plain' })
        response.end(`\n  no upstream \x1b[31m for ${request.url} and ${HASH.toUpperCase()}\nsecond line`)
        return true
      },
    })
    const { code, message } = await failure(connect({ url: url + QUERY }))
    expect(code).toBe('ERR_CONNECT')
    expect(message).toMatch(
      /^no WebSocket at ws:\/\/127\.0\.0\.1:\d+\/socket: server answered 502 Bad Gateway: no upstream/,
    )
    expect(message).toContain('\\u{1b}[31m for /socket and ...')
    expect(message).not.toContain('second line')
    expect(message).not.toContain('token=')
  })

  it('reads no more of such an answer than it shows', async () => {
    const { url, sockets } = await host({
      answer: (_request, response) => {
        response.writeHead(503)
        response.write('x'.repeat(2_000_000))
        return true
      },
    })
    const { message } = await failure(connect({ url }))
    expect(message.length).toBeLessThan(700)
    await until(() => sockets.size === 0)
  })

  it('does not wait for the rest of such an answer', async () => {
    const { url } = await host({
      answer: (_request, response) => {
        response.writeHead(403)
        response.write('go away')
        return true
      },
    })
    expect((await failure(connect({ url }))).message).toMatch(/403 Forbidden: go away$/)
  })

  it.each([
    ['no HTTP', 'SSH-2.0-x\r\n', 'the answer is not HTTP'],
    [
      'a wrong accept key',
      'HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n',
      'Invalid Sec-WebSocket-Accept header',
    ],
    ['nothing', undefined, 'the connection was closed'],
  ])('refuses a server that answers %s', async (_name, bytes, reason) => {
    const port = await rawServer((socket) => socket.once('data', () => (bytes ? socket.write(bytes) : socket.end())))
    const { code, message } = await failure(connect({ url: `ws://127.0.0.1:${port}/${QUERY}` }))
    expect([code, message]).toEqual(['ERR_CONNECT', `no WebSocket at ws://127.0.0.1:${port}/: ${reason}`])
  })

  it('says what a port may be that ends TLS without a word', async () => {
    const port = await rawServer((socket) => socket.once('data', () => socket.destroy()))
    const { code, message } = await failure(connect({ url: `wss://127.0.0.1:${port}/` }))
    expect([code, message]).toEqual([
      'ERR_CONNECT',
      expect.stringMatching(/the connection was closed; perhaps that port does not speak TLS; .* ws:\/\/host:port$/),
    ])
  })

  it('gives up on a server that does not answer, and ends the connection', async () => {
    const ended = vi.fn()
    const clock = stoppedClock()
    const port = await rawServer((socket) => socket.on('close', ended).once('data', () => clock.advance(50)))
    const { message } = await failure(connect({ url: `ws://127.0.0.1:${port}/`, timeouts: { upgradeMs: 50 } }))
    expect(message).toBe(`no WebSocket at ws://127.0.0.1:${port}/: timed out after 0.05 s`)
    await until(() => ended.mock.calls.length > 0)
  })

  it.each([{ 'X-A': 'b\r\nX-Injected: c' }, { 'X A': 'b' }])(
    'refuses header fields that HTTP does not allow: %j',
    async (headers) => {
      const { url, requests } = await host()
      const { code, message } = await failure(connect({ url, headers }))
      expect(code).toBe('ERR_OPTION')
      expect(message).not.toContain('Injected')
      expect(requests).toEqual([])
    },
  )
})

describe('connectWebSocket, cancelled', () => {
  it('ends before it began', async () => {
    const { url, requests } = await host()
    expect((await failure(connect({ url }, AbortSignal.abort()))).code).toBe('ERR_CANCELLED')
    expect(requests).toEqual([])
  })

  it.each(['ws', 'wss', 'proxy'])('ends while the far end is silent: %s', async (kind) => {
    const ended = vi.fn()
    const controller = new AbortController()
    const port = await rawServer((socket) => {
      socket.on('close', ended).on('data', () => controller.abort())
    })
    const options =
      kind === 'proxy'
        ? { url: 'ws://relay.test/', serverProxy: `http://127.0.0.1:${port}` }
        : { url: `${kind}://127.0.0.1:${port}/` }
    expect((await failure(connect(options, controller.signal))).code).toBe('ERR_CANCELLED')
    await until(() => ended.mock.calls.length > 0)
  })

  it('is not touched by a signal that fires later', async () => {
    const { url } = await host()
    const controller = new AbortController()
    const transport = await connect({ url }, controller.signal)
    controller.abort()
    expect(await hello(Promise.resolve(transport))).toBe('hello')
  })
})

describe('connectWebSocket with TLS', () => {
  const tlsHost = async () => {
    const { port, ...rest } = await host({ tls: true })
    return { ...rest, port, url: `wss://localhost:${port}/socket` }
  }

  it('trusts the authority it was given, for names and addresses', async () => {
    const { url, port } = await tlsHost()
    expect(await hello(connect({ url, tls: { ca: TEST_CA } }))).toBe('hello')
    expect(await hello(connect({ url: `wss://127.0.0.1:${port}/`, tls: { ca: TEST_CA } }))).toBe('hello')
  })

  it('refuses an authority it does not know', async () => {
    const { url, port, requests } = await tlsHost()
    const { code, message } = await failure(connect({ url: url + QUERY }))
    expect(code).toBe('ERR_CONNECT')
    expect(message).toMatch(`TLS with localhost:${port} failed: the certificate is not trusted`)
    expect(requests).toEqual([])
  })

  it('refuses a certificate for another name, unless that name is expected', async () => {
    const { url } = await tlsHost()
    const other = { ca: TEST_CA, serverName: 'other.test' }
    expect((await failure(connect({ url, tls: other }))).message).toMatch('the certificate is for another name')
    expect(await hello(connect({ url, tls: { ca: TEST_CA, serverName: 'relay.test' } }))).toBe('hello')
  })

  it('accepts any certificate when told to', async () => {
    const { url } = await tlsHost()
    expect(await hello(connect({ url, tls: { insecure: true } }))).toBe('hello')
  })

  it('gives up on a server that speaks no TLS or nothing', async () => {
    const { port } = await host()
    const plain = await failure(connect({ url: `wss://127.0.0.1:${port}/` }))
    expect(plain.message).toMatch(`TLS with 127.0.0.1:${port} failed: `)
    const clock = stoppedClock()
    const silent = await rawServer((socket) => socket.once('data', () => clock.advance(50)))
    const { message } = await failure(connect({ url: `wss://127.0.0.1:${silent}/`, timeouts: { tlsMs: 50 } }))
    expect(message).toBe(`TLS with 127.0.0.1:${silent} failed: timed out after 0.05 s`)
  })
})

describe('connectWebSocket and redirects', () => {
  /** Answers each path of `locations` with a redirect. */
  const redirecting = (locations: Readonly<Record<string, string>>, status = 302): RelayHostOptions => ({
    answer: (request, response) => {
      const location = locations[(request.url ?? '').split('?')[0] ?? '']
      if (location === undefined) return false
      response.writeHead(status, { location })
      response.end()
      return true
    },
  })

  it.each([301, 302, 303, 307, 308])('follows %i to a relative Location and does not add the query', async (status) => {
    const { url, requests } = await host(redirecting({ '/socket': '/elsewhere?x=1' }, status))
    expect(await hello(connect({ url: url + QUERY, headers: { 'X-A': 'b' }, secretInBand: true }))).toBe('hello')
    expect(requests.map((request) => request.url)).toEqual([`/socket${QUERY}`, '/elsewhere?x=1'])
    expect(requests[1]?.headers['x-a']).toBe('b')
  })

  it('takes http for ws', async () => {
    const target = await host()
    const { url } = await host(redirecting({ '/socket': `http://127.0.0.1:${target.port}/there` }))
    expect(await hello(connect({ url }))).toBe('hello')
    expect(target.requests[0]?.url).toBe('/there')
  })

  it(`follows ${MAX_REDIRECTS} and no more`, async () => {
    const { url } = await host(redirecting({ '/socket': '/1', '/1': '/2', '/2': '/3', '/3': '/4', '/4': '/5' }))
    expect(await hello(connect({ url }))).toBe('hello')
    const loop = await host(redirecting({ '/socket': `/socket${QUERY}` }))
    const { code, message } = await failure(connect({ url: loop.url + QUERY }))
    expect([code, message]).toEqual(['ERR_CONNECT', `${loop.url} redirected more than ${MAX_REDIRECTS} times`])
    expect(loop.requests.length).toBe(MAX_REDIRECTS + 1)
  })

  it.each([
    ['300', 300, '/x'],
    ['304', 304, '/x'],
  ])('does not follow %s', async (_name, status, location) => {
    const { url } = await host(redirecting({ '/socket': location }, status))
    expect((await failure(connect({ url }))).message).toMatch(`server answered ${status}`)
  })

  it('refuses a Location that is none', async () => {
    const { url } = await host(redirecting({ '/socket': 'ftp://files.test/' }))
    expect((await failure(connect({ url }))).code).toBe('ERR_URL')
  })

  it('does not leave TLS', async () => {
    const target = await host()
    const { port } = await host({
      ...redirecting({ '/socket': `ws://localhost:${target.port}/socket${QUERY}` }),
      tls: true,
    })
    const { code, message } = await failure(
      connect({ url: `wss://localhost:${port}/socket${QUERY}`, tls: { ca: TEST_CA } }),
    )
    expect([code, message]).toEqual([
      'ERR_CONNECT',
      `wss://localhost:${port} redirects to ws://localhost:${target.port}, which has no TLS; ` +
        `if that is right, connect to ws://localhost:${target.port}/socket directly`,
    ])
    expect(target.requests).toEqual([])
  })

  it.each([
    ['the token', { secretInBand: true }],
    ['the handshake headers you set', { headers: { 'X-A': 'b' } }],
  ])('does not carry %s to another host', async (what, options) => {
    const target = await host()
    const { url } = await host(redirecting({ '/socket': `${target.url}${QUERY}` }))
    const { code, message } = await failure(connect({ url, ...options }))
    expect(code).toBe('ERR_CONNECT')
    expect(message).toMatch(`, which would get ${what}; if that is right, connect to ${target.url} directly`)
    expect(target.requests).toEqual([])
  })
})

describe('connectWebSocket through a proxy', () => {
  it.each([
    ['http', httpProxy],
    ['socks5', socksProxy],
  ])('reaches a server by name through %s, whatever the proxy splits', async (scheme, make) => {
    const { port } = await host()
    for (const byteByByte of [false, true]) {
      const via = await proxy(make({ targetPort: port, byteByByte }))
      expect(
        await hello(connect({ url: `ws://relay.test:${port}/`, serverProxy: `${scheme}://127.0.0.1:${via.port}` })),
      ).toBe('hello')
      expect(via.requests[0]).toContain(`relay.test:${port}`)
    }
  })

  it.each([
    ['http', httpProxy],
    ['socks5', socksProxy],
  ])('speaks TLS with the server through %s, with user and password for the proxy', async (scheme, make) => {
    const { port } = await host({ tls: true })
    const via = await proxy(make({ targetPort: port, credentials: 'us er:pa:ss' }))
    const serverProxy = `${scheme}://us%20er:pa%3Ass@127.0.0.1:${via.port}`
    expect(await hello(connect({ url: `wss://relay.test:${port}/`, serverProxy, tls: { ca: TEST_CA } }))).toBe('hello')
  })

  it('takes the proxy from the environment', async () => {
    const { port } = await host()
    const via = await proxy(httpProxy({ targetPort: port }))
    const proxyEnv = { http_proxy: `127.0.0.1:${via.port}` }
    expect(await hello(connect({ url: 'ws://relay.test/', proxyEnv }))).toBe('hello')
    expect(via.requests[0]).toMatch(/^CONNECT relay\.test:80 HTTP\/1\.1\r\n/)
    expect(await hello(connect({ url: `ws://127.0.0.1:${port}/`, proxyEnv }))).toBe('hello')
    expect(via.requests.length).toBe(1)
  })

  it('tells a refused password without repeating it', async () => {
    for (const [scheme, make, reason] of [
      ['http', httpProxy, 'the proxy answered 407 Proxy Authentication Required'],
      ['socks5', socksProxy, 'the proxy refused user name or password'],
    ] as const) {
      const via = await proxy(make({ targetPort: 1, credentials: 'right:right' }))
      const { code, message } = await failure(
        connect({ url: 'ws://relay.test/', serverProxy: `${scheme}://user:hunter2@127.0.0.1:${via.port}` }),
      )
      expect([code, message]).toEqual([
        'ERR_CONNECT',
        `the proxy ${scheme}://127.0.0.1:${via.port} gave no connection to relay.test:80: ${reason}`,
      ])
    }
  })

  it('passes on why a SOCKS5 proxy could not connect', async () => {
    const via = await proxy(socksProxy({ targetPort: 1, rep: 5 }))
    const { message } = await failure(
      connect({ url: 'ws://relay.test/', serverProxy: `socks5://127.0.0.1:${via.port}` }),
    )
    expect(message).toMatch(/refused/)
  })

  it.each([
    ['200 in the wrong place', 'HTTP/1.1 403 Not 200\r\n\r\n', 'the proxy answered 403 Not 200'],
    ['no HTTP', 'hello 200\r\n\r\n', / HTTP\/1\.x$/],
    ['too much', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`, 'its answer is longer than 16384 bytes'],
    ['half', 'HTTP/1.1 200', 'it closed the connection'],
  ])('refuses a proxy that answers %s', async (_name, answer, reason) => {
    const port = await rawServer((socket) => socket.once('data', () => socket.end(answer)))
    const { message } = await failure(connect({ url: 'ws://relay.test/', serverProxy: `http://127.0.0.1:${port}` }))
    expect(message).toContain(`the proxy http://127.0.0.1:${port} gave no connection to relay.test:80: `)
    expect(message).toMatch(reason)
  })

  it('names the proxy that nobody answers at, and the one that stays silent', async () => {
    const clock = stoppedClock()
    const silent = await rawServer((socket) => socket.once('data', () => clock.advance(50)))
    const via = `http://127.0.0.1:${silent}`
    const { message } = await failure(connect({ url: 'ws://relay.test/', serverProxy: via, timeouts: { proxyMs: 50 } }))
    expect(message).toBe(`the proxy ${via} gave no connection to relay.test:80: timed out after 0.05 s`)
    const nowhere = await freePort()
    const other = `http://127.0.0.1:${nowhere}`
    expect((await failure(connect({ url: 'ws://relay.test/', serverProxy: other }))).message).toBe(
      `cannot reach the proxy ${other}: 127.0.0.1:${nowhere} refused the connection`,
    )
  })

  it('refuses a proxy it cannot speak to', async () => {
    expect((await failure(connect({ url: 'ws://relay.test/', serverProxy: 'ftp://x' }))).code).toBe('ERR_OPTION')
  })
})
