import { describe, expect, it } from 'vitest'
import {
  encodeAuthResponse,
  encodeConnectResponse,
  encodeDataHead,
  type Message,
  MessageType,
} from '../../src/protocol/messages.js'
import { encodeSessionControl, SessionOp } from '../../src/protocol/session-control.js'
import type { Trailer } from '../../src/protocol/trailer.js'
import { NIL_UUID } from '../../src/protocol/uuid.js'
import { channelMoves } from '../protocol/channel-moves.js'
import { settle } from '../support/manual-clock.js'
import { concat, TestPeer } from '../support/test-peer.js'
import type { ScriptedLink } from './fixture.js'
import { TunnelStage, upTunnel } from './tunnel-fixture.js'

const TARGET = { host: 'far.test', port: 80 }
const id = (seed: number): Uint8Array => new Uint8Array(16).fill(seed)
const data = (channelId: Uint8Array, text: string): Uint8Array =>
  concat(encodeDataHead(channelId, text.length), new TextEncoder().encode(text))

/** Messages that a link got behind the authentication, but SessionControl: what the server counts. */
const countOf = (link: ScriptedLink): number =>
  link.messages.filter((raw) => raw[1] !== MessageType.Auth && raw[1] !== MessageType.SessionControl).length

const trailerOf = (link: ScriptedLink): Trailer | undefined => link.received(MessageType.Auth)[0]?.trailer

type Stage = Awaited<ReturnType<typeof upTunnel>>

/** A client with a session that survives, and one channel of it. */
async function withChannel(options: Parameters<typeof upTunnel>[0] = {}) {
  const stage = await upTunnel(options, { admits: { sessionId: id(1), keepsOrder: true } })
  const link = stage.server.link()
  const dialled = stage.tunnel.dial(TARGET)
  await settle()
  const channelId = link.received(MessageType.Connect)[0]?.channelId ?? NIL_UUID
  link.send(encodeConnectResponse({ success: true, channelId, trailer: { streamControl: 65_536 } }))
  const stream = new TestPeer(await dialled)
  stage.server.admits = undefined
  return { stage, link, channelId, stream }
}

/** The link is lost, and the client has asked for another one. */
async function cut(stage: Stage): Promise<ScriptedLink> {
  stage.server.link().transport.cut()
  await settle()
  await stage.clock.advanceAsync(500)
  return stage.server.link()
}

const text = (messages: readonly Extract<Message, { type: typeof MessageType.Data }>[]): string =>
  messages
    .filter(({ compression }) => compression === 0)
    .map(({ data: bytes }) => new TextDecoder().decode(bytes))
    .join('')

