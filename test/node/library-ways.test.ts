import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import type { ClientOptions } from '../../src/node/options.js'
import type { EgressPolicy } from '../../src/ports.js'
import { atEnd } from '../support/at-end.js'
import { freePort } from '../support/ports.js'
import { httpProxy, socksProxy, type TestProxy } from '../support/proxies.js'
import { untilPasses } from '../support/wait.js'
import {
  addressBytes,
  echoServer,
  exchange,
  forwardPair,
  newClient,
  type RunningServer,
  socksRequest,
  startClient,
  startServer,
  take,
} from './library-fixture.js'

const HOST = '127.0.0.1'
const tlsFile = (name: string): string => readFileSync(new URL(`../support/tls/${name}`, import.meta.url), 'utf8')
const CA = tlsFile('ca.pem')

async function proxy(made: Promise<TestProxy>): Promise<TestProxy> {
  const running = await made
  atEnd(() => running.close())
  return running
}

/** A relay behind something that ends TLS, as in real life. */
async function behindTls(): Promise<RunningServer & { readonly securePort: number }> {
  const running = await startServer({ tokens: [{ type: 'forward', token: 'secret' }], trustedProxies: [HOST] })
  const server = createTlsServer({ key: tlsFile('server.key'), cert: tlsFile('server.pem') }, (secure) => {
    const plain = connect(running.port, HOST)
    plain.on('error', () => secure.destroy()).on('close', () => secure.destroy())
    secure.on('error', () => plain.destroy()).on('close', () => plain.destroy())
    secure.pipe(plain).pipe(secure)
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  atEnd(() => server.close())
  return { ...running, securePort: (server.address() as AddressInfo).port }
}

/** Without a half-close, which the test proxies take for the end. */
async function roundTrip(stream: Duplex, text: string): Promise<string> {
  stream.write(text)
  return String(await take(stream, text.length))
}

describe('exitProxy', () => {
  const kinds = [
    ['socks5', (options: Parameters<typeof httpProxy>[0]) => proxy(socksProxy(options))],
    ['http', (options: Parameters<typeof httpProxy>[0]) => proxy(httpProxy(options))],
  ] as const

  it.each(kinds)('%s in front of a forward server', async (scheme, open) => {
    const { port, requests } = await open({ targetPort: await echoServer(), credentials: 'me:pass word' })
    const { client } = await forwardPair({ exitProxy: `${scheme}://me:pass%20word@127.0.0.1:${port}` })
    expect(await roundTrip(await client.dial('far.test', 7), 'by proxy')).toBe('by proxy')
    expect(requests.join()).toContain('far.test:7')
  })

  it.each(kinds)('%s in front of a provider', async (scheme, open) => {
    const { port, requests } = await open({ targetPort: await echoServer() })
    const socks = await freePort()
    const { url } = await startServer({
      tokens: [{ type: 'reverse', token: 'secret', port: socks }],
      socksNowait: true,
    })
    await startClient({ url, token: 'secret', reverse: true, exitProxy: `${scheme}://127.0.0.1:${port}` })
    const { rep, socket } = await socksRequest(socks, { host: 'far.test', port: 7 })
    expect(rep).toBe(0)
    expect(await roundTrip(socket, 'by proxy')).toBe('by proxy')
    expect(requests).toHaveLength(1)
  })

  it('http refuses UDP with REP 07, and never sends it directly', async () => {
    const { port } = await proxy(httpProxy({ targetPort: 1 }))
    const { client } = await forwardPair({ exitProxy: `http://127.0.0.1:${port}` }, { socks: { port: 0 } })
    const { rep } = await socksRequest(client.socksAddress?.port ?? 0, { host: '0.0.0.0', port: 0 }, { cmd: 3 })
    expect(rep).toBe(7)
  })
})

describe('egressPolicy', () => {
  const judged: string[] = []
  const policy: EgressPolicy = ({ host, port }, protocol) => {
    judged.push(`${protocol} ${host}:${port}`)
    return 'not today'
  }

  it('refuses TCP with REP 02, and keeps UDP in', async () => {
    judged.length = 0
    const { client } = await forwardPair({ egressPolicy: policy }, { socks: { port: 0 } })
    const port = client.socksAddress?.port ?? 0
    expect((await socksRequest(port, { host: HOST, port: 9 })).rep).toBe(2)
    const received: unknown[] = []
    const target = createSocket('udp4', (data) => received.push(data)).bind(0, HOST)
    const sender = createSocket('udp4')
    atEnd(() => target.close())
    atEnd(() => sender.close())
    await once(target, 'listening')
    const { boundPort } = await socksRequest(port, { host: '0.0.0.0', port: 0 }, { cmd: 3 })
    const end = Buffer.alloc(2)
    end.writeUInt16BE(target.address().port)
    sender.send(Buffer.concat([Buffer.of(0, 0, 0), addressBytes(HOST), end, Buffer.from('x')]), boundPort, HOST)
    await untilPasses(() => expect(judged).toEqual([`tcp ${HOST}:9`, `udp ${HOST}:${target.address().port}`]))
    expect(received).toEqual([])
  })
})

describe('the way to the server', () => {
  it.each(['http', 'socks5'])('leads through an %s serverProxy', async (scheme) => {
    const { port: relay, url } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }] })
    const { port, requests } = await proxy((scheme === 'http' ? httpProxy : socksProxy)({ targetPort: relay }))
    const serverProxy = `${scheme}://127.0.0.1:${port}`
    const { client } = await startClient({ url, token: 'secret', serverProxy })
    expect(await exchange(await client.dial(HOST, await echoServer()), 'around')).toBe('around')
    expect(requests.join()).toContain(`127.0.0.1:${relay}`)
  })

  it('leads through the proxy that proxyEnv names, but not to loopback', async () => {
    const { port: relay, url } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }] })
    const { port, requests } = await proxy(httpProxy({ targetPort: relay }))
    const proxyEnv = { http_proxy: `http://127.0.0.1:${port}` }
    await startClient({ url, token: 'secret', proxyEnv })
    expect(requests).toEqual([])
    await startClient({ url: 'ws://relay.test', token: 'secret', proxyEnv })
    expect(requests.join()).toContain('relay.test:80')
  })

  it('uses TLS: `ca`, `serverName` and `insecure`', async () => {
    const { securePort } = await behindTls()
    const attempt = async (url: string, tls: ClientOptions['tls']): Promise<unknown> => {
      const { client } = newClient({ url, token: 'secret', tls, reconnect: false })
      return client.start().then(
        () => 'admitted',
        (error: Error) => error.message,
      )
    }
    const url = `wss://127.0.0.1:${securePort}`
    expect(await attempt(url, { ca: CA })).toBe('admitted')
    expect(await attempt(`127.0.0.1:${securePort}`, { ca: CA })).toBe('admitted')
    expect(await attempt(url, { ca: CA, serverName: 'relay.test' })).toBe('admitted')
    expect(await attempt(url, { ca: CA, serverName: 'other.test' })).toContain('the certificate is for another name')
    expect(await attempt(url, undefined)).toContain('the certificate is not trusted')
    expect(await attempt(url, { insecure: true })).toBe('admitted')
  })

  it('carries further headers', async () => {
    const { port, log } = await startServer({ trustedProxies: [HOST] })
    const headers = { 'X-Forwarded-For': '198.51.100.7' }
    const { client } = newClient({ url: `ws://127.0.0.1:${port}`, token: 'none', headers })
    await client.start().catch(() => {})
    await untilPasses(() => expect(log.of('link.rejected')).toMatchObject([{ address: '198.51.100.7' }]))
  })
})

