import { describe, expect, it } from 'vitest'
import { UdpRelay } from '../../../src/exit/udp/udp-relay.js'
import { MAX_WAITING_DATAGRAMS } from '../../../src/exit/udp/waiting-datagrams.js'
import { encodeConnect, encodeConnectResponse, encodeDatagram, MessageType } from '../../../src/protocol/messages.js'
import { Calls, FakeUdp } from '../../exit/fakes.js'
import { settle } from '../../support/manual-clock.js'
import { memoryStreamPair } from '../../support/memory-stream.js'
import { countOf, idOf, joinResumable, lose } from '../admission/resume-peers.js'
import { accept, connectTcp, data, disconnect, openChannel, TARGET } from '../splice/channels.js'
import { agentWorld, type Peer, uuid, World } from '../world.js'
import { StreamScene, Told } from './stream-scene.js'

const refusal = (channelId: Uint8Array, error: string) => encodeConnectResponse({ success: false, channelId, error })

async function pair(): Promise<{ world: World; told: Told; connector: Peer; provider: Peer }> {
  const world = await agentWorld()
  const told = new Told(world)
  return { world, told, provider: await world.join('tenant'), connector: await world.join('member') }
}

const streamsOf = (world: World) => [...world.relay.streams()]
const clientStreams = (world: World) => world.relay.clients().map(({ role, streams }) => `${role} ${streams}`)

describe('a stream whose provider is lost before it answers', () => {
  it('of a connector is of the next provider, and counts once', async () => {
    const { world, told, connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id))
    const first = streamsOf(world)[0]?.providerId
    const next = await world.join('tenant')
    provider.transport.cut()
    await settle()
    const [stream] = streamsOf(world)
    expect([stream?.id, stream?.state, stream?.providerId === first]).toEqual([1, 'opening', false])
    expect(clientStreams(world)).toEqual(['connector 1', 'provider 1'])
    await next.send(accept(id))
    expect(told.results).toEqual([0])
    await next.send(disconnect(id, 'EOF'))
    await connector.send(disconnect(id, 'EOF'))
    expect(clientStreams(world)).toEqual(['connector 0', 'provider 0'])
    expect(told.events.map(({ type, providerId }) => [type, providerId === stream?.providerId])).toEqual([
      ['stream.opened', true],
      ['stream.closed', true],
    ])
  })

  it('of a connector with nobody to go to is unreachable when the wait is over', async () => {
    const { world, told, connector, provider } = await pair()
    await connector.send(connectTcp(uuid()))
    provider.transport.cut()
    await world.clock.advanceAsync(5_000)
    expect([told.results, told.events, streamsOf(world)]).toEqual([[3], [], []])
    expect(clientStreams(world)).toEqual(['connector 0'])
  })

  it('of a SOCKS port is a stream anew with the next provider', async () => {
    const scene = await StreamScene.begin('reverse')
    const dialling = scene.dialer.dial(TARGET)
    await settle()
    const lost = scene.provider
    await scene.provide()
    lost?.transport.cut()
    await settle()
    const [near] = memoryStreamPair()
    scene.exits.at(1).resolve(near)
    await dialling
    expect([scene.told.results, scene.streams.map(({ id, state }) => `${id} ${state}`)]).toEqual([[3, 0], ['2 open']])
    expect(scene.world.relay.clients().map(({ streams }) => streams)).toEqual([1])
  })
})

describe('the beginning of a stream', () => {
  it('stays when the calendar is set', async () => {
    const { world, connector } = await pair()
    await connector.send(connectTcp(uuid()))
    const [{ since } = { since: 0 }] = streamsOf(world)
    world.clock.epoch += 3_600_000
    await world.clock.advanceAsync(10)
    expect([since, streamsOf(world)[0]?.since]).toEqual([world.clock.wallTime() - 3_600_010, since])
  })
})

describe('a request without a provider', () => {
  it('of a connector is listed while it waits, and cancelled when the connector leaves', async () => {
    const world = await agentWorld()
    const told = new Told(world)
    const connector = await world.join('member')
    await connector.send(connectTcp(uuid()), connectTcp(uuid()))
    expect(streamsOf(world)).toMatchObject([{ state: 'opening', providerId: undefined }, { id: 2 }])
    connector.transport.cut()
    await settle()
    expect([told.results, streamsOf(world), world.clock.pending]).toEqual([['cancelled', 'cancelled'], [], 0])
  })

  it('on a SOCKS port counts as unreachable, or as cancelled', async () => {
    const world = new World({ socksNowait: true })
    const told = new Told(world)
    await world.relay.addToken({ type: 'reverse', token: 'tenant' })
    const dialer = world.openPorts.get(10_000)?.dialer
    const cancel = new AbortController()
    const ends = [dialer?.dial(TARGET), dialer?.dial(TARGET, { signal: cancel.signal })].map((dialling) =>
      dialling?.catch(({ code }) => code),
    )
    await settle()
    cancel.abort()
    await world.clock.advanceAsync(10_000)
    expect(await Promise.all(ends)).toEqual(['ERR_DIAL_NETWORK_UNREACHABLE', 'ERR_CANCELLED'])
    expect(told.results).toEqual(['cancelled', 3])
  })
})

