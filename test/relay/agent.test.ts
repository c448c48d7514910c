import { describe, expect, it } from 'vitest'
import { nodeCrypto } from '../../src/node/system/crypto.js'
import { encodeConnect, encodeDatagram, encodeDataHead, MessageType } from '../../src/protocol/messages.js'
import { newUuid } from '../../src/protocol/uuid.js'
import { CONNECTOR_WAIT_MS } from '../../src/relay/relay.js'
import { MAX_SMALL_MESSAGE_BYTES } from '../../src/relay/splice/splice-rules.js'
import { settle } from '../support/manual-clock.js'
import { concat, hex, toHex } from '../support/test-peer.js'
import {
  accept,
  connectTcp,
  data,
  disconnect,
  endingsOf,
  expectForgotten,
  openChannel,
  TARGET,
  textOf,
} from './splice/channels.js'
import { agentWorld, type Peer, uuid, type World } from './world.js'

async function pair(options = {}): Promise<{ world: World; connector: Peer; provider: Peer }> {
  const world = await agentWorld(options)
  const provider = await world.join('tenant')
  const connector = await world.join('member')
  provider.clear()
  connector.clear()
  return { world, connector, provider }
}

const connects = (peer: Peer): number => peer.of(MessageType.Connect).length

describe('passing a channel on', () => {
  it('passes Connect, ConnectResponse and Data byte for byte, unknown trailer tags and Compression values included', async () => {
    const { connector, provider } = await pair()
    const id = uuid()
    const tags = hex('00 4c58 7f 02 abcd 01 04 00080000')
    const connect = concat(encodeConnect({ protocol: 1, channelId: id, target: TARGET }), tags)
    const answer = concat(accept(id), tags.subarray(1))
    const odd = concat(encodeDataHead(id, 3, 0x55), hex('010203'))
    const unknownOp = concat(encodeDataHead(id, 2, 0x10), hex('7f01'))
    await connector.send(connect)
    expect(provider.raw.map(toHex)).toEqual([toHex(connect)])
    await provider.send(answer, odd)
    expect(connector.raw.map(toHex)).toEqual([answer, odd].map(toHex))
    await connector.send(odd, unknownOp)
    expect(provider.raw.slice(1).map(toHex)).toEqual([odd, unknownOp].map(toHex))
  })

  it('passes vectors of the deployed program', async () => {
    const { connector, provider } = await pair()
    const connect = hex('0103013dfad24bcf6c4b7fa4aa43f2098b21fc07392e392e392e390050')
    await connector.send(connect)
    expect(provider.raw.map(toHex)).toEqual([toHex(connect)])
  })

  it('gives the far end the minor version it knows', async () => {
    const { connector, provider } = await pair()
    const connect = connectTcp(uuid())
    await connector.send(Uint8Array.of(0x0f, ...connect.subarray(1)))
    expect(provider.raw.map(toHex)).toEqual([toHex(connect)])
  })

  it('goes round robin over the providers, channel by channel', async () => {
    const { world, connector, provider } = await pair()
    const second = await world.join('tenant')
    for (let count = 0; count < 6; count += 1) await connector.send(connectTcp(uuid()))
    expect([connects(provider), connects(second)]).toEqual([3, 3])
  })

  it('skips dead providers', async () => {
    const { world, connector, provider } = await pair()
    const second = await world.join('tenant')
    provider.transport.abort()
    await settle()
    for (let count = 0; count < 4; count += 1) await connector.send(connectTcp(uuid()))
    expect(connects(second)).toBe(4)
  })

  it('asks the next provider when one is lost before it answered', async () => {
    const { world, connector, provider } = await pair()
    const second = await world.join('tenant')
    const id = uuid()
    await connector.send(connectTcp(id))
    const [first, other] = connects(provider) === 1 ? [provider, second] : [second, provider]
    first.transport.abort()
    await settle()
    expect(connects(other)).toBe(1)
    await other.send(accept(id), data(id, 'hello'))
    expect(textOf(connector)).toBe('hello')
  })

  describe('with a provider that is asleep', () => {
    async function asked() {
      const { world, connector, provider } = await pair()
      const second = await world.join('tenant')
      const id = uuid()
      await connector.send(connectTcp(id))
      const [first, other] = connects(provider) === 1 ? [provider, second] : [second, provider]
      first.clear()
      return { world, connector, first, other }
    }

    it('gives further channels to the others at once, until it sends something', async () => {
      const { world, connector, first, other } = await asked()
      first.transport.pause()
      await world.clock.advanceAsync(500)
      for (let count = 0; count < 4; count += 1) await connector.send(connectTcp(uuid()))
      expect(connects(other)).toBe(5)
      first.transport.resume()
      await settle()
      const before = connects(first)
      for (let count = 0; count < 4; count += 1) await connector.send(connectTcp(uuid()))
      expect(connects(first)).toBe(before + 2)
    })
  })

  it('asks nobody else once data has passed: two destinations must not be mixed', async () => {
    const { world, connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id))
    await provider.send(data(id, 'SSH-2.0 one'))
    const second = await world.join('tenant')
    provider.transport.abort()
    await settle()
    expect(connects(second)).toBe(0)
    expect(connector.of(MessageType.ConnectResponse).map(({ success }) => success)).toEqual([false])
  })

  it('passes Data that overtakes the ConnectResponse', async () => {
    const { connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id))
    await provider.send(data(id, 'banner'), accept(id))
    expect(textOf(connector)).toBe('banner')
    expect(connector.of(MessageType.ConnectResponse)).toHaveLength(1)
  })

  it('passes a refusal with its REP and forgets the channel', async () => {
    const { world, connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id))
    const refusal = concat(Uint8Array.of(1, 5, 0), id, hex('03 6e6f70 4c58 02 01 05'))
    await provider.send(refusal)
    expect(connector.raw.map(toHex)).toEqual([toHex(refusal)])
    expect(await expectForgotten(world, [connector, provider], id)).toBe(true)
  })
})