describe('A client whose link is lost', () => {
  it('has counted messages about channels that move', async () => {
    const { stage, link, channelId } = await withChannel()
    link.send(...channelMoves(channelId))
    await settle()
    const again = await cut(stage)
    // behind the ConnectResponse
    expect(trailerOf(again)?.received).toBe(1 + channelMoves(channelId).length)
    await stage.tunnel.close()
  })

  it('goes on where the server knows the session: its channels hear nothing of it', async () => {
    const { stage, link, channelId, stream } = await withChannel()
    link.send(data(channelId, 'one '))
    await settle()
    const next = await cut(stage)
    stream.write('sent meanwhile')
    expect([stage.tunnel.links, trailerOf(next)]).toEqual([0, { sessionId: id(1), received: 2 }])
    await next.admit({ sessionId: id(2), received: countOf(link), keepsOrder: true })
    expect(stage.tunnel.links).toBe(1)
    next.send(data(channelId, 'two'))
    await settle()
    expect([stream.text, stream.closed, text(next.received(MessageType.Data))]).toEqual([
      'one two',
      false,
      'sent meanwhile',
    ])
  })

  it('sends again what the server says not to have received', async () => {
    const { stage, link, stream } = await withChannel()
    const before = countOf(link)
    stream.write('lost')
    await settle()
    const next = await cut(stage)
    await next.admit({ sessionId: id(2), received: before })
    expect(text(next.received(MessageType.Data))).toBe('lost')
  })

  it('comes with its newest id each time, and with no count of its own twice', async () => {
    const { stage, link, channelId } = await withChannel()
    const second = await cut(stage)
    await second.admit({ sessionId: id(2), received: countOf(link) })
    second.send(data(channelId, 'x'))
    await settle()
    const third = await cut(stage)
    expect(trailerOf(third)).toEqual({ sessionId: id(2), received: 2 })
  })

  it('keeps its id when the answer is lost', async () => {
    const { stage } = await withChannel()
    await cut(stage)
    const third = await cut(stage)
    expect(trailerOf(third)).toEqual({ sessionId: id(1), received: 1 })
  })

  it('resets every old channel with the reason where the server has forgotten the session', async () => {
    const { stage, stream } = await withChannel()
    const next = await cut(stage)
    await next.admit({ sessionId: id(2) })
    expect(stream.error).toMatchObject({
      code: 'ERR_LINK_LOST',
      message: 'the server does not know the session any more',
    })
    expect([stage.tunnel.links, countOf(next)]).toEqual([1, 0])
    // the new session survives as well
    expect(trailerOf(await cut(stage))).toEqual({ sessionId: id(2), received: 0 })
    await stage.tunnel.close()
  })

  it('does so, too, where the server has no such sessions at all', async () => {
    const { stage, stream } = await withChannel()
    const next = await cut(stage)
    await next.admit()
    expect([stream.error?.code, stage.tunnel.links]).toEqual(['ERR_LINK_LOST', 1])
    const third = await cut(stage)
    expect(trailerOf(third)).toBeUndefined()
    expect(new URL(third.url).searchParams.get('resume')).toBe('1')
  })

  it('goes on with no server that has lost messages or claims more than there were', async () => {
    for (const received of [0, 1_000]) {
      const { stage, link, stream } = await withChannel()
      link.send(encodeSessionControl({ op: SessionOp.Ack, received: 1 }))
      await settle()
      const next = await cut(stage)
      await next.admit({ sessionId: id(2), received })
      expect([stream.error?.code, stage.tunnel.links, next.closed?.code]).toEqual(['ERR_LINK_LOST', 0, 1000])
      // what it asks for then is a new session
      await stage.clock.advanceAsync(1_000)
      expect(new URL(stage.server.link().url).searchParams.get('resume')).toBe('1')
      await stage.tunnel.close()
    }
  })

  it('gives up after the time, and asks for a new session then', async () => {
    const { stage, stream } = await withChannel({ resumeTimeoutMs: 5_000 })
    stage.server.link().transport.cut()
    await settle()
    stage.server.stalls = true
    await stage.clock.advanceAsync(4_999)
    expect(stream.closed).toBe(false)
    await stage.clock.advanceAsync(1)
    expect([stream.closed, stream.error?.code]).toEqual([true, 'ERR_LINK_LOST'])
    await stage.tunnel.close()
    expect(stage.clock.pending).toBe(0)
  })

  it('ends its channels at once when the server says that the session is over', async () => {
    const { stage, link, stream } = await withChannel()
    link.send(encodeSessionControl({ op: SessionOp.End }))
    await settle()
    const next = await cut(stage)
    expect([stream.closed, trailerOf(next)]).toEqual([true, undefined])
  })
})

