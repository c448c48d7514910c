import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { LinksocksProcess } from '../../support/e2e/process.js'
import { sceneOfTest, sha256 } from '../../support/e2e/scene.js'
import { readBytes, socksConnect } from '../../support/e2e/socks.js'
import { eventually, within } from '../../support/wait.js'
import { BAD_FRAMES } from '../support/frames/bad-frames.js'
import {
  ADMITTED,
  channelOf,
  connected,
  data,
  dataOfSize,
  payloadOf,
  TYPE,
  typeOf,
} from '../support/frames/base-messages.js'
import { acceptRaw, type RawWebSocket, rawServer, switchingProtocols } from '../support/frames/raw-websocket.js'
import { closeBody, closeCode, encodeFrame, type FrameToSend, OPCODE } from '../support/frames/ws-frames.js'

const { continuation, text, binary, close, ping, pong } = OPCODE
const WELCOME: FrameToSend = { opcode: binary, payload: ADMITTED }
/** One of each kind: each takes a client of its own. */
const KINDS = BAD_FRAMES.filter(
  ({ what }) =>
    !/(bits [12]|opcode (7|11|15)|frame (8|10) of|70,000|2\^|code \d+)/.test(what) || what === 'close code 1005',
)

const scene = sceneOfTest()

function client(port: number, ...flags: readonly string[]): LinksocksProcess {
  return scene.start(['client', '-u', `ws://127.0.0.1:${port}`, '-t', 'F', '-p', '0', '--log-format', 'json', ...flags])
}

/** A client of ours on a server that admits it; its links as they come. */
async function admitted(...flags: readonly string[]): Promise<{ links: RawWebSocket[]; process: LinksocksProcess }> {
  const links: RawWebSocket[] = []
  const port = await rawServer(scene, (request, socket) => void links.push(acceptRaw(request, socket, WELCOME)))
  const process = client(port, ...flags)
  await process.event('link.up')
  return { links, process }
}

const linkOf = (links: readonly RawWebSocket[], at = 0): Promise<RawWebSocket> =>
  eventually(`link ${at + 1}`, () => links[at])

/** A stream of the client's and its channel. */
async function withChannel({ links, process }: Awaited<ReturnType<typeof admitted>>, at = 0) {
  const raw = await linkOf(links, at)
  const { port } = await process.event('socks.listening')
  const opening = socksConnect(scene, Number(port), ['127.0.0.1', 9])
  const asked = await raw.next()
  expect(typeOf(asked)).toBe(TYPE.connect)
  const channel = Buffer.from(channelOf(asked))
  raw.message(connected(channel))
  return { raw, channel, socket: await opening }
}

async function expectReceived(socket: Socket, payload: Uint8Array): Promise<void> {
  expect(sha256(await readBytes(socket, payload.byteLength))).toBe(sha256(payload))
}

describe('a client of ours whose server breaks the rules', () => {
  it.each(KINDS)('closes with $code on $what, and says why', async ({ frames, code, error }) => {
    const { links, process } = await admitted('-R')
    const raw = await linkOf(links)
    raw.send(...frames)
    expect(await raw.closedWith()).toBe(code)
    const { reason } = await process.event('link.down', { code: error })
    expect(await process.end()).toBe(1)
    expect(process.events('cli.failed', { code: error })[0]?.error).toContain(reason)
    expect(raw.audit.violations).toEqual([])
  })

  it('closes with 1002 on a frame with a mask', async () => {
    const { links, process } = await admitted('-R')
    const raw = await linkOf(links)
    raw.socket.write(encodeFrame({ opcode: binary, payload: Buffer.of(1, 9) }, true))
    expect(await raw.closedWith()).toBe(1002)
    const { reason } = await process.event('link.down', { code: 'ERR_MESSAGE_INVALID' })
    expect(reason).toMatch(/mask/i)
  })

  it('goes on with its other link, and connects again', async () => {
    const tunnel = await admitted('-T', '2')
    await linkOf(tunnel.links, 1)
    tunnel.links[0]?.send({ opcode: 3 })
    expect(await tunnel.links[0]?.closedWith()).toBe(1002)
    await tunnel.process.event('link.down', { code: 'ERR_MESSAGE_INVALID' })
    const third = await linkOf(tunnel.links, 2)
    await eventually('third link.up', () => tunnel.process.events('link.up')[2])
    const streams = [tunnel.links[1], third].map(async (raw) => {
      if (raw === undefined) throw new Error('no second link')
      const asked = await raw.next()
      raw.message(connected(channelOf(asked)), data(channelOf(asked), Buffer.from('here')))
    })
    const { port } = await tunnel.process.event('socks.listening')
    for (let at = 0; at < streams.length; at++) {
      const socket = await socksConnect(scene, Number(port), ['127.0.0.1', 9])
      await expectReceived(socket, Buffer.from('here'))
    }
    await Promise.all(streams)
  })
})

