import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import type { LinkSocksError } from '../../src/errors.js'
import type { ServerOptions } from '../../src/node/options.js'
import { Server } from '../../src/node/server.js'
import { packageVersion } from '../../src/node/system/package-version.js'
import { ChannelProtocol, encodeConnect } from '../../src/protocol/messages.js'
import { atEnd } from '../support/at-end.js'
import { sha256 } from '../support/e2e/scene.js'
import { freePort } from '../support/ports.js'
import { rawHttp } from '../support/raw-http.js'
import { untilPasses } from '../support/wait.js'
import {
  echoServer,
  exchange,
  forwardPair,
  isOpen,
  newClient,
  readAll,
  startServer,
  tcpServer,
} from './library-fixture.js'
import { stoppedClock } from './stopped-clock.js'

const HOST = '127.0.0.1'

function made(options: ServerOptions = {}): Server {
  const server = new Server({ host: HOST, port: 0, ...options })
  atEnd(() => server.close())
  return server
}

describe('Server options', () => {
  it.each<[string, ServerOptions]>([
    ['port', { port: 65_536 }],
    ['port', { port: 1.5 }],
    ['portRange[0]', { portRange: [0, 10] }],
    ['portRange[1]', { portRange: [20_000, 10_000] }],
    ['apiKey', { apiKey: '' }],
    ['connectorWaitMs', { connectorWaitMs: -1 }],
    ['connectorWaitMs', { connectorWaitMs: Number.NaN }],
    ['udpTimeoutMs', { udpTimeoutMs: 0 }],
    ['pingIntervalMs', { pingIntervalMs: Number.NaN }],
    ['pingTimeoutMs', { pingIntervalMs: 1_000, pingTimeoutMs: 1_000 }],
    ['udpTimeoutMs', { udpTimeoutMs: Number.POSITIVE_INFINITY }],
    ['exitProxy', { exitProxy: 'ftp://user:hidden@proxy' }],
    ['trusted proxy', { trustedProxies: ['10.0.0.0/40'] }],
  ])('refuses a wrong %s', (name, options) => {
    const thrown = (): unknown => new Server(options)
    expect(thrown).toThrow(expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringContaining(name) }))
    expect(thrown).not.toThrow(/hidden/)
  })

  it('takes the limits themselves', () => {
    expect(
      made({
        port: 65_535,
        portRange: [1, 1],
        connectorWaitMs: 0,
        udpTimeoutMs: 1,
        pingIntervalMs: 100,
        pingTimeoutMs: 101,
      }).address,
    ).toBeUndefined()
  })
})

describe('Server.listen()', () => {
  it('gives the address, to all callers', async () => {
    const server = made()
    const first = server.listen()
    expect(server.listen()).toBe(first)
    expect(await first).toEqual(server.address)
    expect(await isOpen(server.address?.port ?? 0)).toBe(true)
  })

  it('throws ERR_LISTEN for a port in use, and leaves nothing open', async () => {
    const taken = await tcpServer(() => {})
    const socks = await freePort()
    const tokens: ServerOptions['tokens'] = [{ type: 'reverse', token: 'r', port: socks }]
    const server = made({ port: taken, tokens, socksNowait: true })
    await expect(server.listen()).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: expect.stringContaining(`port ${taken}`),
    })
    expect([await isOpen(socks), server.address]).toEqual([false, undefined])
    await expect(server.listen()).rejects.toMatchObject({ code: 'ERR_LISTEN' })
    await server.close()
  })

  it('throws what is wrong with a token, and does not open the port', async () => {
    const port = await freePort()
    const token = { type: 'forward', token: 'twice' } as const
    await expect(made({ port, tokens: [token, token] }).listen()).rejects.toMatchObject({ code: 'ERR_TOKEN_EXISTS' })
    expect(await isOpen(port)).toBe(false)
  })

  it('throws ERR_SHUTTING_DOWN after close(), and opens nothing', async () => {
    const port = await freePort()
    const server = made({ port })
    await server.close()
    await expect(server.listen()).rejects.toMatchObject({ code: 'ERR_SHUTTING_DOWN' })
    await expect(server.addToken({ type: 'forward' })).rejects.toMatchObject({ code: 'ERR_SHUTTING_DOWN' })
    expect(await isOpen(port)).toBe(false)
  })

  it('throws ERR_SHUTTING_DOWN when closed meanwhile, and leaves nothing open', async () => {
    const [port, socks] = [await freePort(), await freePort()]
    const tokens: ServerOptions['tokens'] = [{ type: 'reverse', token: 'r', port: socks }]
    const server = made({ port, tokens, socksNowait: true })
    const listening = server.listen()
    listening.catch(() => {})
    await server.close()
    await expect(listening).rejects.toMatchObject({ code: 'ERR_SHUTTING_DOWN' })
    expect([await isOpen(port), await isOpen(socks), server.address]).toEqual([false, false, undefined])
  })
})

