import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import * as library from '../../src/index.js'
import type { ServerOptions } from '../../src/node/options.js'
import { atEnd } from '../support/at-end.js'
import { freePort } from '../support/ports.js'
import { untilPasses } from '../support/wait.js'
import {
  addressBytes,
  echoServer,
  exchange,
  forwardPair,
  type RunningServer,
  socksRequest,
  startClient,
  startServer,
  tcpServer,
} from './library-fixture.js'

const LOOPBACK = '127.0.0.1'
const agentTokens: ServerOptions['tokens'] = [
  { type: 'reverse', token: 'provider' },
  { type: 'connector', token: 'connector', reverseToken: 'provider' },
]

/** SOCKS ports of reverse tokens from a part of the range of their own. */
async function agent(options: ServerOptions = {}): Promise<RunningServer> {
  const first = await freePort()
  return startServer({ tokens: agentTokens, portRange: [first, 65_535], ...options })
}

describe('the library', () => {
  it('exports what the documentation names, and nothing by accident', () => {
    const names = ['Client', 'LinkSocksError', 'Server', 'createLogger', 'defaultEgressPolicy', 'silentLogger']
    expect(Object.keys(library).toSorted()).toEqual(names)
  })
})

describe('forward mode', () => {
  it('dials through the server, half-close included', async () => {
    const { client } = await forwardPair()
    const stream = await client.dial(LOOPBACK, await echoServer())
    expect(await exchange(stream, 'through the tunnel')).toBe('through the tunnel')
  })

  it('reads what comes after its own end', async () => {
    const port = await tcpServer((socket) => {
      let text = ''
      socket.on('data', (chunk) => {
        text += String(chunk)
      })
      socket.on('end', () => socket.end(`got ${text}`))
    })
    const { client } = await forwardPair()
    expect(await exchange(await client.dial('localhost', port), 'all')).toBe('got all')
  })

  it('serves a local SOCKS port with credentials', async () => {
    const socks = { port: 0, username: 'user', password: 'pass' }
    const { client } = await forwardPair({}, { socks })
    const port = client.socksAddress?.port ?? 0
    const target = { host: LOOPBACK, port: await echoServer() }
    expect((await socksRequest(port, target)).rep).toBeUndefined()
    expect((await socksRequest(port, target, { credentials: ['user', 'wrong'] })).rep).toBeUndefined()
    const { rep, socket } = await socksRequest(port, target, { credentials: ['user', 'pass'] })
    expect(rep).toBe(0)
    expect(await exchange(socket, 'by socks')).toBe('by socks')
  })

  it('carries UDP', async () => {
    const { client } = await forwardPair({}, { socks: { port: 0 } })
    const echo = createSocket('udp4', (data, from) => echo.send(`re: ${data}`, from.port, from.address))
    echo.bind(0, LOOPBACK)
    await once(echo, 'listening')
    atEnd(() => echo.close())
    expect(await udpExchange(client.socksAddress?.port ?? 0, 'localhost', echo.address().port, 'ping')).toBe('re: ping')
  })
})

describe('reverse mode', () => {
  it('opens the SOCKS port with the first provider, which dials', async () => {
    const port = await freePort()
    const { server, url } = await startServer({ tokens: [{ type: 'reverse', token: 'secret', port }] })
    expect(server.tokens()).toMatchObject([{ type: 'reverse', clientsCount: 0, port, listening: false }])
    await startClient({ url, token: 'secret', reverse: true })
    await untilPasses(() => expect(server.tokens()).toMatchObject([{ clientsCount: 1, listening: true }]))
    const { rep, socket } = await socksRequest(port, { host: LOOPBACK, port: await echoServer() })
    expect(rep).toBe(0)
    expect(await exchange(socket, 'in reverse')).toBe('in reverse')
  })

  it('opens the SOCKS port at once with socksNowait', async () => {
    const port = await freePort()
    const { url } = await startServer({ tokens: [{ type: 'reverse', token: 'secret', port }], socksNowait: true })
    const waiting = socksRequest(port, { host: LOOPBACK, port: await echoServer() })
    await startClient({ url, token: 'secret', reverse: true })
    expect((await waiting).rep).toBe(0)
  })
})