describe('a client of ours whose server uses all that is allowed', () => {
  it('takes messages of every length form', async () => {
    const { raw, channel, socket } = await withChannel(await admitted())
    for (const size of [24, 125, 126, 127, 65_535, 65_536, 65_537, 262_168, 1_048_576]) {
      const message = dataOfSize(channel, size)
      raw.message(message)
      if (size > 24) await expectReceived(socket, payloadOf(message))
    }
  })

  it('takes messages in fragments of any size, with empty ones, pings and pongs between them', async () => {
    const { raw, channel, socket } = await withChannel(await admitted())
    const between = [
      { opcode: continuation, fin: false },
      { opcode: ping, payload: Buffer.from('between') },
      { opcode: pong, payload: Buffer.from('unasked') },
    ]
    for (const size of [1, 2, 125, 126, 65_536]) {
      const message = dataOfSize(channel, Math.min(200_000, size * 1000) + 24)
      const count = Math.ceil(message.length / size)
      raw.send({ opcode: binary, payload: message.subarray(0, size), fin: false })
      for (let at = 1; at < count; at++) {
        const part = {
          opcode: continuation,
          payload: message.subarray(at * size, (at + 1) * size),
          fin: at === count - 1,
        }
        raw.send(...(at % 10 === 1 ? between : []), part)
      }
      await expectReceived(socket, payloadOf(message))
    }
    raw.send({ opcode: ping, payload: Buffer.alloc(125, 'last') })
    await raw.frame('pong', ({ opcode, payload }) => opcode === pong && payload.equals(Buffer.alloc(125, 'last')))
    expect(raw.frames.some(({ payload }) => payload.toString() === 'unasked')).toBe(false)
    expect(raw.audit.violations).toEqual([])
  })

  it('takes text as its bytes, and a stream of frames byte by byte', async () => {
    const { raw, socket, channel } = await withChannel(await admitted())
    // a channel id is rarely text: the message that can be is a Log
    raw.send({ opcode: text, payload: Buffer.from('\x01\x09\x00\x00\x00\x1f{"level":"info","msg":"as text"}') })
    const message = dataOfSize(channel, 400)
    const bytes = raw.encode(
      { opcode: ping, payload: Buffer.from('slow') },
      { opcode: binary, payload: message.subarray(0, 130), fin: false },
      { opcode: continuation, payload: message.subarray(130) },
    )
    for (const byte of bytes) await new Promise((resolve) => raw.socket.write(Buffer.of(byte), resolve))
    await expectReceived(socket, payloadOf(message))
    await raw.frame('pong', ({ opcode, payload }) => opcode === pong && payload.toString() === 'slow')
  })

  it('sends what its applications write, in frames that RFC 6455 allows', async () => {
    const { raw, socket } = await withChannel(await admitted())
    const content = randomBytes(1_000_000)
    socket.write(content)
    const parts: Buffer[] = []
    for (let length = 0; length < content.length; length += parts.at(-1)?.length ?? 0) {
      parts.push(payloadOf(await raw.next()))
    }
    expect(sha256(Buffer.concat(parts))).toBe(sha256(content))
    expect(raw.audit.violations).toEqual([])
    expect(raw.audit.masks.size).toBe(raw.audit.frames)
  })

  it.each([
    ['nothing', Buffer.alloc(0), [1005, 1000]],
    ['1001 and a reason', closeBody(1001, 'going, ünbroken'), [1001]],
    ['1012', closeBody(1012), [1012]],
    ['4999 and 123 bytes', closeBody(4999, 'x'.repeat(123)), [4999]],
  ])('answers a close frame with %s, and connects again', async (_what, payload, codes) => {
    const { links, process } = await admitted()
    const raw = await linkOf(links)
    raw.send({ opcode: close, payload })
    const answer = await raw.frame('close frame', ({ opcode }) => opcode === close)
    expect(codes).toContain(closeCode(answer))
    raw.socket.end()
    await within(raw.ended, 'end of the connection')
    expect(raw.audit.violations).toEqual([])
    const again = await linkOf(links, 1)
    const { reason } = await process.event('link.down')
    expect(reason).toContain(payload.length === 0 ? '1005' : `${payload.readUInt16BE(0)}`)
    const [ended, code] = await Promise.all([process.end('SIGTERM'), again.closedWith()])
    expect(ended).toBe(0)
    expect([1000, 1001]).toContain(code)
  })
})

