import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { readBytes } from '../../support/e2e/socks.js'
import { readAll, tcpTarget } from '../../support/e2e/targets.js'
import { freePort } from '../../support/ports.js'
import { within } from '../../support/wait.js'
import { type LocalCa, localCa } from '../support/programs/ca.js'
import { listen } from '../support/programs/origin.js'
import { describeWith } from '../support/programs/programs.js'
import { carriedAll, ProgramTunnel } from '../support/programs/tunnel.js'

vi.setConfig({ testTimeout: 120_000 })

const MB = 1024 * 1024
const LOGIN = ['ann', 'open sesame'] as const
const AUTHORIZATION = { 'Proxy-Authorization': `Basic ${Buffer.from(LOGIN.join(':')).toString('base64')}` }
/** A request that becomes something other than HTTP. */
const UPGRADE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
}
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

describeWith(['openssl'], 'WebSocket by HTTP', () => {
  const scene = sceneOfSuite()
  let ca: LocalCa
  let open: ProgramTunnel
  let closed: ProgramTunnel
  let plain: Echo
  let secure: Echo
  beforeAll(async () => {
    ca = await localCa(scene)
    open = await ProgramTunnel.start(scene, 'agent')
    closed = await ProgramTunnel.start(scene, 'reverse', { listenerArgs: ['-n', LOGIN[0], '-w', LOGIN[1]] })
    plain = await echo(createServer())
    secure = await echo(createHttpsServer({ cert: ca.cert, key: ca.key }))
  })

  type Echo = Awaited<ReturnType<typeof listen>> & { readonly upgrades: readonly IncomingMessage[] }
  /** Greets, sends messages back, and ends with a code when it is asked to; `/no` refuses. */
  async function echo(server: Server): Promise<Echo> {
    const upgrades: IncomingMessage[] = []
    const verifyClient = ({ req }: { readonly req: IncomingMessage }): boolean => req.url !== '/no'
    const sockets = new WebSocketServer({ server, perMessageDeflate: true, maxPayload: 32 * MB, verifyClient })
    sockets.on('connection', (ws, upgrade) => {
      upgrades.push(upgrade)
      scene.own(() => ws.terminate())
      ws.send('welcome')
      ws.on('message', (message: Buffer, isBinary) => {
        if (isBinary) ws.send(message)
        else ws.close(Number.parseInt(message.toString(), 10), 'as you asked')
      })
    })
    return { ...(await listen(scene, server)), upgrades }
  }

  /** A WebSocket that asks the proxy for its whole URL. */
  const absolute = async (url: string, tunnel: ProgramTunnel, headers = {}): Promise<WebSocket> => {
    const options: ClientOptions = {
      headers,
      createConnection: () => scene.connect(tunnel.socksPort),
      finishRequest: (sent) => {
        sent.path = url.replace(/^ws/, 'http')
        sent.end()
      },
    }
    return own(new WebSocket(url, options))
  }
  /** A WebSocket in a tunnel of CONNECT. */
  const connected = async (url: string, tunnel: ProgramTunnel, headers = {}): Promise<WebSocket> => {
    const { host, protocol } = new URL(url)
    const asked = request({ host: '127.0.0.1', port: tunnel.socksPort, method: 'CONNECT', path: host, headers }).end()
    const [answer, socket] = (await within(once(asked, 'connect'), 'CONNECT')) as [IncomingMessage, Socket]
    expect(answer.statusCode).toBe(200)
    const tls = () => connectTls({ socket, ca: ca.ca, servername: 'localhost' })
    return own(new WebSocket(url, { createConnection: () => (protocol === 'wss:' ? tls() : socket) }))
  }
  const own = (ws: WebSocket): WebSocket => {
    ws.on('error', () => {})
    scene.own(() => ws.terminate())
    return ws
  }
  const message = async (ws: WebSocket): Promise<Buffer> => {
    const [received] = (await within(once(ws, 'message'), 'message')) as [Buffer]
    return received
  }

  describe.each([
    ['absolute form', absolute, 'ws', () => plain],
    ['CONNECT', connected, 'ws', () => plain],
    ['CONNECT and TLS', connected, 'wss', () => secure],
  ] as const)('by %s', (_name, openBy, scheme, origin) => {
    it.each([
      ['from 0 bytes to 16 MB', () => open, {}, [0, 1, 125, 126, 65_535, 65_536, MB, 16 * MB]],
      ['with a password', () => closed, AUTHORIZATION, [0, 1, 125, 126, 65_535, 65_536]],
    ] as const)('is greeted, and echoes messages %s', async (_name, tunnel, headers, sizes) => {
      const ws = await openBy(`${scheme}://localhost:${origin().port}/path?a=b`, tunnel(), headers)
      expect((await message(ws)).toString()).toBe('welcome')
      for (const size of sizes) {
        const sent = randomFillSync(Buffer.alloc(size))
        const answer = message(ws)
        ws.send(sent)
        expect(sha256(await answer)).toBe(sha256(sent))
      }
      const upgrade = origin().upgrades.at(-1)
      expect([upgrade?.url, upgrade?.headers.host]).toEqual(['/path?a=b', `localhost:${origin().port}`])
      expect(upgrade?.headers).not.toHaveProperty('proxy-authorization')
    })

    it.each([1000, 4321])('is told close code %d and its reason', async (code) => {
      const ws = await openBy(`${scheme}://localhost:${origin().port}/`, open)
      await message(ws)
      const ended = once(ws, 'close')
      ws.send(`${code}`)
      const [received, reason] = (await within(ended, 'close')) as [number, Buffer]
      expect([received, reason.toString()]).toEqual([code, 'as you asked'])
    })

    it('hears of an origin that refuses', async () => {
      const ws = await openBy(`${scheme}://localhost:${origin().port}/no`, open)
      const [, answer] = (await within(once(ws, 'unexpected-response'), 'answer')) as [unknown, IncomingMessage]
      expect([answer.statusCode, (await readAll(answer)).toString()]).toEqual([401, 'Unauthorized'])
    })
  })

  it.each([
    ['a wrong password', async () => `localhost:${plain.port}`, () => closed, 407],
    ['a port that refuses', async () => `127.0.0.1:${await freePort()}`, () => open, 502],
  ])('by absolute form hears of %s', async (_name, target, tunnel, status) => {
    const wrong = { 'Proxy-Authorization': 'Basic eDp5' }
    const ws = await absolute(`ws://${await target()}/`, tunnel(), wrong)
    const [, answer] = (await within(once(ws, 'unexpected-response'), 'answer')) as [unknown, IncomingMessage]
    expect(answer.statusCode).toBe(status)
    answer.resume()
  })

  it('made every connection to the origins through the tunnels', async () => {
    for (const { port, connections } of [plain, secure]) {
      await carriedAll([open, closed], [`localhost:${port}`], connections)
    }
  })

  describe('of another kind, in absolute form', () => {
    it('keeps what the origin says at once, and ends one direction at a time', async () => {
      const received: Promise<Buffer>[] = []
      const port = await tcpTarget(scene, (socket) => received.push(switchTo(socket, 'first words')))
      const socket = scene.connect(open.socksPort)
      const fields = Object.entries({ Host: `localhost:${port}`, ...UPGRADE }).map((field) => field.join(': '))
      socket.write([`GET http://localhost:${port}/ HTTP/1.1`, ...fields, '', ''].join('\r\n'))
      expect(await head(socket)).toBe(SWITCHING)
      expect((await readAll(socket)).toString()).toBe('first words')
      socket.end('last words')
      const [heard] = await Promise.all(received)
      expect(heard?.toString()).toBe('last words')
    })

    it('is a request like any other to an origin that knows of no upgrade', async () => {
      const pages = createServer((_, response) => response.end('a page'))
      const { port } = await listen(scene, pages)
      const path = `http://localhost:${port}/`
      const asked = request({ host: '127.0.0.1', port: open.socksPort, path, headers: UPGRADE }).end()
      const [answer] = (await within(once(asked, 'response'), 'answer')) as [IncomingMessage]
      expect([answer.statusCode, (await readAll(answer)).toString()]).toEqual([200, 'a page'])
    })
  })

  /** Answers an upgrade, says something and ends its side. @returns what came after the head of the request */
  async function switchTo(socket: Socket, words: string): Promise<Buffer> {
    await head(socket)
    socket.end(`${SWITCHING}${words}`)
    return await readAll(socket)
  }

  /** Reads a head, byte by byte. */
  async function head(socket: Socket): Promise<string> {
    let text = ''
    while (!text.endsWith('\r\n\r\n')) text += (await readBytes(socket, 1)).toString('latin1')
    return text
  }
})