describe('Server.close()', () => {
  it('is shared by all callers, and frees the port', async () => {
    const port = await freePort()
    const { server } = await startServer({ port })
    const closing = server.close()
    expect(server.close()).toBe(closing)
    await closing
    await server[Symbol.asyncDispose]()
    expect([await isOpen(port), server.address]).toEqual([false, undefined])
    await startServer({ port })
  })

  it('may come before listen()', async () => {
    await made().close()
  })

  it('ends links and streams', async () => {
    const { server, client } = await forwardPair({}, { reconnect: false })
    const stream = await client.dial(HOST, await echoServer())
    const failed = once(stream, 'error')
    await server.close()
    expect(await failed).toMatchObject([{ code: expect.stringMatching(/^ERR_/) }])
    expect(await client.closed).toMatchObject({ code: 'ERR_LINK_LOST' })
  })

  it('ends connections that have not authenticated', async () => {
    // with the clock stopped, close() would hang if it waited for a grace period
    stoppedClock()
    const { server, port } = await startServer()
    const socket = connect(port, HOST)
    socket.write(
      'GET /socket HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    )
    expect(String((await once(socket, 'data'))[0])).toContain('101 Switching')
    socket.on('data', () => socket.end())
    await server.close()
  })
})

describe('Server tokens', () => {
  it('are added and removed while it runs: the links of a removed one end at once', async () => {
    const { server, client } = await forwardPair({}, { reconnect: false })
    const stream = await client.dial(HOST, await echoServer())
    const failed = once(stream, 'error').then(([error]) => error as LinkSocksError)
    expect(server.tokens()).toEqual([{ type: 'forward', token: 'secret', clientsCount: 1 }])
    await server.removeToken('secret')
    expect((await failed).code).toMatch(/^ERR_/)
    expect(await client.closed).toMatchObject({ code: 'ERR_LINK_LOST' })
    expect(server.tokens()).toEqual([])
    await expect(server.removeToken('secret')).rejects.toMatchObject({ code: 'ERR_TOKEN_NOT_FOUND' })
  })

  it('a removed and re-added token lets its client back in', async () => {
    const { server, client } = await forwardPair()
    await server.removeToken('secret')
    await server.addToken({ type: 'forward', token: 'secret' })
    const stream = await client.dial(HOST, await echoServer())
    expect(await exchange(stream, 'back')).toBe('back')
  })

  it('free the SOCKS port when removed', async () => {
    const { server } = await startServer({ socksNowait: true })
    const { token, port = 0 } = await server.addToken({ type: 'reverse', port: await freePort() })
    expect([token.length, await isOpen(port)]).toEqual([32, true])
    await server.removeToken(token)
    expect(await isOpen(port)).toBe(false)
    expect(await server.addToken({ type: 'reverse', token: 'other', port })).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{24}$/),
      token: 'other',
      port,
    })
  })
})