describe('a stream between deployed peers', () => {
  it('counts both directions, early data included', async () => {
    const { world, told, connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id), data(id, 'early'))
    expect(streamsOf(world)).toMatchObject([{ state: 'opening', sentBytes: 5, receivedBytes: 0 }])
    await provider.send(accept(id), data(id, 'answer!'))
    await connector.send(data(id, new Uint8Array(1_000)))
    await provider.send(disconnect(id, 'EOF'))
    await connector.send(disconnect(id, 'EOF'))
    expect(told.closed).toEqual([{ sentBytes: 1_005, receivedBytes: 7, error: undefined }])
    expect(streamsOf(world)).toEqual([])
  })

  it('is open with the first data of a provider that answers later, and counted once', async () => {
    const { told, connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id))
    await provider.send(data(id, 'SSH-2.0'))
    expect(told.events.map(({ type }) => type)).toEqual(['stream.opened'])
    await provider.send(accept(id))
    expect([told.results, told.events.length]).toEqual([[0], 1])
  })

  it.each([
    ['connect: connection refused', 5],
    ['lookup x: no such host', 4],
    ['i/o timeout', 6],
    ['something else', 1],
  ])('that is refused with the text "%s" counts as REP %d', async (text, rep) => {
    const { world, told, connector, provider } = await pair()
    const id = uuid()
    await connector.send(connectTcp(id))
    await provider.send(refusal(id, text))
    expect([told.results, streamsOf(world), clientStreams(world)]).toEqual([[rep], [], ['provider 0', 'connector 0']])
  })

  it('of datagrams counts what they carry, without their addresses', async () => {
    const { world, told, connector, provider } = await pair()
    const id = uuid()
    await connector.send(Uint8Array.of(1, MessageType.Connect, 2, ...id))
    await provider.send(accept(id))
    const target = { host: 'a.test', port: 53 }
    await connector.send(encodeDatagram({ channelId: id, data: new Uint8Array(30), target }))
    await provider.send(encodeDatagram({ channelId: id, data: new Uint8Array(70), source: target }))
    expect(streamsOf(world)).toMatchObject([{ protocol: 'udp', state: 'open', sentBytes: 30, receivedBytes: 70 }])
    await connector.send(disconnect(id, 'EOF'))
    await world.clock.advanceAsync(60_000)
    expect(told.closed).toMatchObject([{ sentBytes: 30, receivedBytes: 70 }])
    expect(streamsOf(world)).toEqual([])
  })
})

describe('a stream of datagrams', () => {
  const target = { host: 'a.test', port: 53 }

  it.each(['sentBytes', 'receivedBytes'] as const)('counts as %s what a queue has not dropped', async (counted) => {
    const { world, told, connector, provider } = await pair()
    const [from, to] = counted === 'sentBytes' ? [connector, provider] : [provider, connector]
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 2, channelId: id }))
    await provider.send(accept(id))
    to.far.hold()
    for (let sent = 0; sent < 60; sent += 1) {
      await from.send(encodeDatagram({ channelId: id, data: new Uint8Array(60_000), target, source: target }))
    }
    expect(streamsOf(world)[0]?.[counted]).toBeLessThan(5 * 60_000)
    to.far.letGo()
    await settle()
    const passed = to.of(MessageType.Data).length
    expect(passed).toBeLessThan(30)
    expect(streamsOf(world)).toMatchObject([{ [counted]: passed * 60_000 }])
    await connector.send(disconnect(id, 'EOF'))
    await world.clock.advanceAsync(60_000)
    expect(told.closed).toMatchObject([{ [counted]: passed * 60_000 }])
  })

  it('counts what waited for a provider once it has gone there, and nothing that no rule allows', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'tenant' })
    const rules = [{ addresses: ['192.0.2.1'] }]
    await world.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant', rules })
    const connector = await world.join('member')
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 2, channelId: id }))
    for (const [host, bytes] of [
      ['192.0.2.1', 10],
      ['192.0.2.2', 100],
    ] as const) {
      await connector.send(encodeDatagram({ channelId: id, data: new Uint8Array(bytes), target: { host, port: 53 } }))
    }
    expect(streamsOf(world)).toMatchObject([{ sentBytes: 0 }])
    const provider = await world.join('tenant')
    expect(provider.of(MessageType.Data)).toHaveLength(1)
    expect(streamsOf(world)).toMatchObject([{ sentBytes: 10 }])
  })

  it('of a forward client counts what has left, and not what waits for a name or was dropped there', async () => {
    const scene = await StreamScene.begin('forward')
    const { world } = scene
    const udp = new FakeUdp()
    const resolver = new Calls<string, readonly string[]>()
    const associating = scene.dialer.associate()
    await settle()
    world.associations
      .at(0)
      .resolve(await UdpRelay.open({ bindDatagrams: udp.bind, resolve: resolver.call, clock: world.clock }))
    const socket = await associating
    socket.start({ datagram: () => {}, close: () => {} })
    socket.send(new Uint8Array(7), { host: '192.0.2.1', port: 53 })
    socket.send(new Uint8Array(9), { host: '2001:db8::1', port: 53 })
    await settle()
    for (let sent = 0; sent < MAX_WAITING_DATAGRAMS + 6; sent += 1) socket.send(new Uint8Array(100), target)
    await settle()
    expect(scene.streams).toMatchObject([{ sentBytes: 16 }])
    resolver.at(0).resolve(['192.0.2.2'])
    await settle()
    const sentBytes = 16 + 100 * MAX_WAITING_DATAGRAMS
    expect(scene.streams).toMatchObject([{ sentBytes }])
    udp.socket(1).close()
    socket.close()
    await settle()
    expect(scene.told.closed).toMatchObject([{ sentBytes }])
  })
})

