import dns from 'node:dns'
import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import type { ClientOptions } from '../../src/node/options.js'
import { atEnd } from '../support/at-end.js'
import { freePort } from '../support/ports.js'
import { until } from '../support/wait.js'
import {
  echoServer,
  exchange,
  forwardPair,
  isOpen,
  newClient,
  socksRequest,
  startServer,
  take,
  tcpServer,
} from './library-fixture.js'

const HOST = '127.0.0.1'

describe('Client options', () => {
  it.each<[string, ClientOptions]>([
    ['threads', { threads: 0 }],
    ['threads', { threads: 65 }],
    ['threads', { threads: 1.5 }],
    ['token', { token: '' }],
    ['token', { token: 'hidden'.repeat(43) }],
    ['connectorTokens', { connectorTokens: ['a'] }],
    ['connectorTokens', { reverse: true, connectorTokens: Array.from({ length: 65 }, () => '') }],
    ['connectorTokens[1]', { reverse: true, connectorTokens: ['', 'é'.repeat(128)] }],
    ['socks', { reverse: true, socks: {} }],
    ['socks.port', { socks: { port: -1 } }],
    ['socks.sockets', { socks: { sockets: [] } }],
    ['socks.sockets[1]', { socks: { sockets: [3, 3] } }],
    ['socks.sockets', { socks: { sockets: [3], port: 1080 } }],
    ['socks.sockets', { socks: { sockets: [3], host: '::1' } }],
    ['socks.password', { socks: { username: 'hidden' } }],
    ['socks.password', { socks: { username: 'a', password: '' } }],
    ['socks.username', { socks: { username: 'x'.repeat(256), password: 'hidden' } }],
    ['exitProxy', { reverse: true, exitProxy: 'hidden' }],
    ['serverProxy', { serverProxy: 'https://user:hidden@proxy:1' }],
    ['udpTimeoutMs', { udpTimeoutMs: Number.NaN }],
    ['url', { url: [] }],
    ['url', { url: Array.from({ length: 17 }, () => 'ws://x') }],
    ['pingIntervalMs', { pingIntervalMs: 99 }],
    ['pingTimeoutMs', { pingTimeoutMs: 20_000 }],
    ['pingTimeoutMs', { pingIntervalMs: 45_000 }],
    ['tls.ca', { tls: { ca: 'hidden' } }],
    ['tls.ca', { tls: { ca: '-----BEGIN CERTIFICATE-----\nhidden\n-----END CERTIFICATE-----' } }],
  ])('refuses a wrong %s', (name, options) => {
    const thrown = (): unknown => newClient(options)
    expect(thrown).toThrow(expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringContaining(name) }))
    expect(thrown).not.toThrow(/hidden/)
  })

  it('takes the limits themselves', () => {
    const tokens = Array.from({ length: 64 }, () => '')
    newClient({
      threads: 64,
      token: 'x'.repeat(255),
      reverse: true,
      connectorTokens: tokens,
      serverProxy: 'proxy:8080',
    })
    newClient({ socks: { username: 'x'.repeat(255), password: 'y', port: 65_535 } })
  })
})

