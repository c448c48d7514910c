import { describe, expect, it } from 'vitest'
import { ControlOp, decodeControl, encodeControl } from '../../../src/protocol/control.js'
import { BASE_STALL_TIMEOUT_MS } from '../../../src/protocol/limits.js'
import { Compression, encodeConnect, encodeConnectResponse, MessageType } from '../../../src/protocol/messages.js'
import { settle } from '../../support/manual-clock.js'
import { data, disconnect, TARGET } from '../splice/channels.js'
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

describe('A relay that drains', () => {
  const DRAIN = '01f003'
  const hexOf = (peer: Peer): string[] => peer.raw.map((raw) => Buffer.from(raw).toString('hex'))

  it('tells those who can hear it, those who come back meanwhile, too, and opens nothing for anybody', async () => {
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
    await connector.send(encodeConnect({ protocol: 1, channelId: uuid(), target: TARGET, trailer }))
    const refused = connector.of(MessageType.ConnectResponse).filter(({ success }) => !success)
    expect(refused.map(({ error }) => error)).toEqual([expect.stringContaining('shutting down')])
    await world.clock.advanceAsync(5_000)
    await draining
  })
})