describe('agent mode', () => {
  it('joins connector and provider, half-close included', async () => {
    const { url } = await agent()
    await startClient({ url, token: 'provider', reverse: true })
    const { client } = await startClient({ url, token: 'connector' })
    const stream = await client.dial(LOOPBACK, await echoServer())
    expect(await exchange(stream, 'to the agent')).toBe('to the agent')
  })

  it('lets a request wait for the provider', async () => {
    const { url } = await agent()
    const { client } = await startClient({ url, token: 'connector' })
    const dialled = client.dial(LOOPBACK, await echoServer())
    await startClient({ url, token: 'provider', reverse: true })
    expect(await exchange(await dialled, 'early')).toBe('early')
  })

  it('gives up after connectorWaitMs', async () => {
    const { url } = await agent({ connectorWaitMs: 0 })
    const { client } = await startClient({ url, token: 'connector' })
    await expect(client.dial(LOOPBACK, 80)).rejects.toMatchObject({ code: 'ERR_DIAL_NETWORK_UNREACHABLE' })
  })
})

describe('autonomy mode', () => {
  const tokens: ServerOptions['tokens'] = [{ type: 'reverse', token: 'secret', allowManageConnector: true }]
  const registered = (count: number, tokensOf: () => readonly string[]) =>
    untilPasses(() => expect(tokensOf()).toHaveLength(count))

  it('lets each provider hand out connector tokens that reach it alone', async () => {
    const { server, url } = await startServer({ tokens })
    const refuse = (): string => 'not from here'
    const open = await startClient({ url, token: 'secret', reverse: true, connectorTokens: ['to-open'] })
    await startClient({ url, token: 'secret', reverse: true, connectorTokens: ['to-shut'], egressPolicy: refuse })
    await untilPasses(() => expect(server.tokens()).toMatchObject([{ connectorTokens: ['to-open', 'to-shut'] }]))
    const port = await echoServer()
    const { client } = await startClient({ url, token: 'to-open' })
    const { client: other } = await startClient({ url, token: 'to-shut' })
    for (let dials = 0; dials < 3; dials += 1) {
      expect(await exchange(await client.dial(LOOPBACK, port), 'mine')).toBe('mine')
      await expect(other.dial(LOOPBACK, port)).rejects.toMatchObject({ code: 'ERR_DIAL_NOT_ALLOWED' })
    }
    expect(open.client.connectorTokens).toEqual(['to-open'])
  })

  it('generates a connector token, tells it once, and keeps it over a restart of the server', async () => {
    const port = await freePort()
    const first = await startServer({ tokens, port })
    const { client: provider, log } = await startClient({
      url: first.url,
      token: 'secret',
      reverse: true,
      connectorTokens: [''],
    })
    await registered(1, () => provider.connectorTokens)
    await first.server.close()
    const second = await startServer({ tokens, port })
    const [token = ''] = provider.connectorTokens
    await untilPasses(() => expect(second.server.tokens()).toMatchObject([{ connectorTokens: [token] }]))
    expect(log.of('connector.generated')).toEqual([{ connectorToken: token }])
    const { client } = await startClient({ url: second.url, token })
    expect(await exchange(await client.dial(LOOPBACK, await echoServer()), 'again')).toBe('again')
  })
})

/** One datagram through a SOCKS association, and the payload of the first one that comes back. */
async function udpExchange(socksPort: number, host: string, port: number, text: string): Promise<string> {
  const { rep, boundPort } = await socksRequest(socksPort, { host: '0.0.0.0', port: 0 }, { cmd: 3 })
  expect(rep).toBe(0)
  const socket = createSocket('udp4')
  atEnd(() => socket.close())
  const answered = once(socket, 'message')
  const end = Buffer.alloc(2)
  end.writeUInt16BE(port)
  socket.send(Buffer.concat([Buffer.of(0, 0, 0), addressBytes(host), end, Buffer.from(text)]), boundPort, LOOPBACK)
  const [message] = (await answered) as [Buffer]
  return message.subarray(10).toString()
}