describe('Client.start()', () => {
  it('throws ERR_AUTH_REJECTED for a wrong token, and `closed` tells the same', async () => {
    const { url } = await startServer({ tokens: [{ type: 'reverse', token: 'secret', allowManageConnector: true }] })
    const { client } = newClient({ url, token: 'secret', socks: { port: 0, nowait: true } })
    const starting = client.start()
    await expect(starting).rejects.toMatchObject({ code: 'ERR_AUTH_REJECTED' })
    expect(await client.closed).toMatchObject({ code: 'ERR_AUTH_REJECTED' })
    expect(client.start()).toBe(starting)
    expect(client.socksAddress).toBeUndefined()
  })

  it.each([false, true])('throws ERR_LISTEN for a SOCKS port in use (nowait: %s), and `closed` too', async (nowait) => {
    const port = await tcpServer(() => {})
    const { url, server } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }] })
    const { client } = newClient({ url, token: 'secret', socks: { port, nowait } })
    await expect(client.start()).rejects.toMatchObject({ code: 'ERR_LISTEN' })
    expect(await client.closed).toMatchObject({ code: 'ERR_LISTEN' })
    await until(() => server.tokens()[0]?.clientsCount === 0)
  })

  it.each([
    ['ERR_CONNECT', async () => ({ url: `ws://${HOST}:${await freePort()}`, reconnect: false })],
    ['ERR_URL', async () => ({ url: 'ftp://relay.test' })],
    ['ERR_OPTION', async () => ({ url: (await startServer()).url, headers: { 'X-Bad': 'a\nb' } })],
  ])('throws %s', async (code, options) => {
    const { client } = newClient({ token: 'secret', ...(await options()) })
    await expect(client.start()).rejects.toMatchObject({ code })
    expect(await client.closed).toMatchObject({ code })
  })

  it('waits for a server that comes later', async () => {
    const port = await freePort()
    const { client } = newClient({ url: `ws://${HOST}:${port}`, token: 'secret' })
    const starting = client.start()
    await startServer({ port, tokens: [{ type: 'forward', token: 'secret' }] })
    await starting
    expect(await exchange(await client.dial(HOST, await echoServer()), 'late')).toBe('late')
  })

  it('opens the SOCKS port with the first link, with nowait before it', async () => {
    const port = await freePort()
    const url = `ws://${HOST}:${port}`
    const [patient, eager] = [await freePort(), await freePort()]
    const { client: one } = newClient({ url, token: 'secret', socks: { port: patient } })
    const { client: two } = newClient({ url, token: 'secret', socks: { port: eager, nowait: true } })
    const starting = [one.start(), two.start()]
    await until(() => two.socksAddress !== undefined)
    expect(two.socksAddress).toEqual({ host: HOST, port: eager })
    expect([await isOpen(patient), one.socksAddress]).toEqual([false, undefined])
    const early = socksRequest(eager, { host: HOST, port: await echoServer() })
    await startServer({ port, tokens: [{ type: 'forward', token: 'secret' }] })
    await Promise.all(starting)
    expect((await early).rep).toBe(0)
    expect(one.socksAddress?.port).toBe(patient)
  })
})

describe('Client.close()', () => {
  it('is shared by all callers, settles `closed`, and frees the SOCKS port', async () => {
    const { client } = await forwardPair({}, { socks: { port: 0 } })
    const port = client.socksAddress?.port ?? 0
    const stream = await client.dial(HOST, await echoServer())
    const failed = once(stream, 'error')
    const closing = client.close()
    expect(client.close()).toBe(closing)
    await closing
    await client[Symbol.asyncDispose]()
    expect([await client.closed, client.socksAddress, await isOpen(port)]).toEqual([undefined, undefined, false])
    expect(await failed).toMatchObject([{ code: expect.stringMatching(/^ERR_/) }])
    await expect(client.dial(HOST, 80)).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
  })

  it('ends start(), whatever it waits for', async () => {
    const silent = await tcpServer(() => {})
    for (const port of [await freePort(), silent]) {
      const { client } = newClient({ url: `ws://${HOST}:${port}`, token: 'secret', socks: { port: 0, nowait: true } })
      const starting = client.start()
      starting.catch(() => {})
      await until(() => client.socksAddress !== undefined)
      await client.close()
      await expect(starting).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
      expect([await client.closed, client.socksAddress]).toEqual([undefined, undefined])
    }
  })

  it.each([true, false])('ends start() in the middle of opening the SOCKS port (nowait: %s)', async (nowait) => {
    const port = await freePort()
    const { url } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }] })
    // the port opens once the name is looked up, which takes as long as the test says
    const lookup = vi.spyOn(dns, 'lookup').mockImplementation((() => {}) as never)
    atEnd(() => lookup.mockRestore())
    const { client } = newClient({ url, token: 'secret', socks: { host: 'name.test', port, nowait } })
    const starting = client.start()
    starting.catch(() => {})
    await until(() => lookup.mock.calls.length > 0)
    const closing = client.close()
    const [, ...more] = lookup.mock.calls[0] as unknown as [string, ...unknown[]]
    const done = more.at(-1) as (...answer: unknown[]) => void
    if (more.length > 1) done(null, [{ address: HOST, family: 4 }])
    else done(null, HOST, 4)
    await closing
    await expect(starting).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect(await isOpen(port)).toBe(false)
  })

  it('may come before start(), which then throws', async () => {
    const { client } = newClient({ socks: { port: 0, nowait: true } })
    await client.close()
    expect(await client.closed).toBeUndefined()
    await expect(client.start()).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect(client.socksAddress).toBeUndefined()
  })

  it('leaves nothing that keeps the process alive', async () => {
    const kept = (): string[] => process.getActiveResourcesInfo().filter((kind) => /^(TCP|Timeout)/.test(kind))
    // what the tests before have closed may take a moment to go
    await until(() => !kept().some((kind) => kind.startsWith('TCP')))
    const port = await echoServer()
    const before = kept().toSorted()
    const sockets = (): number => kept().filter((kind) => kind.startsWith('TCP')).length
    const socketsBefore = sockets()
    const { client, server } = await forwardPair({}, { threads: 4, socks: { port: 0 } })
    const stream = await client.dial(HOST, port)
    stream.on('error', () => {})
    expect(sockets()).toBeGreaterThan(socketsBefore + 4)
    await Promise.all([client.close(), server.close()])
    // timers of before may have gone meanwhile
    const added = (): string[] => {
      const known = [...before]
      return kept().filter((kind) => {
        const at = known.indexOf(kind)
        if (at !== -1) known.splice(at, 1)
        return at === -1
      })
    }
    await until(() => added().length === 0)
  })
})