describe('requests that are refused', () => {
  it('answers a Connect of an unknown protocol, and tells no provider of it', async () => {
    const { connector, provider } = await pair()
    await connector.send(concat(Uint8Array.of(1, 3, 9), uuid()))
    expect(connector.of(MessageType.ConnectResponse)[0]).toMatchObject({ success: false, trailer: { rep: 7 } })
    expect(provider.raw).toEqual([])
  })

  it('answers a Connect of several kilobytes, which would burden the provider', async () => {
    const { connector, provider } = await pair()
    await connector.send(concat(connectTcp(uuid()), new Uint8Array(MAX_SMALL_MESSAGE_BYTES)))
    expect(connector.of(MessageType.ConnectResponse)[0]?.success).toBe(false)
    await connector.send(concat(connectTcp(uuid()), new Uint8Array(16 * 1024 * 1024)))
    expect(provider.raw).toEqual([])
    expect(provider.closed).toBeUndefined()
    expect(connector.closed).toBeUndefined()
  })

  it('ignores a second Connect for a living channel and keeps the link', async () => {
    const { connector, provider } = await pair()
    const id = await openChannel(connector, provider)
    await connector.send(connectTcp(id), data(id, 'still here'))
    expect(textOf(provider)).toBe('still here')
    expect(connector.raw).toEqual([])
  })

  it('a channel id that another connector uses is refused and hurts nobody', async () => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider)
    const rival = await world.join('member')
    rival.clear()
    await rival.send(connectTcp(id))
    expect(rival.of(MessageType.ConnectResponse)[0]?.success).toBe(false)
    await rival.send(data(id, 'evil'), disconnect(id, 'evil'))
    await connector.send(data(id, 'good'))
    expect(textOf(provider)).toBe('good')
    expect(endingsOf(provider)).toEqual([])
    await provider.send(data(id, 'yes'))
    expect(textOf(connector)).toBe('yes')
    expect(textOf(rival)).toBe('')
  })
})