describe('Server HTTP', () => {
  it('names itself and says whether the API is enabled', async () => {
    const { port } = await startServer()
    const { port: other } = await startServer({ apiKey: 'key' })
    const text = `LinkSocks ${packageVersion()} is running`
    const home = async (at: number): Promise<string> => (await fetch(`http://127.0.0.1:${at}/`)).text()
    expect(await home(port)).toBe(`${text} but API is not enabled.\n`)
    expect(await home(other)).toBe(`${text}. API endpoints available at /api/*\n`)
  })

  const rejected = async (options: ServerOptions, headers: Record<string, string>): Promise<unknown> => {
    const { url, log } = await startServer(options)
    const { client } = newClient({ url, token: 'unknown', headers })
    await expect(client.start()).rejects.toMatchObject({ code: 'ERR_AUTH_REJECTED' })
    await untilPasses(() => expect(log.of('link.rejected')).toHaveLength(1))
    expect(log.text).not.toContain('unknown')
    return log.of('link.rejected')[0]?.address
  }

  it('believes X-Forwarded-For of a trusted proxy alone', async () => {
    const headers = { 'X-Forwarded-For': '203.0.113.9' }
    expect(await rejected({}, headers)).toBe(HOST)
    expect(await rejected({ trustedProxies: ['127.0.0.0/8'] }, headers)).toBe('203.0.113.9')
  })

  it('answers the API by fetch, and what fetch can’t send', async () => {
    const { port, server } = await startServer({ apiKey: 'key' })
    const base = `http://127.0.0.1:${port}/api`
    const headers = { 'X-API-Key': 'key' }
    expect((await fetch(`${base}/status`)).status).toBe(401)
    const body = JSON.stringify({ type: 'forward', token: '..' })
    expect((await fetch(`${base}/token`, { method: 'POST', headers, body })).status).toBe(200)
    expect(await (await fetch(`${base}/status`, { headers })).json()).toMatchObject({ tokens: [{ token: '..' }] })
    const tail = 'HTTP/1.1\r\nHost: x\r\nX-API-Key: key\r\nConnection: close\r\n\r\n'
    expect((await rawHttp(port, `TRACE /api/status ${tail}`)).status).toBe(405)
    expect((await rawHttp(port, `DELETE /api/token/%2e%2e ${tail}`)).status).toBe(200)
    expect(server.tokens()).toEqual([])
  })
})

describe('Server and a deployed client with several links', () => {
  const upgrade = (port: number, query: string): Promise<{ status: number | undefined; ws: WebSocket }> => {
    const ws = new WebSocket(`ws://${HOST}:${port}/socket?${query}`)
    atEnd(() => ws.terminate())
    return new Promise((resolve) => {
      ws.on('error', () => {})
      // the answer
      ws.on('message', () => resolve({ status: 101, ws }))
      ws.on('unexpected-response', (_, { statusCode: status }) => resolve({ status, ws }))
    })
  }

  it('answers 503 before the upgrade while a link with a channel lives, and lets it in when that is gone', async () => {
    const { port: relay } = await made({ tokens: [{ type: 'forward', token: 'f' }] }).listen()
    const query = `token=${sha256('f')}&instance=65c9bb62-d189-4ebc-a9e7-cb2d50827bb2`
    const { status, ws } = await upgrade(relay, query)
    expect(status).toBe(101)
    const port = await tcpServer((socket) => socket.resume())
    const channelId = new Uint8Array(16).fill(7)
    ws.send(encodeConnect({ protocol: ChannelProtocol.Tcp, channelId, target: { host: HOST, port } }))
    await once(ws, 'message')
    expect((await upgrade(relay, query)).status).toBe(503)
    // the same id proves nothing without the token, and part B has no such limit
    expect((await upgrade(relay, query.replace(sha256('f'), sha256('g')))).status).toBe(101)
    expect((await upgrade(relay, `${query}&ext=1`)).status).toBe(101)
    ws.terminate()
    await untilPasses(async () => expect((await upgrade(relay, query)).status).toBe(101))
  })
})

describe('Server streams', () => {
  it('come to an orderly end on both sides', async () => {
    const { client } = await forwardPair()
    const port = await tcpServer((socket) => socket.end('bye'))
    const stream = await client.dial(HOST, port)
    expect(await readAll(stream)).toBe('bye')
    stream.end()
    await once(stream, 'close')
  })
})
