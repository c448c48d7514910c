import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { Refusal } from '../../../src/api/request/answers.js'
import { silentLogger } from '../../../src/log.js'
import {
  type HttpServer,
  type HttpServerOptions,
  KEEP_ALIVE_TIMEOUT_MS,
  listenHttp,
  type RequestContext,
  type UpgradeInfo,
} from '../../../src/node/http/http-server.js'
import { trustedProxies } from '../../../src/node/http/trusted-proxy.js'
import type { WsTransport } from '../../../src/node/websocket/ws-transport.js'
import { isSocketPath } from '../../../src/protocol/handshake.js'
import { MAX_HTTP_HEADER_BYTES } from '../../../src/protocol/limits.js'
import { TransportRecorder } from '../../contract/transport-recorder.js'
import { collectGarbage } from '../../support/garbage.js'
import { freePort } from '../../support/ports.js'
import { parseAnswer, rawHttp } from '../../support/raw-http.js'
import { until, untilPasses, untilStill } from '../../support/wait.js'
import { isOpen } from '../library-fixture.js'
import { stoppedClock } from '../stopped-clock.js'

const servers: HttpServer[] = []

afterEach(async () => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

async function serve(options: Partial<HttpServerOptions> = {}) {
  const seen: { request: Request; context: RequestContext }[] = []
  const upgrades: { transport: WsTransport; info: UpgradeInfo }[] = []
  const server = await listenHttp({
    listen: [{ host: '127.0.0.1', port: 0 }],
    log: silentLogger,
    isSocketPath,
    handle: async (request, context) => {
      seen.push({ request, context })
      return new Response('fine')
    },
    upgrade: (transport, info) => {
      transport.start(new TransportRecorder())
      upgrades.push({ transport, info })
    },
    ...options,
  })
  servers.push(server)
  const [address] = server.addresses
  if (address === undefined || !('port' in address)) throw new Error('no port')
  const { port } = address
  return { server, port, url: `http://127.0.0.1:${port}`, seen, upgrades }
}

/** Megabytes that no kernel takes for a connection whose far end does not read. */
const MORE_THAN_KERNELS_HOLD = 1_000

const failure = (error: string): string => `${JSON.stringify({ success: false, error })}\n`

describe('listenHttp', () => {
  it('hands a request to the handler and its answer to the client', async () => {
    const { url, seen } = await serve({
      handle: async (request) =>
        new Response(`${request.method} ${await request.text()}`, { status: 201, headers: { 'x-more': 'yes' } }),
    })
    const response = await fetch(`${url}/a?b=c`, { method: 'POST', body: 'text' })
    expect([response.status, response.headers.get('x-more'), await response.text()]).toEqual([201, 'yes', 'POST text'])
    expect(seen).toEqual([])
  })

  it('gives URL, header fields, raw path and remote address', async () => {
    const { url, port, seen } = await serve()
    await (await fetch(`${url}/a/b?c=d`, { headers: { 'X-Key': 'k' } })).text()
    expect(seen[0]?.request.url).toBe(`http://127.0.0.1:${port}/a/b?c=d`)
    expect(seen[0]?.request.headers.get('x-key')).toBe('k')
    expect(seen[0]?.context).toMatchObject({ rawPath: '/a/b', remoteAddress: '127.0.0.1' })
  })

  it.each([
    ['/api/token/%2e%2e', '/api/token/%2e%2e'],
    ['/api/token/..', '/api/token/..'],
    ['/a//b/./c?x=/../y', '/a//b/./c'],
    ['http://other.test/abs%2F?q', '/abs%2F'],
    ['http://other.test', '/'],
  ])('keeps the raw path of %s', async (target, rawPath) => {
    const { port, seen } = await serve()
    const answer = await rawHttp(
      port,
      Buffer.from(`GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`, 'latin1'),
    )
    expect(answer.status).toBe(200)
    expect(seen[0]?.context.rawPath).toBe(rawPath)
  })

  it('answers HEAD without a body', async () => {
    const { port } = await serve()
    const answer = await rawHttp(port, 'HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    expect([answer.status, answer.body]).toEqual([200, ''])
  })

  it('keeps the connection for the next request', async () => {
    const { port, seen } = await serve()
    await rawHttp(port, 'GET /1 HTTP/1.1\r\nHost: h\r\n\r\n', 'GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    expect(seen.map(({ context }) => context.rawPath)).toEqual(['/1', '/2'])
    expect(KEEP_ALIVE_TIMEOUT_MS).toBeGreaterThan(0)
  })

  it('serves HTTP/1.0 without a Host', async () => {
    const { port } = await serve()
    expect((await rawHttp(port, 'GET / HTTP/1.0\r\n\r\n')).status).toBe(200)
  })

  it('streams a response as the client reads it', async () => {
    let pulled = 0
    let last = MORE_THAN_KERNELS_HOLD
    const chunk = new Uint8Array(1_000_000)
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1
        controller.enqueue(chunk)
        if (pulled >= last) controller.close()
      },
    })
    const { port } = await serve({ handle: async () => new Response(body) })
    const socket = connect(port, '127.0.0.1')
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    await until(() => pulled > 2)
    await untilStill(() => pulled)
    expect(pulled).toBeLessThan(MORE_THAN_KERNELS_HOLD)
    last = pulled + 10
    let received = 0
    socket.on('data', (data) => {
      received += data.byteLength
    })
    socket.resume()
    await new Promise((resolve) => socket.on('close', resolve))
    expect(pulled).toBe(last)
    expect(received).toBeGreaterThan(last * chunk.byteLength)
  })

  it('aborts the signal of a request whose client is gone, even when the handler keeps nothing but the signal', async () => {
    const asked = deferred()
    const aborted = deferred()
    const { port } = await serve({
      handle: ({ signal }) => {
        asked.resolve()
        return new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            aborted.resolve()
            resolve(new Response())
          })
        })
      },
    })
    const socket = connect(port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    await asked.promise
    await collectGarbage()
    socket.destroy()
    await aborted.promise
  })

  it('answers 500 for a handler that throws, and says why in the log alone', async () => {
    const error = vi.fn()
    const { url } = await serve({
      log: { ...silentLogger, error },
      handle: async () => {
        throw new Error('secret detail')
      },
    })
    const response = await fetch(url)
    expect([response.status, await response.text()]).toEqual([500, failure('internal error')])
    expect(error).toHaveBeenCalledWith('http.handler.failed', { error: 'Error: secret detail' })
  })

  it('ends the connection when the body of a response fails', async () => {
    const error = vi.fn()
    const body = (): ReadableStream =>
      new ReadableStream({
        pull(controller) {
          controller.error(new Error('cut'))
        },
      })
    const { url } = await serve({
      log: { ...silentLogger, error },
      handle: async () => new Response(body(), { headers: { 'content-length': '9' } }),
    })
    await expect(fetch(url).then((response) => response.text())).rejects.toThrow()
    expect(error).toHaveBeenCalledWith('http.response.failed', { error: 'Error: cut' })
  })
})

