import { beforeAll, describe, expect, it } from 'vitest'
import { query } from '../../support/e2e/garbage.js'
import { type Scene, type ServerProcess, sceneOfSuite } from '../../support/e2e/scene.js'
import { longAnswer } from '../../support/e2e/targets.js'
import { eventually, within } from '../../support/wait.js'
import { connect, connected, data, newChannel, payloadOf } from '../support/frames/base-messages.js'
import { openRaw, type RawWebSocket } from '../support/frames/raw-websocket.js'
import { closeBody, closeCode, OPCODE } from '../support/frames/ws-frames.js'

const { continuation, binary, close, ping, pong } = OPCODE
const MB = 1024 * 1024
const ANSWER_BYTES = 12 * MB
/** Version, and a type that nobody knows: the message is ignored. */
const IGNORED = Buffer.of(1, 0x7f)

const scene: Scene = sceneOfSuite()
let server: ServerProcess

beforeAll(async () => {
  server = await scene.server(['-t', 'F'])
})

async function open(): Promise<RawWebSocket> {
  const raw = await openRaw(scene, server.port, `/socket${query('F', false)}`)
  await raw.next()
  return raw
}

/** A link to a target that sends a long answer, as soon as it is asked for. */
async function withAnswer() {
  const raw = await open()
  const { port, sent } = await longAnswer(scene, ANSWER_BYTES)
  const channel = newChannel()
  raw.message(connect(channel, port))
  expect(await raw.next()).toEqual(connected(channel))
  const ask = (): void => raw.message(data(channel, Buffer.from('?')))
  return { raw, ask, sent, channel }
}

/** Bytes of Data that came so far. */
function received({ frames }: RawWebSocket): number {
  const messages = frames.filter(({ opcode }) => opcode === binary).slice(2)
  return messages.reduce((sum, { payload }) => sum + payloadOf(payload).length, 0)
}

const lastPong = (raw: RawWebSocket, text: string) =>
  raw.frame(`pong '${text}'`, ({ opcode, payload }) => opcode === pong && payload.toString() === text)

describe('a server of ours under load', () => {
  it('writes whole frames to a peer that reads late, and answers a ping meanwhile', async () => {
    const { raw, ask, sent } = await withAnswer()
    raw.socket.pause()
    ask()
    await eventually('full buffers', () => (sent() > MB ? true : undefined))
    raw.send({ opcode: ping, payload: Buffer.from('during') })
    raw.socket.resume()
    await eventually('whole answer', () => (received(raw) >= ANSWER_BYTES ? true : undefined))
    expect(received(raw)).toBe(ANSWER_BYTES)
    await lastPong(raw, 'during')
    expect(raw.audit.violations).toEqual([])
  })

  it('sends nothing behind the close frame that answers one in the middle of its data', async () => {
    const { raw, ask } = await withAnswer()
    ask()
    await eventually('first data', () => (received(raw) > 0 ? true : undefined))
    raw.send({ opcode: close, payload: closeBody(1001) })
    const answer = await raw.frame('close frame', ({ opcode }) => opcode === close)
    expect(closeCode(answer)).toBe(1001)
    await within(raw.ended, 'end of the connection')
    expect(raw.audit.violations).toEqual([])
    expect(raw.frames.at(-1)).toBe(answer)
  })

  it('ends the streams of a peer that ends the connection in the middle of a frame', async () => {
    const { raw, ask, channel } = await withAnswer()
    ask()
    const frame = raw.encode({ opcode: binary, payload: data(channel, Buffer.alloc(1000)) })
    raw.socket.end(frame.subarray(0, 500))
    await within(raw.ended, 'end of the connection')
    const line = await server.process.event('link.closed', { code: 'ERR_LINK_LOST' })
    expect(line.reason).toContain('without a close frame')
  })

  const pings = (count: number) =>
    Array.from({ length: count }, (_, at) => ({ opcode: ping, payload: Buffer.from(`ping ${at + 1}`) }))

  it('answers the last of 500 pings in one write', async () => {
    const raw = await open()
    raw.send(...pings(500))
    await lastPong(raw, 'ping 500')
    expect(raw.audit.violations).toEqual([])
    raw.socket.destroy()
  })

  it('may end a link that floods it with pings, and no other', async () => {
    const [flooding, other] = [await open(), await open()]
    flooding.send(...pings(20_000))
    await Promise.race([lastPong(flooding, 'ping 20000').catch(() => {}), flooding.ended])
    expect(flooding.audit.violations).toEqual([])
    other.send({ opcode: ping, payload: Buffer.from('other') })
    await lastPong(other, 'other')
    other.socket.destroy()
    flooding.socket.destroy()
  })

  it('takes a close frame byte by byte', async () => {
    const raw = await open()
    for (const byte of raw.encode({ opcode: close, payload: closeBody(4321, 'in bits') })) {
      await new Promise((resolve) => raw.socket.write(Buffer.of(byte), resolve))
    }
    expect(await raw.closedWith()).toBe(4321)
    await eventually('line in the log', () =>
      server.process.log.find(({ event, reason }) => event === 'link.closed' && `${reason}`.includes('4321')),
    )
  })

  it.each([
    ['one frame', 32],
    ['fragments of 1 MiB', 1],
  ])('takes a message of exactly 32 MiB in %s', async (_how, size) => {
    const raw = await open()
    const message = Buffer.concat([IGNORED, Buffer.alloc(32 * MB - IGNORED.length)])
    for (let at = 0; at < 32; at += size) {
      const payload = message.subarray(at * MB, (at + size) * MB)
      raw.send({ opcode: at === 0 ? binary : continuation, payload, fin: at + size === 32 })
    }
    raw.send({ opcode: ping, payload: Buffer.from('behind') })
    await lastPong(raw, 'behind')
    raw.socket.destroy()
  })
})
