import { describe, expect, it } from 'vitest'
import {
  LOST_CHANNELS_AT_ONCE,
  LOST_CHANNELS_PAUSE_MS,
  LostChannels,
  MAX_LOST_CHANNELS,
} from '../../src/client/lost-channels.js'
import { LinkSocksError } from '../../src/errors.js'
import {
  ChannelProtocol,
  encodeConnect,
  encodeConnectResponse,
  encodeDataHead,
  MessageType,
} from '../../src/protocol/messages.js'
import { bytesOfKey, type ChannelKey, channelKey } from '../../src/protocol/uuid.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { concat, TestPeer } from '../support/test-peer.js'
import { type ScriptedLink, session } from './fixture.js'
import { type TunnelStage, upTunnel } from './tunnel-fixture.js'

const keyOf = (seed: number): ChannelKey => {
  const id = new Uint8Array(16)
  new DataView(id.buffer).setUint32(12, seed)
  return channelKey(id)
}
const keys = (from: number, count: number): ChannelKey[] => Array.from({ length: count }, (_, at) => keyOf(from + at))
const endedOn = (link: ScriptedLink): ChannelKey[] =>
  link.received(MessageType.Disconnect).map(({ channelId }) => channelKey(channelId))

describe('LostChannels', () => {
  it('tells the server of each once, with an error, and no other server', async () => {
    const clock = new ManualClock()
    const lost = new LostChannels(clock)
    lost.remember('a', keys(0, 2))
    lost.remember('b', keys(2, 1))
    const { session: made, far } = session(clock)
    lost.tell('a', made)
    lost.tell('a', made)
    await settle()
    expect(far.received(MessageType.Disconnect)).toEqual(
      keys(0, 2).map((key) => ({ type: 6, channelId: bytesOfKey(key), error: 'the link was lost' })),
    )
    expect(lost.size).toBe(1)
    lost.forget('b')
    expect([lost.size, far.messages.length]).toEqual([0, 2])
  })

  it('tells bit by bit, in the order in which they were lost', async () => {
    const clock = new ManualClock()
    const lost = new LostChannels(clock)
    const all = keys(0, 2 * LOST_CHANNELS_AT_ONCE + 1)
    lost.remember('a', all)
    const { session: made, far } = session(clock)
    lost.tell('a', made)
    const counts: number[] = []
    for (let turn = 0; turn < 4; turn += 1) {
      await settle()
      counts.push(far.messages.length)
      await clock.advanceAsync(LOST_CHANNELS_PAUSE_MS)
    }
    expect(counts).toEqual([256, 512, 513, 513])
    expect(endedOn(far)).toEqual(all)
  })

  it('keeps what is left for the next link when one ends meanwhile', async () => {
    const clock = new ManualClock()
    const lost = new LostChannels(clock)
    lost.remember('a', keys(0, LOST_CHANNELS_AT_ONCE + 3))
    const first = session(clock)
    lost.tell('a', first.session)
    await settle()
    first.far.transport.cut()
    await clock.advanceAsync(LOST_CHANNELS_PAUSE_MS)
    expect(lost.size).toBe(3)
    const second = session(clock)
    lost.tell('a', second.session)
    await settle()
    expect(endedOn(second.far)).toEqual(keys(LOST_CHANNELS_AT_ONCE, 3))
  })

  it('forgets the ones lost first beyond its limit', () => {
    const lost = new LostChannels(new ManualClock())
    lost.remember('a', keys(0, MAX_LOST_CHANNELS))
    expect(lost.size).toBe(MAX_LOST_CHANNELS)
    lost.remember('b', keys(MAX_LOST_CHANNELS, 2))
    expect(lost.size).toBe(MAX_LOST_CHANNELS)
    lost.forget('a')
    expect(lost.size).toBe(2)
  })
})

const TARGET = { host: 'far.test', port: 80 }
const CREDIT = { streamControl: 65_536 }

async function cut(stage: TunnelStage): Promise<ScriptedLink> {
  stage.server.link().transport.cut()
  await stage.clock.advanceAsync(0)
  await stage.clock.advanceAsync(500)
  return stage.server.link()
}

/** Dials, and the server answers, as one of ours or as a deployed one. */
async function dialled(stage: TunnelStage, trailer?: typeof CREDIT) {
  const dialling = stage.tunnel.dial(TARGET)
  await settle()
  const link = stage.server.link()
  const channelId = link.received(MessageType.Connect).at(-1)?.channelId ?? new Uint8Array(16)
  link.send(encodeConnectResponse({ success: true, channelId, trailer }))
  return { peer: new TestPeer(await dialling), key: channelKey(channelId) }
}

describe('A client that lost its link to a deployed server', () => {
  it('ends on the next one the base channels that died, and no others', async () => {
    const stage = await upTunnel()
    const base = await dialled(stage)
    const over = await dialled(stage)
    over.peer.abort(new LinkSocksError('ERR_CANCELLED', 'given up'))
    await dialled(stage, CREDIT)
    const waiting = stage.tunnel.dial(TARGET)
    waiting.catch(() => {})
    const associating = stage.tunnel.associate()
    associating.catch(() => {})
    await settle()
    const [pending, udp] = stage.server.link().received(MessageType.Connect).slice(-2)
    const next = await cut(stage)
    expect(next.received(MessageType.Disconnect)).toMatchObject([
      { channelId: bytesOfKey(base.key), error: 'the link was lost' },
      { channelId: pending?.channelId },
      { channelId: udp?.channelId },
    ])
    // requests without an answer were made again, with ids of their own
    expect(endedOn(await cut(stage))).not.toContain(base.key)
    await stage.tunnel.close()
  })

  it('does so as a provider, for channels that it was asked for', async () => {
    const stage = await upTunnel({ reverse: true })
    const channelId = new Uint8Array(16).fill(7)
    stage.server.link().send(encodeConnect({ protocol: ChannelProtocol.Tcp, channelId, target: TARGET }))
    await settle()
    const next = await cut(stage)
    expect(endedOn(next)).toEqual([channelKey(channelId)])
    await stage.tunnel.close()
  })

  it('says nothing of them to another server, nor to one that knows sessions', async () => {
    const stage = await upTunnel({ urls: ['ws://one.test', 'ws://two.test'] })
    await dialled(stage)
    stage.server.admits = { sessionId: new Uint8Array(16).fill(1) }
    const knowing = await cut(stage)
    expect([knowing.url.startsWith('ws://one.test'), knowing.messages]).toEqual([true, []])
    await stage.tunnel.close()
  })

  it('says nothing when it ended them itself', async () => {
    const stage = await upTunnel()
    const { peer, key } = await dialled(stage)
    await stage.tunnel.close()
    expect([peer.closed, endedOn(stage.server.link())]).toEqual([true, [key]])
  })
})

describe('A client', () => {
  it.each([
    { role: 'forward client', reverse: false },
    { role: 'provider', reverse: true },
  ])('drops and counts Data for channels it never opened, as a $role too, and answers none', async ({ reverse }) => {
    const stage = await upTunnel({ reverse })
    const link = stage.server.link()
    for (let seed = 0; seed < 1_000; seed += 1) {
      link.send(concat(encodeDataHead(bytesOfKey(keyOf(seed)), 4), new Uint8Array(4)))
    }
    await settle()
    expect(link.messages).toEqual([])
    await cut(stage)
    expect(stage.log.of('data.dropped')).toEqual([{ count: 1_000 }])
    await stage.tunnel.close()
    // nothing came on the second link
    expect(stage.log.of('data.dropped')).toHaveLength(1)
  })
})