function deferred() {
  let resolve = (): void => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

describe('listenHttp on requests that a Request cannot hold', () => {
  it.each([
    ['TRACE', 'TRACE / HTTP/1.1\r\nHost: h\r\n\r\n', 405],
    ['CONNECT', 'CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n', 405],
    ['an unknown method', 'BREW / HTTP/1.1\r\nHost: h\r\n\r\n', 400],
    ['GET with a body', 'GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi', 400],
    ['GET with a chunked body', 'GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['HEAD with a body', 'HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi', 400],
    ['a Host with a path', 'GET / HTTP/1.1\r\nHost: h/x?y\r\n\r\n', 400],
    ['a Host with spaces', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
    ['a Host with user information', 'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n', 400],
    ['a Host with a port that is none', 'GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n', 400],
    ['a Host that is broken IPv6', 'GET / HTTP/1.1\r\nHost: [::1::2]\r\n\r\n', 400],
    ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 400],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['no HTTP at all', '\x05\x01\x00', 400],
    [
      'both lengths',
      'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a header that is too large', `GET / HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(MAX_HTTP_HEADER_BYTES)}\r\n\r\n`, 431],
  ])('answers %s itself', async (_name, request, status) => {
    const { port, seen } = await serve()
    const close = request.endsWith('\r\n\r\n') ? request.replace('\r\n', '\r\nConnection: close\r\n') : request
    const answer = await rawHttp(port, status === 431 || _name === 'no HTTP at all' ? request : close)
    expect(answer.status).toBe(status)
    expect(seen).toEqual([])
    // the header of an HTTP/1.1 request without Host is refused by Node, without a body
    if (_name !== 'no Host' && !_name.startsWith('HEAD'))
      expect(answer.body).toMatch(/^{"success":false,"error":".+"}\n$/)
    if (status === 405) expect(answer.head).toMatch(/\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS/i)
  })

  it('goes on serving afterwards', async () => {
    const { port, url } = await serve()
    for (const bytes of ['\0\0\0\0', 'GET', 'GET / HTTP/9.9\r\n\r\n', 'x'.repeat(100_000)]) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.end(bytes)
      await new Promise((resolve) => socket.resume().on('close', resolve))
    }
    expect((await fetch(url)).status).toBe(200)
  })
})

describe('listenHttp and request bodies', () => {
  it('reads no more of a body than the handler asks for', async () => {
    const read = deferred()
    let first = 0
    const { port } = await serve({
      handle: async (request) => {
        const reader = request.body?.getReader()
        first = (await reader?.read())?.value?.byteLength ?? 0
        await read.promise
        await reader?.cancel()
        return new Response('enough', { status: 413 })
      },
    })
    const socket = connect(port, '127.0.0.1')
    socket.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${MORE_THAN_KERNELS_HOLD}000000\r\n\r\n`)
    let text = ''
    socket.on('data', (data) => {
      text += String(data)
    })
    socket.on('error', () => {})
    const chunk = new Uint8Array(1_000_000)
    let accepted = 0
    const write = (): void => {
      socket.write(chunk, (error) => {
        // ended by the other side: another write would fail at once, for ever
        if (error) return
        accepted += 1
        if (accepted < MORE_THAN_KERNELS_HOLD) write()
      })
    }
    write()
    await until(() => first > 0)
    await untilStill(() => accepted)
    expect(accepted).toBeLessThan(MORE_THAN_KERNELS_HOLD)
    read.resolve()
    await new Promise((resolve) => socket.on('close', resolve))
    expect(parseAnswer(text).status).toBe(413)
    expect(accepted).toBeLessThan(MORE_THAN_KERNELS_HOLD)
  })

  it('answers early, and closes, when the handler does not want the body', async () => {
    const { port } = await serve({ handle: async () => new Response('no', { status: 413 }) })
    const answer = await rawHttp(port, 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n', 'x'.repeat(10))
    expect(answer.status).toBe(413)
    expect(answer.head.toLowerCase()).toContain('connection: close')
  })

  it('asks for a body that waits for 100 Continue only when it is read', async () => {
    const head = 'POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n'
    const wanted = await serve({ handle: async (request) => new Response(await request.text()) })
    const read = await rawHttp(wanted.port, head, 'hi')
    expect(read.status).toBe(100)
    expect(parseAnswer(read.body)).toMatchObject({ status: 200 })
    const unwanted = await serve({ handle: async () => new Response('no', { status: 401 }) })
    expect((await rawHttp(unwanted.port, head)).status).toBe(401)
  })

  it('fails the body when the client goes away within it', async () => {
    const [begun, failed] = [deferred(), deferred()]
    const { port } = await serve({
      handle: async (request) => {
        const reader = request.body?.getReader()
        await reader?.read()
        begun.resolve()
        await reader?.read().catch(() => failed.resolve())
        return new Response()
      },
    })
    const socket = connect(port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc')
    await begun.promise
    socket.destroy()
    await failed.promise
  })
})

describe('listenHttp deadlines', () => {
  it.each([
    ['nothing at all', ''],
    ['a header that never ends', 'GET / HTTP/1.1\r\nHost: h\r\nX-Slow: '],
  ])('ends a connection that sends %s', async (_name, bytes) => {
    const { port } = await serve({ headerTimeoutMs: 100 })
    const socket = connect(port, '127.0.0.1')
    const drip = setInterval(() => bytes !== '' && socket.write('x'), 20)
    socket.on('error', () => {})
    socket.write(bytes)
    await new Promise((resolve) => socket.resume().on('close', resolve))
    clearInterval(drip)
  })
})

describe('listenHttp and remote addresses', () => {
  const forwarded = { headers: { 'X-Forwarded-For': '6.6.6.6, 203.0.113.9' } }

  it('does not believe X-Forwarded-For by default', async () => {
    const { url, seen } = await serve()
    await fetch(url, forwarded)
    expect(seen[0]?.context.remoteAddress).toBe('127.0.0.1')
  })

  it('believes a trusted proxy, for requests and WebSockets', async () => {
    const { url, port, seen, upgrades } = await serve({ trusted: trustedProxies(['127.0.0.0/8']) })
    await fetch(url, forwarded)
    expect(seen[0]?.context.remoteAddress).toBe('203.0.113.9')
    const ws = new WebSocket(`ws://127.0.0.1:${port}/socket`, forwarded)
    await new Promise((resolve) => ws.on('open', resolve))
    expect(upgrades[0]?.info.remoteAddress).toBe('203.0.113.9')
    ws.terminate()
  })
})

describe('listenHttp and WebSockets', () => {
  it('accepts them on socket paths, with raw path, query and header fields', async () => {
    const { port, upgrades } = await serve()
    const ws = new WebSocket(`ws://127.0.0.1:${port}/socket/x?token=abc`, { headers: { 'x-a': 'b' } })
    await new Promise((resolve) => ws.on('open', resolve))
    const { info } = upgrades[0] ?? expect.unreachable()
    expect(info.rawPath).toBe('/socket/x')
    expect(info.query.get('token')).toBe('abc')
    expect(info.headers['x-a']).toBe('b')
    expect(ws.extensions).toBe('')
    ws.terminate()
  })

  it('chooses no subprotocol, and accepts a client that offers one', async () => {
    const { port } = await serve()
    const answer = await rawUpgrade(port, '/socket', 'Sec-WebSocket-Protocol: chat, other\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 101 /)
    expect(answer.toLowerCase()).not.toContain('sec-websocket-protocol')
  })

  it('keeps a message that comes in the same segment as the request', async () => {
    const { port, upgrades } = await serve({
      upgrade: (transport, info) => void upgrades.push({ transport, info }),
    })
    const socket = connect(port, '127.0.0.1')
    socket.write(Buffer.concat([Buffer.from(upgradeRequest('/socket', '')), Buffer.of(0x82, 0x81, 0, 0, 0, 0, 42)]))
    await until(() => upgrades.length === 1)
    const seen = new TransportRecorder()
    upgrades[0]?.transport.start(seen)
    await seen.until(() => seen.messages.length === 1)
    expect(Array.from(seen.messages[0] ?? [])).toEqual([42])
    socket.destroy()
  })

  it.each([
    ['neither Upgrade nor Connection', /^(Upgrade|Connection): .*\r\n/gm],
    ['no Connection', /^Connection: .*\r\n/m],
  ])('answers 426 to a handshake of which a proxy left %s, and says so', async (_what, taken) => {
    const { port, upgrades } = await serve()
    const answer = await rawHttp(port, upgradeRequest('/socket', '').replace(taken, ''))
    expect(answer.status).toBe(426)
    expect(answer.head).toMatch(/^upgrade: websocket$/im)
    expect(answer.body).toContain('must pass on the Upgrade and Connection headers')
    expect(upgrades).toEqual([])
  })

  it.each(['/', '/sockets', '/api/status', '/SOCKET'])('answers 404 on %s', async (path) => {
    const { port, upgrades } = await serve()
    const answer = await rawHttp(port, upgradeRequest(path, ''))
    expect([answer.status, answer.body]).toEqual([404, failure('not found')])
    expect(upgrades).toEqual([])
  })

  it.each([
    ['no key', /Sec-WebSocket-Key: .*\r\n/, ''],
    ['a broken key', /Sec-WebSocket-Key: .*\r\n/, 'Sec-WebSocket-Key: x\r\n'],
    ['no version', /Sec-WebSocket-Version: .*\r\n/, ''],
    ['another method', 'GET', 'POST'],
  ])('answers 400 to a handshake with %s', async (_name, part, instead) => {
    const { port } = await serve()
    const request = upgradeRequest('/socket', '').replace(part, instead)
    const answer = await rawHttp(port, request)
    expect(answer.status).toBe(400)
    expect(answer.body).toMatch(/^{"success":false/)
  })

  it.each(['7', '8', '12', '13, 8', '14'])(
    'answers 426 to version %s of WebSocket, and names the one there is',
    async (version) => {
      const { port, upgrades } = await serve()
      const answer = await rawHttp(port, upgradeRequest('/socket', '').replace('Version: 13', `Version: ${version}`))
      expect(answer.status).toBe(426)
      expect(answer.head).toContain('\r\nSec-WebSocket-Version: 13')
      expect(answer.head).toContain('\r\nUpgrade: websocket')
      expect(upgrades).toEqual([])
    },
  )

  it.each(['websocket, h2c', 'h2c,WebSocket', 'foo/1 , websocket'])(
    'opens a WebSocket for Upgrade: %s',
    async (list) => {
      const { port } = await serve()
      const request = upgradeRequest('/socket', '').replace('Upgrade: websocket', `Upgrade: ${list}`)
      expect(await firstOf(port, request)).toMatch(/^HTTP\/1\.1 101 /)
    },
  )

  it('opens none in HTTP/1.0, which has no upgrades', async () => {
    const { port, upgrades } = await serve()
    const answer = await rawHttp(port, upgradeRequest('/socket', '').replace('HTTP/1.1', 'HTTP/1.0'))
    expect(answer.status).toBe(426)
    expect(upgrades).toEqual([])
  })

  it('ignores the wish for another protocol, body included, and ends the connection', async () => {
    const { port, seen } = await serve({
      handle: async (request, context) => {
        seen.push({ request, context })
        return new Response(await request.text())
      },
    })
    const answer = await rawHttp(
      port,
      'POST /1 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: 4\r\n\r\nbo',
      'dy',
    )
    expect(answer.status).toBe(200)
    expect(answer.body).toContain('body')
    expect(seen.map(({ context }) => context.rawPath)).toEqual(['/1'])
  })

  it('opens in its tick what is not to be waited for, and waits for the rest', async () => {
    const { checkUpgrade, asked } = scriptedCheck()
    const { port, upgrades } = await serve({ checkUpgrade })
    const opened = rawUpgrade(port, '/socket?now', '')
    expect(await opened).toMatch(/^HTTP\/1\.1 101 /)
    const waiting = rawUpgrade(port, '/socket?later', '')
    await until(() => asked.length === 1)
    expect(upgrades).toHaveLength(1)
    asked[0]?.answer(undefined)
    expect(await waiting).toMatch(/^HTTP\/1\.1 101 /)
    expect(upgrades.map(({ info }) => info.query.toString())).toEqual(['now=', 'later='])
  })

  it('answers a handshake that it refuses, and opens nothing', async () => {
    const { checkUpgrade, asked } = scriptedCheck()
    const { port, upgrades } = await serve({ checkUpgrade })
    const answer = rawHttp(port, upgradeRequest('/socket?later', ''))
    await until(() => asked.length === 1)
    asked[0]?.answer(new Refusal(503, 'not now'))
    expect([(await answer).status, (await answer).body]).toEqual([503, failure('not now')])
    expect(upgrades).toEqual([])
  })

  it('keeps what came behind a handshake that waited', async () => {
    const { checkUpgrade, asked } = scriptedCheck()
    const { port, upgrades } = await serve({
      checkUpgrade,
      upgrade: (transport, info) => void upgrades.push({ transport, info }),
    })
    const socket = connect(port, '127.0.0.1')
    const frame = (byte: number): Buffer => Buffer.of(0x82, 0x81, 0, 0, 0, 0, byte)
    socket.write(Buffer.concat([Buffer.from(upgradeRequest('/socket?later', '')), frame(42)]))
    await until(() => asked.length === 1)
    socket.write(frame(43))
    asked[0]?.answer(undefined)
    await until(() => upgrades.length === 1)
    const seen = new TransportRecorder()
    upgrades[0]?.transport.start(seen)
    await seen.until(() => seen.messages.length === 2)
    expect(seen.messages.map(([byte]) => byte)).toEqual([42, 43])
    socket.destroy()
  })

  it.each<[string, (socket: Socket) => void]>([
    ['reset', (socket) => socket.resetAndDestroy()],
    ['ended by its client', (socket) => socket.end()],
  ])('says when the connection of a handshake that waits is %s, and opens nothing then', async (_, end) => {
    const { checkUpgrade, asked } = scriptedCheck()
    const { port, upgrades } = await serve({ checkUpgrade })
    const socket = connect(port, '127.0.0.1')
    socket.write(upgradeRequest('/socket?later', ''))
    await until(() => asked.length === 1)
    end(socket)
    await until(() => asked[0]?.signal?.aborted === true)
    asked[0]?.answer(undefined)
    expect(await rawUpgrade(port, '/socket?now', '')).toMatch(/^HTTP\/1\.1 101 /)
    expect(upgrades).toHaveLength(1)
  })

  it('ends what waits when it is closed', async () => {
    const { checkUpgrade, asked } = scriptedCheck()
    const { server, port } = await serve({ checkUpgrade })
    const socket = connect(port, '127.0.0.1')
    const ended = new Promise((resolve) => socket.on('close', resolve))
    socket.on('error', () => {})
    socket.write(upgradeRequest('/socket?later', ''))
    await until(() => asked.length === 1)
    await server.close()
    await ended
    await until(() => asked[0]?.signal?.aborted === true)
  })

  it('ends the WebSocket whose taker throws, and goes on', async () => {
    const error = vi.fn()
    const { port, url } = await serve({
      log: { ...silentLogger, error },
      upgrade: () => {
        throw new Error('broken')
      },
    })
    const ws = new WebSocket(`ws://127.0.0.1:${port}/socket`)
    expect(await new Promise((resolve) => ws.on('close', resolve))).toBe(1006)
    expect(error).toHaveBeenCalledWith('http.upgrade.failed', { error: 'Error: broken' })
    expect((await fetch(url)).status).toBe(200)
  })
})

/** Answers handshakes whose query is `later` when the test does. */
function scriptedCheck() {
  const asked: { readonly signal: AbortSignal | undefined; readonly answer: (refusal: Refusal | undefined) => void }[] =
    []
  const checkUpgrade: HttpServerOptions['checkUpgrade'] = ({ query }, { signal }) =>
    query.has('later') ? new Promise((answer) => asked.push({ signal, answer })) : undefined
  return { asked, checkUpgrade }
}

function upgradeRequest(path: string, fields: string): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${fields}\r\n`
  )
}

/** The header of the answer. */
function rawUpgrade(port: number, path: string, fields: string): Promise<string> {
  return firstOf(port, upgradeRequest(path, fields))
}

/** The first bytes of the answer. */
function firstOf(port: number, request: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('data', (data) => {
      socket.destroy()
      resolve(String(data))
    })
    socket.write(request)
  })
}

describe('HttpServer', () => {
  it('names the port that is in use', async () => {
    const { port } = await serve()
    await expect(serve({ listen: [{ host: '127.0.0.1', port }] })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: `port ${port} on 127.0.0.1 is already in use`,
    })
  })

  it('closes idle and open connections, WebSockets with 1001, and frees the port', async () => {
    const hanging = deferred()
    // this one is to be free again, so no other process may be given it
    const port = await freePort()
    const { server, url } = await serve({
      listen: [{ host: '127.0.0.1', port }],
      handle: (request) => {
        if (request.url.endsWith('/hang')) {
          hanging.resolve()
          return new Promise(() => {})
        }
        return Promise.resolve(new Response())
      },
    })
    const idle = connect(port, '127.0.0.1')
    const idleClosed = new Promise((resolve) => idle.resume().on('close', resolve))
    const ws = new WebSocket(`ws://127.0.0.1:${port}/socket`)
    await new Promise((resolve) => ws.on('open', resolve))
    const wsClosed = new Promise((resolve) => ws.on('close', resolve))
    const hung = fetch(`${url}/hang`).catch(() => 'ended')
    await hanging.promise
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const closing = server.close()
    expect(server.close()).toBe(closing)
    expect(await wsClosed).toBe(1001)
    // the grace of requests under way
    vi.runAllTimers()
    await closing
    expect(await hung).toBe('ended')
    await idleClosed
    await serve({ listen: [{ host: '127.0.0.1', port }] })
  })

  it('lets a request under way be answered when it closes', async () => {
    // the grace of requests under way does not pass
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const [asked, closed] = [deferred(), deferred()]
    const { server, port, url } = await serve({
      handle: async () => {
        asked.resolve()
        await closed.promise
        return new Response('late')
      },
    })
    const answer = fetch(url).then((response) => response.text())
    await asked.promise
    const closing = server.close()
    await untilPasses(async () => expect(await isOpen(port)).toBe(false))
    closed.resolve()
    await closing
    expect(await answer).toBe('late')
  })

  it('is quiet when every request is answered that has come or is about to', async () => {
    stoppedClock()
    const [asked, goOn] = [deferred(), deferred()]
    const { server, port } = await serve({
      handle: async () => {
        asked.resolve()
        await goOn.promise
        return new Response('fine')
      },
    })
    expect(server.isQuiet).toBe(true)
    const socket = connect(port, '127.0.0.1')
      .on('error', () => {})
      .resume()
    await until(() => !server.isQuiet)
    socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    await asked.promise
    expect(server.isQuiet).toBe(false)
    goOn.resolve()
    await until(() => server.isQuiet)
    expect(socket.destroyed).toBe(false)
    server.stopAccepting()
    // one that waits for another request gets its answer, which is the last
    socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    await until(() => socket.destroyed)
    expect(server.isQuiet).toBe(true)
  })

  it('is quiet while events are read, and when a connection is gone that asked for nothing', async () => {
    stoppedClock()
    const body = new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode('data: one\n\n')) })
    const { server, url, port } = await serve({
      handle: async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } }),
    })
    const answer = await fetch(url)
    const reader = answer.body?.getReader()
    await reader?.read()
    await until(() => server.isQuiet)
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    await until(() => !server.isQuiet)
    socket.destroy()
    await until(() => server.isQuiet)
    await reader?.cancel()
  })

  it('is not quiet before a WebSocket is opened that was asked for', async () => {
    stoppedClock()
    const [asked, goOn] = [deferred(), deferred()]
    const { server, port, upgrades } = await serve({
      checkUpgrade: async () => {
        asked.resolve()
        await goOn.promise
        return undefined
      },
    })
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`)
    socket.on('error', () => {})
    await asked.promise
    expect(server.isQuiet).toBe(false)
    goOn.resolve()
    await until(() => upgrades.length === 1)
    expect(server.isQuiet).toBe(true)
    socket.terminate()
  })

  it('ends a connection with the answer that was under way when it stopped accepting', async () => {
    const [asked, stopped] = [deferred(), deferred()]
    const { server, port } = await serve({
      handle: async () => {
        asked.resolve()
        await stopped.promise
        return new Response('last')
      },
    })
    const answer = rawHttp(port, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    await asked.promise
    server.stopAccepting()
    stopped.resolve()
    const { head, body } = await answer
    expect(head.toLowerCase()).toContain('connection: close')
    expect(body).toContain('last')
  })
})
