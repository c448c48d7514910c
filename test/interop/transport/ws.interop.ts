import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { type ServerOptions, WebSocket, WebSocketServer } from 'ws'
import { query } from '../../support/e2e/garbage.js'
import { type ServerProcess, sceneOfSuite, sceneOfTest, sha256 } from '../../support/e2e/scene.js'
import { readBytes, socksConnect } from '../../support/e2e/socks.js'
import { echoTarget } from '../../support/e2e/targets.js'
import { eventually, within } from '../../support/wait.js'
import {
  ADMITTED,
  channelOf,
  connect,
  connected,
  data,
  disconnect,
  newChannel,
  payloadOf,
  TYPE,
  typeOf,
} from '../support/frames/base-messages.js'

const MB = 1024 * 1024
/** Some libraries and platforms take no message over 1 MiB; ours send none near it. */
const STRICT = { maxPayload: 300 * 1024, perMessageDeflate: true } as const

const suite = sceneOfSuite()
const scene = sceneOfTest()

describe('the client of `ws` on a server of ours', () => {
  let server: ServerProcess
  let echo = 0
  beforeAll(async () => {
    server = await suite.server(['-t', 'F'])
    echo = await echoTarget(suite)
  })

  /** An admitted link, what it received, and a channel to the echo target. */
  async function open() {
    const ws = new WebSocket(`${server.url}/socket${query('F', false)}`, { ...STRICT })
    scene.own(() => ws.terminate())
    const received: Buffer[] = []
    ws.on('message', (message: Buffer) => received.push(message))
    ws.on('error', () => {})
    await within(once(ws, 'open'), 'open WebSocket')
    const channel = newChannel()
    ws.send(connect(channel, echo))
    await eventually('ConnectResponse', () => received.find((message) => typeOf(message) === TYPE.connectResponse))
    expect(received[0]?.subarray(0, 3)).toEqual(ADMITTED)
    expect(received[1]).toEqual(connected(channel))
    return { ws, received, channel }
  }

  async function echoed(received: readonly Buffer[], length: number): Promise<Buffer> {
    const bytes = (): number => received.slice(2).reduce((sum, message) => sum + payloadOf(message).length, 0)
    await eventually(`${length} bytes`, () => (bytes() >= length ? true : undefined))
    return Buffer.concat(received.slice(2).map(payloadOf))
  }

  it('gets no compression although it offers it, and no message over 300 KiB', async () => {
    const { ws, received, channel } = await open()
    expect(ws.extensions).toBe('')
    const content = randomBytes(16 * MB)
    for (let at = 0; at < content.length; at += MB) ws.send(data(channel, content.subarray(at, at + MB)))
    expect(sha256(await echoed(received, content.length))).toBe(sha256(content))
    expect(Math.max(...received.map(({ length }) => length))).toBeLessThanOrEqual(STRICT.maxPayload)
  })

  it('may send messages in parts, and pings between them', async () => {
    const { ws, received, channel } = await open()
    const content = randomBytes(100_000)
    const message = data(channel, content)
    const pongs: string[] = []
    ws.on('pong', (payload: Buffer) => pongs.push(payload.toString()))
    for (let at = 0; at < message.length; at += 7_001) {
      ws.send(message.subarray(at, at + 7_001), { fin: at + 7_001 >= message.length })
      ws.ping(`at ${at}`)
      ws.pong('unasked')
    }
    expect(sha256(await echoed(received, content.length))).toBe(sha256(content))
    const last = `at ${Math.floor((message.length - 1) / 7_001) * 7_001}`
    await eventually('last pong', () => (pongs.includes(last) ? true : undefined))
  })

  it('may send text: it counts as its bytes', async () => {
    const { ws, received } = await open()
    const channel = Buffer.alloc(16, 'text')
    ws.send(connect(channel, echo))
    ws.send(data(channel, Buffer.from('as text')).toString())
    await eventually('ConnectResponse', () => received.find((message) => message.equals(connected(channel))))
    await eventually('answer', () => received.find((message) => message.subarray(24).toString() === 'as text'))
  })

  it.each([1000, 1001, 1008, 1011, 1013, 3000, 4999])('sees close code %i answered in kind', async (code) => {
    const { ws } = await open()
    ws.close(code, 'reason')
    const [answered] = await within(once(ws, 'close'), 'close')
    expect(answered).toBe(code)
  })

  it('sees 1001 when the server is told to end', async () => {
    const own = await scene.server(['-t', 'F'])
    const ws = new WebSocket(`${own.url}/socket${query('F', false)}`)
    await within(once(ws, 'message'), 'AuthResponse')
    const closed = once(ws, 'close')
    expect(await own.process.end('SIGTERM')).toBe(0)
    const [code] = await within(closed, 'close')
    expect([1000, 1001]).toContain(code)
  })

  it('sees a refusal as a message, then 1008', async () => {
    const ws = new WebSocket(`${server.url}/socket${query('wrong', false)}`)
    const message = once(ws, 'message')
    const closed = once(ws, 'close')
    expect((await within(message, 'AuthResponse'))[0].subarray(0, 3)).toEqual(Buffer.of(1, TYPE.authResponse, 0))
    expect((await within(closed, 'close'))[0]).toBe(1008)
  })
})

