import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { PASSED_WAIT_MS } from '../../src/node/client.js'
import { HANDED_WAIT_MS } from '../../src/relay/tokens/socks-ports.js'
import { freePort } from '../support/ports.js'
import { until } from '../support/wait.js'
import { FakeSocket, passSockets } from './fake-socket.js'
import { newClient, startClient, startServer } from './library-fixture.js'
import { stoppedClock } from './stopped-clock.js'

const SOCKS = { sockets: [3] }
const nowhere = async (): Promise<string> => `ws://127.0.0.1:${await freePort()}`

describe('a client whose proxy port was passed to it', () => {
  it('opens it with the first link, and says where it is', async () => {
    const socket = new FakeSocket()
    passSockets(socket)
    const { url } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }] })
    const { client, log } = await startClient({ url, token: 'secret', socks: SOCKS })
    expect(client.socksAddress).toEqual({ host: '127.0.0.1', port: 1080 })
    expect(log.of('socks.listening')).toEqual([{ host: '127.0.0.1', port: 1080 }])
    const user = await socket.client()
    user.write(Uint8Array.of(5, 1, 0))
    user.pause()
    const [greeting] = await once(user.resume(), 'data')
    expect([...greeting]).toEqual([5, 0])
    await client.close()
    expect([client.socksAddress, socket.isOpen]).toEqual([undefined, false])
  })

  it('opens it without a link when those who came have waited long enough', async () => {
    const clock = stoppedClock()
    const socket = new FakeSocket()
    passSockets(socket)
    const { client } = newClient({ url: await nowhere(), token: 'secret', socks: SOCKS })
    const started = client.start().catch(({ code }) => code)
    await until(() => clock.pending > 0)
    await clock.advanceAsync(PASSED_WAIT_MS - 1)
    expect(socket.servers).toEqual([])
    await clock.advanceAsync(1)
    await until(() => client.socksAddress !== undefined)
    await client.close()
    expect(await started).toBe('ERR_CANCELLED')
    expect(socket.isOpen).toBe(false)
  })

  it('gives it back when it is closed before it opened it, and when it drains', async () => {
    const socket = new FakeSocket()
    passSockets(socket)
    const { client, log } = newClient({ url: await nowhere(), token: 'secret', socks: SOCKS })
    const started = client.start().catch(({ code }) => code)
    await until(() => log.lines.length > 0)
    await client.close({ drainMs: 1 })
    expect(await started).toBe('ERR_CANCELLED')
    expect([socket.closes > 0, socket.servers]).toEqual([true, []])
  })

  it('takes none when it is closed before it begins', async () => {
    const socket = new FakeSocket()
    passSockets(socket)
    const { client } = newClient({ url: await nowhere(), token: 'secret', socks: SOCKS })
    const started = client.start().catch(({ code }) => code)
    await client.close()
    expect([await started, socket.closes]).toEqual(['ERR_CANCELLED', 0])
  })

  it('warns of one that anybody may use, by the address that it has', async () => {
    const socket = new FakeSocket()
    Object.assign(socket, { address: { host: '0.0.0.0', port: 1080 } })
    passSockets(socket)
    const { url } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }] })
    const { log } = await startClient({ url, token: 'secret', socks: SOCKS })
    expect(log.of('socks.unprotected')).toMatchObject([{ host: '0.0.0.0' }])
  })

  it('does not go to its server through it', async () => {
    const socket = new FakeSocket()
    passSockets(socket)
    const { url } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }] })
    const proxyEnv = { all_proxy: 'socks5://127.0.0.1:1080' }
    const { log } = await startClient({ url, token: 'secret', socks: SOCKS, proxyEnv })
    expect(log.of('proxy.ignored')).toMatchObject([{ variable: 'all_proxy' }])
  })
})