describe('waiting for a provider', () => {
  it('fails after the wait with the text that deployed clients know', async () => {
    const world = await agentWorld()
    const connector = await world.join('member')
    connector.clear()
    await connector.send(connectTcp(uuid()))
    await world.clock.advanceAsync(CONNECTOR_WAIT_MS - 1)
    expect(connector.raw).toEqual([])
    await world.clock.advanceAsync(1)
    expect(connector.of(MessageType.ConnectResponse)[0]).toMatchObject({
      success: false,
      error: 'no available reverse clients',
      trailer: { rep: 3 },
    })
  })

  it('delivers Data and a base end that came early, in order', async () => {
    const world = await agentWorld()
    const connector = await world.join('member')
    const id = uuid()
    await connector.send(connectTcp(id), data(id, 'one '), data(id, 'two'), disconnect(id, 'EOF'))
    const provider = await world.join('tenant')
    expect(provider.messages.map(({ type }) => type).slice(-4)).toEqual([3, 4, 4, 6])
    expect(textOf(provider)).toBe('one two')
  })

  it('refuses more early Data than it keeps', async () => {
    const world = await agentWorld()
    const connector = await world.join('member')
    const id = uuid()
    await connector.send(connectTcp(id), ...Array.from({ length: 5 }, () => data(id, new Uint8Array(60_000))))
    expect(connector.of(MessageType.ConnectResponse)[0]?.success).toBe(false)
    expect(await expectForgotten(world, [connector], id)).toBe(true)
  })

  it('refuses an endless number of empty early messages and frames', async () => {
    for (const compression of [0, 0x10]) {
      const world = await agentWorld()
      const connector = await world.join('member')
      const id = uuid()
      await connector.send(connectTcp(id, 65_536))
      const message = encodeDataHead(id, 0, compression)
      await connector.send(...Array.from({ length: 4_000 }, () => message))
      expect(connector.of(MessageType.ConnectResponse)[0]?.success).toBe(false)
    }
  })

  it('keeps the newest of early datagrams', async () => {
    const world = await agentWorld()
    const connector = await world.join('member')
    const id = uuid()
    const datagram = (index: number): Uint8Array =>
      encodeDatagram({ channelId: id, data: new Uint8Array(1_000).fill(index), target: TARGET })
    await connector.send(encodeConnect({ protocol: 2, channelId: id }))
    await connector.send(...Array.from({ length: 1_000 }, (_, index) => datagram(index % 256)))
    const provider = await world.join('tenant')
    await settle()
    const got = provider.of(MessageType.Data)
    expect(got.length).toBeGreaterThan(100)
    expect(got.length).toBeLessThan(260)
    expect(got.at(-1)?.data[0]).toBe(999 % 256)
  })

  it('gives up when the connector does: nothing is dialled for it later', async () => {
    for (const leave of ['disconnect', 'abort'] as const) {
      const world = await agentWorld()
      const connector = await world.join('member')
      const id = uuid()
      await connector.send(connectTcp(id))
      if (leave === 'disconnect') await connector.send(disconnect(id, 'cancelled'))
      else connector.transport.abort()
      await settle()
      const provider = await world.join('tenant')
      expect(connects(provider)).toBe(0)
    }
  })

  it('wakes every request that waits', async () => {
    const world = await agentWorld()
    const connector = await world.join('member')
    await connector.send(...Array.from({ length: 20 }, () => connectTcp(newUuid(nodeCrypto))))
    const provider = await world.join('tenant')
    expect(connects(provider)).toBe(20)
  })
})