describe('the server of `ws` with a client of ours', () => {
  interface Relay {
    readonly port: number
    readonly links: WebSocket[]
    readonly extensions: string[]
    readonly largest: { bytes: number }
  }

  /** Opens every channel and sends its data back, in parts where `parts` says how large they are. */
  async function echoRelay(options: ServerOptions, parts = Number.POSITIVE_INFINITY): Promise<Relay> {
    const http = createServer().listen(0, '127.0.0.1')
    const webSockets = new WebSocketServer({ server: http, ...options })
    await once(http, 'listening')
    const relay: Relay = {
      port: (http.address() as AddressInfo).port,
      links: [],
      extensions: [],
      largest: { bytes: 0 },
    }
    scene.own(() => {
      for (const link of relay.links) link.terminate()
      http.close()
    })
    webSockets.on('connection', (ws) => {
      relay.links.push(ws)
      relay.extensions.push(ws.extensions)
      const send = (message: Buffer): void => {
        for (let at = 0; at < message.length; at += parts) {
          ws.send(message.subarray(at, at + parts), { fin: at + parts >= message.length })
          if (parts < message.length) ws.ping(`at ${at}`)
        }
      }
      ws.on('error', () => {})
      ws.on('message', (message: Buffer) => {
        relay.largest.bytes = Math.max(relay.largest.bytes, message.length)
        const type = typeOf(message)
        if (type === TYPE.connect) send(connected(channelOf(message)))
        if (type === TYPE.data) send(data(channelOf(message), payloadOf(message)))
        if (type === TYPE.disconnect) send(disconnect(channelOf(message)))
      })
      send(ADMITTED)
    })
    return relay
  }

  async function client(relay: Relay, ...flags: readonly string[]) {
    const { process, socksPort } = await scene.listener(`ws://127.0.0.1:${relay.port}`, ['-t', 'F', ...flags])
    const open = () => socksConnect(scene, socksPort, ['127.0.0.1', 9])
    return { process, open }
  }

  it.each([
    ['whole', Number.POSITIVE_INFINITY],
    ['in parts, with pings between them', 5_003],
  ])('is offered no compression, gets no message over 300 KiB, and may answer %s', async (_how, parts) => {
    const relay = await echoRelay(STRICT, parts)
    const { open, process } = await client(relay)
    const content = randomBytes(8 * MB)
    const socket = await open()
    socket.write(content)
    expect(sha256(await readBytes(socket, content.length))).toBe(sha256(content))
    expect(relay.extensions).toEqual([''])
    expect(relay.largest.bytes).toBeLessThanOrEqual(STRICT.maxPayload)
    expect(process.events('link.down')).toEqual([])
  })

  it('sees its pings answered', async () => {
    const relay = await echoRelay(STRICT)
    await client(relay)
    const link = await eventually('link', () => relay.links[0])
    const pong = once(link, 'pong')
    link.ping(Buffer.alloc(125, 'p'))
    expect((await within(pong, 'pong'))[0].toString()).toBe('p'.repeat(125))
  })

  it.each([1000, 1001, 1011, 1012, 4000])(
    'may close with %i: the client answers in kind and comes back',
    async (code) => {
      const relay = await echoRelay(STRICT)
      const { process, open } = await client(relay)
      const link = await eventually('link', () => relay.links[0])
      const closed = once(link, 'close')
      link.close(code, 'reason')
      expect((await within(closed, 'close'))[0]).toBe(code)
      expect((await process.event('link.down')).reason).toContain(`${code}`)
      await eventually('second link', () => relay.links[1])
      const socket = await open()
      socket.write('back')
      expect((await readBytes(socket, 4)).toString()).toBe('back')
    },
  )

  it('may end without a close frame: the client comes back', async () => {
    const relay = await echoRelay(STRICT)
    const { process } = await client(relay)
    const link = await eventually('link', () => relay.links[0])
    link.terminate()
    await process.event('link.down', { code: 'ERR_LINK_LOST' })
    await eventually('second link', () => relay.links[1])
  })

  it('sees 1000 or 1001 when the client is told to end', async () => {
    const relay = await echoRelay(STRICT)
    const { process } = await client(relay)
    const link = await eventually('link', () => relay.links[0])
    const closed = once(link, 'close')
    expect(await process.end('SIGTERM')).toBe(0)
    expect([1000, 1001]).toContain((await within(closed, 'close'))[0])
  })
})
