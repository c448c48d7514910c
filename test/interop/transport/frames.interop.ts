import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { query } from '../../support/e2e/garbage.js'
import { type Scene, type ServerProcess, sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { readBytes, socksConnect } from '../../support/e2e/socks.js'
import { echoTarget } from '../../support/e2e/targets.js'
import { within } from '../../support/wait.js'
import { BAD_FRAMES } from '../support/frames/bad-frames.js'
import {
  ADMITTED,
  auth,
  connect,
  connected,
  data,
  dataOfSize,
  newChannel,
  payloadOf,
  TYPE,
} from '../support/frames/base-messages.js'
import { openRaw, RawWebSocket, requestUpgrade } from '../support/frames/raw-websocket.js'
import { closeBody, closeCode, encodeFrame, type FrameToSend, OPCODE } from '../support/frames/ws-frames.js'

const PATH = `/socket${query('F', false)}`
const { continuation, text, binary, close, ping, pong } = OPCODE

const scene: Scene = sceneOfSuite()
let server: ServerProcess
let echo = 0
let neighbour: Socket

beforeAll(async () => {
  server = await scene.server(['-t', 'F'])
  echo = await echoTarget(scene)
  const { socksPort } = await scene.listener(server.url, ['-t', 'F'])
  neighbour = await socksConnect(scene, socksPort, ['127.0.0.1', echo])
})

/** Another client's stream, the same all the time, goes on. */
afterEach(async () => {
  const said = randomBytes(1000)
  neighbour.write(said)
  expect(await readBytes(neighbour, said.length)).toEqual(said)
})

async function admitted(): Promise<RawWebSocket> {
  const raw = await openRaw(scene, server.port, PATH)
  expect((await raw.next()).subarray(0, 3)).toEqual(ADMITTED)
  return raw
}

/** A link with a channel to the echo target. */
async function withChannel(): Promise<{ raw: RawWebSocket; channel: Buffer }> {
  const raw = await admitted()
  const channel = newChannel()
  raw.message(connect(channel, echo))
  expect(await raw.next()).toEqual(connected(channel))
  return { raw, channel }
}

/** Bytes that the channel brings back, however they are divided. */
async function echoed(raw: RawWebSocket, length: number): Promise<Buffer> {
  const parts: Buffer[] = []
  while (Buffer.concat(parts).length < length) {
    const message = await raw.next()
    expect(message[1]).toBe(TYPE.data)
    parts.push(payloadOf(message))
  }
  return Buffer.concat(parts)
}

/** The `link.closed` lines that the server writes while `act` runs. */
async function closedLine(code: string, act: () => Promise<void>) {
  const before = server.process.events('link.closed', { code }).length
  await act()
  const line = await within(
    (async () => {
      for (;;) {
        const found = server.process.events('link.closed', { code })[before]
        if (found !== undefined) return found
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    })(),
    `link.closed with ${code}`,
  )
  return line
}

describe('a server of ours whose client breaks the rules', () => {
  it.each(BAD_FRAMES)('closes with $code on $what, and says why', async ({ frames, code, error }) => {
    const { raw } = await withChannel()
    const line = await closedLine(error, async () => {
      raw.send(...frames)
      expect(await raw.closedWith()).toBe(code)
    })
    expect(line).toMatchObject({ level: 'info', role: 'forward', reason: expect.stringMatching(/\w{3}/) })
    expect(raw.audit.violations).toEqual([])
  })

  it('closes with 1002 on a frame without a mask', async () => {
    const { raw } = await withChannel()
    const line = await closedLine('ERR_MESSAGE_INVALID', async () => {
      raw.socket.write(encodeFrame({ opcode: binary, payload: Buffer.of(1, 9) }, false))
      expect(await raw.closedWith()).toBe(1002)
    })
    expect(line.reason).toMatch(/mask/i)
  })

  it('ends a message that never does, however little its fragments bring', async () => {
    const { raw } = await withChannel()
    const empty = raw.encode({ opcode: continuation, fin: false })
    raw.send({ opcode: binary, fin: false })
    raw.socket.write(Buffer.concat(Array.from({ length: 20_000 }, () => empty)))
    expect([1008, 1009]).toContain(await raw.closedWith())
  })

  it('answers nothing that comes behind its close frame', async () => {
    const { raw } = await withChannel()
    raw.send({ opcode: 3 }, { opcode: ping, payload: Buffer.from('late') })
    expect(await raw.closedWith()).toBe(1002)
    expect(raw.frames.some(({ opcode }) => opcode === pong)).toBe(false)
    expect(raw.audit.violations).toEqual([])
  })

  it.each([
    ['an unknown opcode', { opcode: 3 }, 1002],
    ['a message of 33 MiB', { opcode: binary, announced: 33n * 1024n * 1024n }, 1009],
  ])('closes before anybody has authenticated, too: %s', async (_what, frame, code) => {
    const raw = await openRaw(scene, server.port, '/socket')
    raw.send(frame)
    expect(await raw.closedWith()).toBe(code)
    await server.process.event('link.rejected', {
      code: code === 1009 ? 'ERR_MESSAGE_TOO_LARGE' : 'ERR_MESSAGE_INVALID',
    })
  })
})

describe('a server of ours whose client uses all that is allowed', () => {
  const inParts = (message: Buffer, size: number, between: readonly FrameToSend[] = []): readonly FrameToSend[] => {
    const count = Math.ceil(message.length / size)
    return Array.from({ length: count }, (_, at): FrameToSend => {
      const payload = message.subarray(at * size, (at + 1) * size)
      return { opcode: at === 0 ? binary : continuation, payload, fin: at === count - 1 }
    }).flatMap((frame) => (frame.fin ? [frame] : [frame, ...between]))
  }

  it.each([24, 125, 126, 127, 65_535, 65_536, 65_537, 262_168, 1_048_576])(
    'takes a message of %i bytes',
    async (size) => {
      const { raw, channel } = await withChannel()
      const message = dataOfSize(channel, size)
      raw.message(message)
      expect(sha256(await echoed(raw, size - 24))).toBe(sha256(payloadOf(message)))
      expect(raw.audit.violations).toEqual([])
      raw.socket.destroy()
    },
  )

  it.each([1, 2, 3, 125, 126, 4096, 65_536])('takes a message in fragments of %i bytes', async (size) => {
    const { raw, channel } = await withChannel()
    const message = dataOfSize(channel, Math.min(200_000, size * 1000) + 24)
    raw.send(...inParts(message, size))
    expect(sha256(await echoed(raw, message.length - 24))).toBe(sha256(payloadOf(message)))
    raw.socket.destroy()
  })

  it('takes fragments with empty ones, pings and pongs between them, and answers each ping', async () => {
    const { raw, channel } = await withChannel()
    const message = dataOfSize(channel, 5_000)
    const between = [
      { opcode: continuation, fin: false },
      { opcode: ping, payload: Buffer.from('between') },
      { opcode: pong, payload: Buffer.from('unasked') },
    ]
    raw.send({ opcode: ping }, { opcode: pong }, ...inParts(message, 100, between))
    raw.send({ opcode: ping, payload: Buffer.alloc(125, 'last') })
    expect(await echoed(raw, 4_976)).toEqual(Buffer.from(payloadOf(message)))
    // the latest must be answered (RFC 6455 section 5.5.3)
    await raw.frame('pong', ({ opcode, payload }) => opcode === pong && payload.equals(Buffer.alloc(125, 'last')))
    expect(raw.frames.some(({ opcode, payload }) => opcode === pong && payload.toString() === 'unasked')).toBe(false)
    raw.socket.destroy()
  })

  it('takes an empty message, an empty last fragment, and text as its bytes', async () => {
    const { raw, channel } = await withChannel()
    const message = Buffer.concat([data(channel, Buffer.from('plain'))])
    raw.send({ opcode: binary, payload: message, fin: false }, { opcode: continuation })
    expect((await echoed(raw, 5)).toString()).toBe('plain')
    const readable = data(Buffer.alloc(16, 'c'), Buffer.from('text'))
    raw.message(connect(Buffer.alloc(16, 'c'), echo))
    expect(await raw.next()).toEqual(connected(Buffer.alloc(16, 'c')))
    raw.send(
      { opcode: text, payload: readable.subarray(0, 10), fin: false },
      { opcode: continuation, payload: readable.subarray(10) },
    )
    expect((await echoed(raw, 4)).toString()).toBe('text')
    raw.socket.destroy()
  })

  it('takes a stream of frames byte by byte', async () => {
    const { raw, channel } = await withChannel()
    const message = dataOfSize(channel, 400)
    const bytes = Buffer.concat([
      raw.encode({ opcode: ping, payload: Buffer.from('slow') }, ...inParts(message, 150)),
      raw.encode({ opcode: binary, payload: dataOfSize(channel, 124) }),
    ])
    for (const byte of bytes) await new Promise((resolve) => raw.socket.write(Buffer.of(byte), resolve))
    expect((await echoed(raw, 476)).subarray(0, 376)).toEqual(Buffer.from(payloadOf(message)))
    await raw.frame('pong', ({ opcode, payload }) => opcode === pong && payload.toString() === 'slow')
    raw.socket.destroy()
  })

  it('takes many frames in one write', async () => {
    const { raw, channel } = await withChannel()
    const payloads = Array.from({ length: 500 }, () => randomBytes(50))
    raw.message(...payloads.map((payload) => data(channel, payload)))
    expect(sha256(await echoed(raw, 25_000))).toBe(sha256(Buffer.concat(payloads)))
    raw.socket.destroy()
  })

  it.each([
    ['nothing', Buffer.alloc(0), [1005, 1000]],
    ['1000', closeBody(1000), [1000]],
    ['1001 and a reason', closeBody(1001, 'going, ünbroken'), [1001]],
    ['3000', closeBody(3000), [3000]],
    ['4999 and 123 bytes', closeBody(4999, 'x'.repeat(123)), [4999]],
  ])('answers a close frame with %s, and ends the connection', async (_what, payload, codes) => {
    const { raw } = await withChannel()
    raw.send({ opcode: close, payload })
    const answer = await raw.frame('close frame', ({ opcode }) => opcode === close)
    expect(codes).toContain(closeCode(answer))
    // the server is the one to end the connection (RFC 6455 section 7.1.1)
    await within(raw.ended, 'end of the connection')
    expect(raw.audit.violations).toEqual([])
  })
})

describe('the opening handshake of a server of ours', () => {
  it('agrees to no compression and no subprotocol that is offered', async () => {
    const headers = {
      'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
      'Sec-WebSocket-Protocol': 'chat, binary',
    }
    const { status, head } = await requestUpgrade(scene, server.port, { path: PATH, headers })
    expect(status).toBe(101)
    expect(head).not.toMatch(/sec-websocket-(extensions|protocol)/i)
  })

  it.each([
    ['other letters and a list', { Upgrade: 'WebSocket', Connection: 'keep-alive, UPGRADE' }],
    ['an Origin and cookies', { Origin: 'https://elsewhere.example', Cookie: 'a=b; c=d' }],
  ])('takes %s', async (_what, headers) => {
    expect((await requestUpgrade(scene, server.port, { path: PATH, headers })).status).toBe(101)
  })

  it.each([
    ['version 12', { 'Sec-WebSocket-Version': '12' }],
    ['no version', { 'Sec-WebSocket-Version': '' }],
    ['no key', { 'Sec-WebSocket-Key': '' }],
    ['a short key', { 'Sec-WebSocket-Key': 'c2hvcnQ=' }],
  ])('refuses %s, and names the version it knows', async (_what, headers) => {
    const { status, head } = await requestUpgrade(scene, server.port, { path: PATH, headers })
    expect([400, 426]).toContain(status)
    expect(head).toMatch(/^Sec-WebSocket-Version: 13\r$/m)
  })

  it.each([false, true])('keeps frames that come right behind the request (byte by byte: %s)', async (byteByByte) => {
    const channel = newChannel()
    const payload = randomBytes(3_000)
    const messages = [auth('F'), connect(channel, echo)]
    const behind = Buffer.concat(messages.map((payload) => encodeFrame({ opcode: binary, payload }, true)))
    const { status, socket } = await requestUpgrade(scene, server.port, { path: '/socket/x', behind, byteByByte })
    expect(status).toBe(101)
    const raw = new RawWebSocket(socket, 'client')
    expect((await raw.next()).subarray(0, 3)).toEqual(ADMITTED)
    expect(await raw.next()).toEqual(connected(channel))
    raw.message(data(channel, payload))
    expect(await echoed(raw, 3_000)).toEqual(payload)
    socket.destroy()
  })
})