describe('a stream of a suspended session', () => {
  it('goes on being listed and counted, and ends with its session', async () => {
    const world = await agentWorld()
    const told = new Told(world)
    const provider = await world.join('tenant')
    const connector = await joinResumable(world, 'member')
    const [sessionId, received] = [idOf(connector), countOf(connector)]
    const id = uuid()
    await connector.send(connectTcp(id))
    await provider.send(accept(id), data(id, '12345'))
    expect(countOf(connector)).toBe(received + 2)
    await lose(connector)
    expect(world.relay.clients().map(({ state, streams }) => [state, streams])).toEqual([
      ['connected', 1],
      ['suspended', 1],
    ])
    const member = () => world.relay.tokenInfo(world.relay.tokenId('member') ?? '')
    expect(member()).toMatchObject({ clients: 0, streams: 1 })
    const before = world.relay.totals()
    const again = await joinResumable(world, 'member', { id: sessionId, received: received + 2 })
    await again.send(data(id, 'abc'))
    expect(streamsOf(world)).toMatchObject([{ id: 1, state: 'open', sentBytes: 3, receivedBytes: 5 }])
    expect(world.relay.totals().receivedBytes).toBeGreaterThan(before.receivedBytes)
    expect(world.relay.statistics.sessionsResumed.connector).toBe(1)
    await lose(again)
    provider.transport.pong()
    for (let waited = 0; waited < 200; waited += 10) {
      provider.transport.pong()
      await world.clock.advanceAsync(10_000)
    }
    expect(told.closed).toMatchObject([{ sentBytes: 3, receivedBytes: 5, error: expect.stringMatching(/^ERR_/) }])
    expect([streamsOf(world), clientStreams(world)]).toEqual([[], ['provider 0']])
  })
})

describe('totals', () => {
  it('only grow, whatever ends', async () => {
    const world = await agentWorld()
    await world.relay.addToken({ type: 'forward', token: 'forward' })
    let last = world.relay.totals()
    const expectGrowth = (): void => {
      const totals = world.relay.totals()
      expect(totals.receivedBytes).toBeGreaterThanOrEqual(last.receivedBytes)
      expect(totals.sentBytes).toBeGreaterThanOrEqual(last.sentBytes)
      last = totals
    }
    for (let turn = 0; turn < 4; turn += 1) {
      const [provider, connector] = [await world.join('tenant'), await world.join('member')]
      const forward = await joinResumable(world, 'forward')
      const id = await openChannel(connector, provider)
      await connector.send(data(id, new Uint8Array(1_000)))
      expectGrowth()
      await lose(forward)
      expectGrowth()
      if (turn % 2 === 0) provider.transport.cut()
      else await world.relay.changeToken(world.relay.tokenId('tenant') ?? '', { enabled: false })
      await world.clock.advanceAsync(5_000)
      expectGrowth()
      await world.relay.changeToken(world.relay.tokenId('tenant') ?? '', { enabled: true })
      connector.transport.cut()
      await settle()
      expectGrowth()
    }
    await world.relay.close()
    await world.clock.advanceAsync(5_000)
    expectGrowth()
    // Connect and Data of each turn came from the connector and went to the provider
    expect(Math.min(last.receivedBytes, last.sentBytes)).toBeGreaterThan(4_000)
    expect([last.clients, last.streams]).toEqual([0, 0])
  })
})

/** The first ping comes after 1 s, the others 20 s after the one before. */
const untilPing = (now: number): number => 20_000 - ((now + 19_000) % 20_000)

describe('the round trip of a client', () => {
  it('is what the answer to the last ping took, whatever pongs come unasked', async () => {
    const scene = await StreamScene.begin('forward')
    const { world, asker } = scene
    const shown = () => world.relay.clients().map(({ roundTripMs }) => roundTripMs)
    expect(shown()).toEqual([undefined])
    for (const tookMs of [37, 5]) {
      asker?.far.hold()
      await world.clock.advanceAsync(untilPing(world.clock.now()))
      asker?.transport.pong()
      await settle()
      await world.clock.advanceAsync(tookMs)
      asker?.far.letGo()
      await settle()
      expect(shown()).toEqual([tookMs])
    }
  })
})