describe('authInBand', () => {
  it.each(['', '/socket', '/socket/below'])('authenticates at the path "%s"', async (path) => {
    const { url, log } = await startServer({ tokens: [{ type: 'forward', token: 'sécret' }] })
    const { client } = await startClient({ url: url + path, token: 'sécret', authInBand: true })
    const text = 'more than an unauthenticated peer may send '.repeat(100)
    expect(await exchange(await client.dial(HOST, await echoServer()), text)).toBe(text)
    expect(log.text).not.toContain('sécret')
  })

  it('is cut off when a peer sends more than an Auth message can be', async () => {
    const { url, log } = await startServer()
    const peer = new WebSocket(`${url}/socket`)
    await once(peer, 'open')
    peer.send(new Uint8Array(64 * 1024))
    await once(peer, 'close')
    await untilPasses(() => expect(log.of('link.rejected')).toMatchObject([{ code: 'ERR_MESSAGE_TOO_LARGE' }]))
  })

  it('is refused like any other wrong token', async () => {
    const { url } = await startServer()
    const { client } = newClient({ url, token: 'secret', authInBand: true })
    await expect(client.start()).rejects.toMatchObject({ code: 'ERR_AUTH_REJECTED' })
  })
})

describe('fastOpen', () => {
  it('answers at once between two of ours; what goes wrong later ends the stream', async () => {
    const { client, clientLog } = await forwardPair({}, { fastOpen: true })
    expect(await exchange(await client.dial(HOST, await echoServer()), 'fast')).toBe('fast')
    const stream = await client.dial(HOST, await freePort())
    expect(await once(stream, 'error')).toMatchObject([{ code: 'ERR_DIAL_REFUSED' }])
    expect(clientLog.of('fastopen.off')).toEqual([])
  })
})

describe('traceMessages and threads', () => {
  it('log each message; each link is an authenticated one', async () => {
    const { server, client, clientLog, log } = await forwardPair(
      { traceMessages: true },
      { threads: 3, traceMessages: true },
    )
    await untilPasses(() => expect(server.tokens()).toMatchObject([{ clientsCount: 3 }]))
    await exchange(await client.dial(HOST, await echoServer()), 'traced')
    for (const one of [log, clientLog]) expect(one.of('message.received').length).toBeGreaterThan(1)
  })
})
