import { describe, expect, it } from 'vitest'
import { MAX_LINK_HELD_BYTES } from '../../../src/mux/flow/read-gate.js'
import { ControlOp, decodeControl, encodeControl } from '../../../src/protocol/control.js'
import { BASE_STALL_TIMEOUT_MS, KIB, RESUME_TIMEOUT_MS } from '../../../src/protocol/limits.js'
import {
  Compression,
  encodeAuth,
  encodeConnect,
  encodeConnectResponse,
  MessageType,
} from '../../../src/protocol/messages.js'
import { encodeSessionControl, SessionOp } from '../../../src/protocol/session-control.js'
import { NIL_UUID } from '../../../src/protocol/uuid.js'
import { settle } from '../../support/manual-clock.js'
import { data, disconnect, endingsOf, TARGET } from '../splice/channels.js'
import { agentWorld, type Peer, uuid, type World } from '../world.js'
import { countOf, idOf, joinResumable, lose, wentOn } from './resume-peers.js'

const trailer = { streamControl: 65_536 }

/** A channel with flow control between a connector and a provider that can come back. */
async function channel(): Promise<{ world: World; provider: Peer; connector: Peer; id: Uint8Array }> {
  const world = await agentWorld()
  const provider = await joinResumable(world, 'tenant', { reverse: true })
  const connector = await world.join('member')
  const id = uuid()
  await connector.send(encodeConnect({ protocol: 1, channelId: id, target: TARGET, trailer }))
  await provider.send(encodeConnectResponse({ success: true, channelId: id, trailer }))
  return { world, provider, connector, id }
}

const frames = (peer: Peer) =>
  peer
    .of(MessageType.Data)
    .filter(({ compression }) => compression === Compression.Control)
    .map((message) => decodeControl(message.data))

describe('A channel whose far end is away', () => {
  it('is answered for when the near one asks whether it is still known', async () => {
    const { provider, connector, id } = await channel()
    await lose(provider)
    await connector.send(encodeControl(id, { op: ControlOp.WindowUpdate, credit: 0 }))
    expect(frames(connector)).toEqual([{ op: ControlOp.WindowUpdate, credit: 0 }])
  })

  it('keeps what the near end sent before it left, as long as the far one may come back', async () => {
    const { world, provider, connector, id } = await channel()
    await lose(provider)
    await connector.send(data(id, 'the tail'), encodeControl(id, { op: ControlOp.EndOfStream, total: 8 }))
    await connector.send(disconnect(id))
    await world.clock.advanceAsync(BASE_STALL_TIMEOUT_MS + 15_000)
    const again = await joinResumable(world, 'tenant', {
      id: idOf(provider),
      received: countOf(provider),
      reverse: true,
    })
    await settle()
    expect(wentOn(again)).toBe(true)
    const texts = again.of(MessageType.Data).filter(({ compression }) => compression === Compression.None)
    expect(texts.map((message) => new TextDecoder().decode(message.data))).toEqual(['the tail'])
    expect(again.of(MessageType.Disconnect).map(({ error }) => error ?? '')).toEqual([''])
  })
})

/** Time passes, with both links answering their pings. */
async function pass(world: World, ms: number, ...peers: readonly Peer[]): Promise<void> {
  for (let left = ms; left > 0; left -= 5_000) {
    for (const peer of peers) peer.transport.pong()
    await world.clock.advanceAsync(Math.min(left, 5_000))
  }
}

const CHUNK = 512 * KIB
const TOO_LONG = 'the reader accepted nothing for too long'