describe('Client.dial()', () => {
  it('tells why a destination can’t be reached', async () => {
    const { client } = await forwardPair()
    const refused = client.dial(HOST, await freePort())
    await expect(refused).rejects.toMatchObject({ code: 'ERR_DIAL_REFUSED' })
    await expect(client.dial('169.254.169.254', 80)).rejects.toMatchObject({ code: 'ERR_DIAL_NOT_ALLOWED' })
    for (const port of [0, 65_536, 1.5]) {
      await expect(client.dial(HOST, port)).rejects.toMatchObject({ code: 'ERR_DIAL_FAILED' })
    }
    await expect(client.dial('', 80)).rejects.toMatchObject({ code: 'ERR_DIAL_HOST_UNREACHABLE' })
  })

  it('is not for providers', async () => {
    const { client } = newClient({ reverse: true })
    await expect(client.dial(HOST, 80)).rejects.toMatchObject({ code: 'ERR_OPTION' })
  })

  it('can be cancelled while it waits for a link', async () => {
    const { client } = newClient({ url: `ws://${HOST}:${await freePort()}` })
    const cancel = new AbortController()
    const dialled = client.dial(HOST, 80, { signal: cancel.signal })
    cancel.abort()
    await expect(dialled).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  })

  it('gives a Duplex whose destroy() with an error resets the far side', async () => {
    const { client } = await forwardPair()
    const reset = new Promise<NodeJS.ErrnoException>((resolve) => {
      void tcpServer((socket) => {
        socket.write('hi')
        socket.once('error', resolve)
        socket.resume()
      }).then(async (port) => {
        const stream = await client.dial(HOST, port)
        await take(stream, 2)
        stream.on('error', () => {}).destroy(new Error('enough'))
      })
    })
    expect((await reset).code).toBe('ECONNRESET')
  })

  it('passes a reset of the far side on', async () => {
    const { client } = await forwardPair()
    const port = await tcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()))
    const stream = await client.dial(HOST, port)
    const failed = once(stream, 'error')
    stream.write('x')
    expect(await failed).toMatchObject([{ name: 'LinkSocksError' }])
  })

  it('works again by itself after the server was closed and started on the same port', async () => {
    const tokens = [{ type: 'forward', token: 'secret' }] as const
    const { server, client, port, clientLog } = await forwardPair()
    await server.close()
    const dialled = client.dial(HOST, await echoServer())
    await startServer({ port, tokens })
    expect(await exchange(await dialled, 'again')).toBe('again')
    expect(clientLog.of('link.up')).toHaveLength(2)
  })
})