describe('A client’s session id', () => {
  it('is asked for in the URL, and sent in band alone, to the server that gave it', async () => {
    const urls = ['ws://one.test', 'ws://two.test']
    const { stage } = await withChannel({ urls })
    expect(new URL(stage.server.link().url).searchParams.get('resume')).toBe('1')
    const { attempts } = stage.server
    await cut(stage)
    const [asked, before] = [stage.server.link(), stage.server.attempts]
    expect([before - attempts, asked.secretInBand, new URL(asked.url).search]).toEqual([1, true, ''])
    // the first refuses: the second is not told
    asked.transport.close(1008)
    await settle()
    const other = stage.server.link()
    expect(new URL(other.url).host).toBe('two.test')
    expect([trailerOf(other), new URL(other.url).searchParams.get('resume')]).toEqual([undefined, '1'])
    await other.admit({ sessionId: id(9) })
    stage.server.link().transport.cut()
    await settle()
    await stage.clock.advanceAsync(500)
    const back = stage.server.link()
    expect([new URL(back.url).host, trailerOf(back)]).toEqual(['one.test', undefined])
    await stage.tunnel.close()
  })

  it('is asked for with a nil one in band', async () => {
    const stage = await new TunnelStage({ authInBand: true }).start()
    expect(trailerOf(stage.server.link())).toEqual({ sessionId: NIL_UUID })
    await stage.tunnel.close()
  })

  it.each([
    ['reconnect is off', { reconnect: false }],
    ['it is switched off', { resumeTimeoutMs: 0 }],
  ])('is not asked for where %s, nor taken from a server that gives one all the same', async (_name, options) => {
    const inBand = await new TunnelStage({ ...options, authInBand: true }).start()
    expect(trailerOf(inBand.server.link())?.sessionId).toBeUndefined()
    await inBand.tunnel.close()
    const { stage, link, stream } = await withChannel(options)
    expect(new URL(link.url).searchParams.has('resume')).toBe(false)
    link.transport.cut()
    await settle()
    expect(stream.closed).toBe(true)
    await stage.tunnel.close()
  })

  it('is never in the log', async () => {
    const { stage, link } = await withChannel({ trace: true })
    const next = await cut(stage)
    await next.admit({ sessionId: id(0xab), received: countOf(link) })
    await cut(stage)
    stage.server.link().send(encodeAuthResponse({ success: false, error: 'ab'.repeat(16) }))
    await settle()
    expect(stage.log.text).not.toMatch(/(01){16}|(ab){16}|171,171/)
    await stage.tunnel.close()
  })
})

describe('A client that is closed', () => {
  it('ends a suspended session and its channels at once, and leaves no timer', async () => {
    const { stage, stream } = await withChannel()
    const next = await cut(stage)
    const closing = stage.tunnel.close()
    await settle()
    await closing
    expect([stream.closed, stage.clock.pending, stage.tunnel.links]).toEqual([true, 0, 0])
    await settle()
    expect(next.closed).toBeDefined()
  })

  it('tells END to the server, which need not wait for it', async () => {
    const { stage, link } = await withChannel()
    await stage.tunnel.close()
    const end = encodeSessionControl({ op: SessionOp.End })
    expect(link.messages.some((raw) => Buffer.compare(raw, end) === 0)).toBe(true)
  })
})

describe('A client without a link', () => {
  it('makes a dial wait for the session to go on', async () => {
    const { stage, link } = await withChannel()
    const next = await cut(stage)
    const dialled = stage.tunnel.dial(TARGET)
    await settle()
    await next.admit({ sessionId: id(2), received: countOf(link) })
    const [connect] = next.received(MessageType.Connect)
    expect(connect).toBeDefined()
    next.send(encodeConnectResponse({ success: true, channelId: connect?.channelId ?? NIL_UUID }))
    await dialled
    await stage.tunnel.close()
  })

  it('keeps several sessions apart', async () => {
    const stage = await new TunnelStage({ threads: 2 }).start()
    await stage.server.link(0).admit({ sessionId: id(1) })
    await stage.server.link(1).admit({ sessionId: id(2) })
    for (const link of [...stage.server.links]) link.transport.cut()
    await settle()
    await stage.clock.advanceAsync(500)
    expect(stage.server.links.slice(2).map((link) => trailerOf(link)?.sessionId)).toEqual([id(1), id(2)])
    await stage.tunnel.close()
  })
})