describe('the opening handshake of a client of ours', () => {
  it('offers no compression and no subprotocol, and makes a key for each', async () => {
    const requests: string[] = []
    const port = await rawServer(scene, (request, socket) => {
      requests.push(request)
      socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')
    })
    client(port)
    const [first = '', second = ''] = await eventually('two requests', () =>
      requests.length > 1 ? requests : undefined,
    )
    expect(first).toMatch(/^GET \/socket\?\S+ HTTP\/1\.1\r\n/)
    expect(first).toMatch(/^Sec-WebSocket-Version: 13\r$/im)
    expect(first).not.toMatch(/sec-websocket-(extensions|protocol)/i)
    const keys = [first, second].map((request) => /^Sec-WebSocket-Key: (\S{22}==)\r$/im.exec(request)?.[1])
    expect(keys[0]).toBeDefined()
    expect(keys[0]).not.toBe(keys[1])
  })

  it('keeps the frames that come right behind an answer, which itself comes byte by byte', async () => {
    const port = await rawServer(scene, (request, socket) => {
      const bytes = Buffer.concat([Buffer.from(switchingProtocols(request)), encodeFrame(WELCOME, false)])
      void (async () => {
        for (const byte of bytes) await new Promise((resolve) => socket.write(Buffer.of(byte), resolve))
      })()
    })
    await client(port).event('link.up')
  })

  it.each([
    [
      'a wrong Sec-WebSocket-Accept',
      (request: string) => switchingProtocols(request).replace(/Accept: ../, 'Accept: xx'),
    ],
    [
      'no Sec-WebSocket-Accept',
      (request: string) => switchingProtocols(request).replace(/^Sec-WebSocket-Accept.*\r\n/m, ''),
    ],
    ['no Upgrade', (request: string) => switchingProtocols(request).replace(/^Upgrade.*\r\n/m, '')],
    ['another protocol', (request: string) => switchingProtocols(request).replace('websocket', 'h2c')],
    [
      'compression nobody offered',
      (request: string) => switchingProtocols(request, 'Sec-WebSocket-Extensions: permessage-deflate'),
    ],
    ['a subprotocol nobody offered', (request: string) => switchingProtocols(request, 'Sec-WebSocket-Protocol: chat')],
    ['an ordinary page', () => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['no HTTP', () => 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ])('is not done on %s', async (_what, answer) => {
    const port = await rawServer(scene, (request, socket) => {
      socket.write(Buffer.concat([Buffer.from(answer(request)), encodeFrame(WELCOME, false)]))
    })
    const process = client(port, '-R')
    expect(await process.end()).toBe(1)
    expect(process.events('link.up')).toEqual([])
    expect(process.events('cli.failed', { code: 'ERR_CONNECT' })[0]?.error).toMatch(/^--url: /)
  })
})