describe('a server whose sockets were passed to it', () => {
  const tokens = [{ type: 'reverse', token: 'P', port: 1080 }] as const
  const options = { host: undefined, port: undefined, tokens, listen: ['ws+fd:3'], socksSockets: [4] }

  it('holds them all until it listens, and closes them with itself', async () => {
    const [http, socks] = [new FakeSocket(8765), new FakeSocket(1080, 4)]
    passSockets(http, socks)
    const { server } = await startServer(options)
    expect([server.address, http.servers.length, socks.servers.length]).toEqual([
      { host: '127.0.0.1', port: 8765 },
      1,
      0,
    ])
    await server.close()
    expect([http.isOpen, socks.isOpen]).toEqual([false, false])
  })

  it('ends connections of a proxy port that no token has, after a while, and opens it for one that comes', async () => {
    const clock = stoppedClock()
    const [http, socks] = [new FakeSocket(8765), new FakeSocket(1080, 4)]
    passSockets(http, socks)
    const { server, log } = await startServer({ ...options, tokens: [] })
    await clock.advanceAsync(HANDED_WAIT_MS)
    await until(() => socks.isOpen && socks.servers.length === 1)
    const ended = new Promise((resolve) => void socks.client().then((user) => user.once('close', resolve)))
    await ended
    expect(log.of('socks.unused')).toMatchObject([{ port: 1080 }])
    await server.addToken({ type: 'reverse', token: 'P', port: 1080 })
    expect(log.of('socks.listening')).toEqual([{ port: 1080 }])
    const user = await socks.client()
    user.write(Uint8Array.of(5, 1, 0))
    const [greeting] = await once(user, 'data')
    expect([...greeting]).toEqual([5, 0])
    await server.removeToken('P')
    await new Promise((resolve) => void socks.client().then((late) => late.once('close', resolve)))
    expect(socks.isOpen).toBe(true)
  })

  it('warns of a proxy port that anybody may use, by the address that it has', async () => {
    const socks = new FakeSocket(1080, 4)
    Object.assign(socks, { address: { host: '0.0.0.0', port: 1080 } })
    passSockets(new FakeSocket(8765), socks)
    const { log } = await startServer(options)
    expect(log.of('socks.unprotected')).toMatchObject([{ host: '0.0.0.0' }])
  })

  it('serves metrics on theirs', async () => {
    const [http, metrics] = [new FakeSocket(8765), new FakeSocket(9090, 4)]
    passSockets(http, metrics)
    const { server } = await startServer({ ...options, tokens: [], socksSockets: [], metricsListen: { fd: 4 } })
    expect(server.metricsAddress).toMatchObject({ host: '127.0.0.1', port: 9090 })
    await server.close()
    expect(metrics.isOpen).toBe(false)
  })

  it('closes them where it cannot start', async () => {
    const [http, socks] = [new FakeSocket(8765), new FakeSocket(1080, 4)]
    passSockets(http, socks)
    const twice = [...tokens, { type: 'forward', token: 'P' }] as const
    await expect(startServer({ ...options, tokens: twice })).rejects.toMatchObject({ code: 'ERR_TOKEN_EXISTS' })
    expect([http.closes, socks.closes > 0, http.servers, socks.servers]).toEqual([1, true, [], []])
  })

  it('closes those that it took where another one cannot be used', async () => {
    const unix = new FakeSocket(8765, 4)
    Object.assign(unix, { address: undefined })
    const http = new FakeSocket(8765)
    passSockets(http, unix)
    await expect(startServer(options)).rejects.toThrow('descriptor 4 is a Unix socket: a proxy port needs a TCP socket')
    expect([http.closes, unix.closes]).toEqual([1, 1])
  })

  it('serves no TLS on a Unix domain socket', async () => {
    const unix = new FakeSocket()
    Object.assign(unix, { address: undefined })
    passSockets(unix)
    const tls = { certificates: [{ certFile: 'test/support/tls/server.pem', keyFile: 'test/support/tls/server.key' }] }
    const thrown = startServer({ ...options, listen: ['wss+fd:3'], socksSockets: [], tls })
    await expect(thrown).rejects.toThrow('descriptor 3 is a Unix socket, and those are served without TLS')
  })
})