describe('the end of a channel', () => {
  it("passes a connector's Disconnect on to the provider while it dials, and never back", async () => {
    const { world, connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id))
    await connector.send(disconnect(id, 'gave up'))
    expect(endingsOf(provider)).toEqual(['gave up'])
    expect(connector.raw).toEqual([])
    await provider.send(accept(id), disconnect(id, 'closed'))
    expect(await expectForgotten(world, [connector, provider], id)).toBe(true)
  })

  it('dials nothing for a connector that gave up before the Connect went out', async () => {
    const { connector, provider } = await pair()
    provider.far.hold()
    // fills the link to the provider
    const busy = uuid()
    await connector.send(connectTcp(busy), ...Array.from({ length: 10 }, () => data(busy, new Uint8Array(65_536))))
    const id = uuid()
    await connector.send(connectTcp(id))
    await connector.send(disconnect(id, 'gave up'))
    provider.far.letGo()
    await settle()
    expect(provider.of(MessageType.Connect).map(({ channelId }) => toHex(channelId))).toEqual([toHex(busy)])
    expect(endingsOf(provider)).toEqual([])
  })

  it('passes Disconnect both ways, and what still comes between the two', async () => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider)
    await connector.send(disconnect(id, 'EOF'))
    await provider.send(data(id, 'late answer'), disconnect(id, 'EOF'))
    expect(endingsOf(provider)).toEqual(['EOF'])
    expect(textOf(connector)).toBe('late answer')
    expect(endingsOf(connector)).toEqual(['EOF'])
    expect(await expectForgotten(world, [connector, provider], id)).toBe(true)
  })

  it('ignores a second Disconnect and what comes behind the first', async () => {
    const { connector, provider } = await pair()
    const id = await openChannel(connector, provider)
    await connector.send(disconnect(id, 'EOF'), disconnect(id, 'EOF'), data(id, 'x'), disconnect(id, 'oops'))
    expect(provider.raw).toHaveLength(1)
  })

  it('does not wait for ever for an end that answers nothing', async () => {
    const { world, connector, provider } = await pair()
    const id = await openChannel(connector, provider)
    await connector.send(disconnect(id))
    await world.clock.advanceAsync(10_000)
    expect(await expectForgotten(world, [connector, provider], id)).toBe(true)
  })

  it.each(['connector', 'provider'] as const)('tells the other side at once when the %s is lost', async (lost) => {
    const { world, connector, provider } = await pair()
    const base = await openChannel(connector, provider)
    const credit = await openChannel(connector, provider, { offer: 65_536, grant: 65_536 })
    const [gone, left] = lost === 'connector' ? [connector, provider] : [provider, connector]
    gone.transport.abort()
    await settle()
    expect(endingsOf(left)).toHaveLength(3)
    expect(endingsOf(left)).toContain(7)
    expect(endingsOf(left)).not.toContain('EOF')
    expect(await expectForgotten(world, [left], base)).toBe(true)
    expect(await expectForgotten(world, [left], credit)).toBe(true)
  })

  it('sends no RESET to a provider that has not shown that it knows stream control', async () => {
    const { connector, provider } = await pair()
    await connector.send(connectTcp(uuid(), 65_536))
    provider.clear()
    connector.transport.abort()
    await settle()
    expect(provider.messages.map(({ type }) => type).filter((type) => type !== MessageType.Partners)).toEqual([6])
  })

  it('answers Data for an unknown channel at most once a second and channel, and no Disconnect', async () => {
    const { world, connector, provider } = await pair()
    for (const peer of [connector, provider]) {
      const [one, two] = [uuid(), uuid()]
      await peer.send(data(one, 'x'), data(one, 'x'), data(two, 'x'), disconnect(one), accept(one), disconnect(uuid()))
      expect(endingsOf(peer)).toEqual(['unknown channel', 'unknown channel'])
      await world.clock.advanceAsync(1_000)
      await peer.send(data(one, 'x'))
      expect(endingsOf(peer)).toHaveLength(3)
    }
  })

  it('answers random ids with bounded memory of them', async () => {
    const { connector } = await pair()
    await connector.send(...Array.from({ length: 3_000 }, () => data(uuid(), 'x')))
    expect(endingsOf(connector)).toHaveLength(3_000)
    expect(connector.closed).toBeUndefined()
  })

  it('a message that can not be read ends its channel alone', async () => {
    const { connector, provider } = await pair()
    const [broken, fine] = [await openChannel(connector, provider), await openChannel(connector, provider)]
    await connector.send(encodeDataHead(broken, 100))
    expect(endingsOf(provider)).toHaveLength(1)
    await connector.send(data(fine, 'fine'))
    expect(textOf(provider)).toBe('fine')
  })
})