describe('A base channel whose far end is away', () => {
  /** @param token of the peer that can come back */
  async function baseChannel(token: 'tenant' | 'member') {
    const world = await agentWorld()
    const reverse = token === 'tenant'
    const provider = reverse ? await joinResumable(world, token, { reverse }) : await world.join('tenant')
    const connector = reverse ? await world.join('member') : await joinResumable(world, token)
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 1, channelId: id, target: TARGET }))
    await provider.send(encodeConnectResponse({ success: true, channelId: id }))
    return { world, provider, connector, id }
  }

  /** `provider` is back, and reads nothing yet. */
  async function backHeld(world: World, provider: Peer): Promise<Peer> {
    const again = await world.attempt('')
    again.far.hold()
    const trailer = { sessionId: idOf(provider), received: countOf(provider) }
    await again.send(encodeAuth({ token: 'tenant', reverse: true, instance: NIL_UUID, trailer }))
    return again
  }

  /** An upload fills the way to the provider, which is lost and comes back after 45 s, reading nothing. */
  async function filledAndBack(chunks: number, closes: boolean) {
    const { world, provider, connector, id } = await baseChannel('tenant')
    provider.far.hold()
    for (let sent = 0; sent < chunks; sent += 1) connector.transport.send(data(id, new Uint8Array(CHUNK).fill(sent)))
    if (closes) connector.transport.send(disconnect(id, 'EOF'))
    await settle()
    await lose(provider)
    await pass(world, 31_000, connector)
    if (!closes) await connector.send(data(id, new Uint8Array(CHUNK).fill(chunks)))
    await pass(world, 14_000, connector)
    const again = await backHeld(world, provider)
    return { world, connector, again }
  }

  const got = (peer: Peer) => peer.of(MessageType.Data).map((message) => message.data[0])

  it('loses nothing of a busy upload for as long as the session may last, within what a link may hold', async () => {
    const { world, provider, connector, id } = await baseChannel('tenant')
    await lose(provider)
    let sent = 0
    let most = 0
    for (let waited = 0; waited < RESUME_TIMEOUT_MS - 1_000; waited += 1_000) {
      for (; connector.transport.queuedFrames < 10 && endingsOf(connector).length === 0; sent += 1) {
        connector.transport.send(data(id, new Uint8Array(CHUNK).fill(sent)))
        await settle()
      }
      await pass(world, 1_000, connector)
      most = Math.max(most, world.relay.clientTable.spliced.bytes)
    }
    expect([endingsOf(connector), most > MAX_LINK_HELD_BYTES / 2, most < MAX_LINK_HELD_BYTES]).toEqual([[], true, true])
    const again = await joinResumable(world, 'tenant', {
      id: idOf(provider),
      received: countOf(provider),
      reverse: true,
    })
    for (let turn = 0; turn < 20; turn += 1) {
      const received = countOf(provider) + countOf(again)
      await again.send(encodeSessionControl({ op: SessionOp.Ack, received }))
      await pass(world, 1_000, connector, again)
    }
    expect(got(again)).toEqual([...Array(sent).keys()])
    expect([endingsOf(connector), endingsOf(again)]).toEqual([[], []])
  })

  it('ends with the session that does not come back', async () => {
    const { world, provider, connector, id } = await baseChannel('tenant')
    await lose(provider)
    for (let sent = 0; sent < 10; sent += 1) await connector.send(data(id, new Uint8Array(CHUNK)))
    await pass(world, RESUME_TIMEOUT_MS - 1, connector)
    expect(endingsOf(connector)).toEqual([])
    await pass(world, 1, connector)
    expect(endingsOf(connector)).toHaveLength(1)
  })

  it('has 30 s from when it is back, and no more', async () => {
    const { world, connector, again } = await filledAndBack(10, false)
    await pass(world, BASE_STALL_TIMEOUT_MS - 1, connector, again)
    expect(endingsOf(connector)).toEqual([])
    await pass(world, 1, connector, again)
    expect(endingsOf(connector)).toEqual([TOO_LONG])
  })

  it('has 30 s from when it is back for the end of a stream', async () => {
    const { world, connector, again } = await filledAndBack(6, true)
    await pass(world, BASE_STALL_TIMEOUT_MS - 1, connector, again)
    again.far.letGo()
    await settle()
    expect([got(again), endingsOf(again)]).toEqual([[0, 1, 2, 3, 4, 5], ['EOF']])
    const late = await filledAndBack(6, true)
    await pass(late.world, BASE_STALL_TIMEOUT_MS + 10_000, late.connector, late.again)
    late.again.far.letGo()
    await settle()
    expect(endingsOf(late.again)).toEqual([TOO_LONG])
  })

  it('is no longer waited for when its session is over', async () => {
    const { world, provider, connector, id } = await baseChannel('member')
    provider.far.hold()
    for (let sent = 0; sent < 6; sent += 1) await connector.send(data(id, new Uint8Array(CHUNK)))
    await connector.send(disconnect(id, 'EOF'))
    await lose(connector)
    await pass(world, RESUME_TIMEOUT_MS + BASE_STALL_TIMEOUT_MS + 10_000, provider)
    provider.far.letGo()
    await settle()
    expect(endingsOf(provider)).toEqual([TOO_LONG])
  })
})

describe('A relay that drains', () => {
  const DRAIN = '01f003'
  const hexOf = (peer: Peer): string[] => peer.raw.map((raw) => Buffer.from(raw).toString('hex'))

  it('tells those who can hear it, those who come back meanwhile, too', async () => {
    const { world, provider, connector } = await channel()
    const draining = world.relay.drain({ limitMs: 5_000 })
    await settle()
    expect([hexOf(provider).includes(DRAIN), hexOf(connector).includes(DRAIN)]).toEqual([true, false])
    await lose(provider)
    const again = await joinResumable(world, 'tenant', {
      id: idOf(provider),
      received: countOf(provider),
      reverse: true,
    })
    expect(hexOf(again)).toContain(DRAIN)
    await world.clock.advanceAsync(5_000)
    await draining
  })
})
