import { describe, expect, it } from 'vitest'
import { encodeConnect, encodeConnector, encodeLog, encodePartners, MessageType } from '../../src/protocol/messages.js'
import { IdleStream } from '../exit/fakes.js'
import { channelMoves } from '../protocol/channel-moves.js'
import { settle } from '../support/manual-clock.js'
import { concat, hex } from '../support/test-peer.js'
import { accept, connectTcp, data, disconnect, openChannel, TARGET, textOf } from './splice/channels.js'
import { agentWorld, uuid, type World } from './world.js'

async function fullWorld(): Promise<World> {
  const world = await agentWorld()
  await world.relay.addToken({ type: 'forward', token: 'forward' })
  await world.relay.addToken({ type: 'reverse', token: 'autonomous', allowManageConnector: true })
  return world
}

const linesOf = (world: World, event: string): number => world.lines.filter((line) => line.event === event).length

describe('roles are authority', () => {
  it.each(['tenant', 'autonomous'])(
    'a Connect from a provider (%s) is refused and nothing is dialled',
    async (token) => {
      const world = await fullWorld()
      const others = [await world.join('tenant'), await world.join('member'), await world.join('forward')]
      const provider = await world.join(token)
      for (const peer of others) peer.clear()
      await provider.send(connectTcp(uuid()), connectTcp(uuid(), 65_536))
      const answers = provider.of(MessageType.ConnectResponse)
      expect(answers.map(({ success, trailer }) => [success, trailer?.rep])).toEqual([
        [false, 2],
        [false, 2],
      ])
      expect(world.dials.asked).toEqual([])
      expect(others.flatMap((peer) => peer.of(MessageType.Connect))).toEqual([])
      expect(provider.closed).toBeUndefined()
    },
  )

  it('a forward client is dialled for by the server, never by a provider', async () => {
    const world = await fullWorld()
    const provider = await world.join('tenant')
    const client = await world.join('forward')
    await client.send(connectTcp(uuid()))
    expect(world.dials.asked).toHaveLength(1)
    expect(provider.of(MessageType.Connect)).toEqual([])
  })

  it.each(['forward', 'member', 'tenant', 'autonomous'])(
    'a Connect of %s that resumes a channel nobody knows is answered, and opens nothing',
    async (token) => {
      const world = await fullWorld()
      const provider = await world.join('tenant')
      const peer = await world.join(token)
      for (const each of [provider, peer]) each.clear()
      const [tcp, udp] = [uuid(), uuid()]
      await peer.send(
        encodeConnect({ protocol: 1, channelId: tcp, target: TARGET, resume: true }),
        encodeConnect({ protocol: 2, channelId: udp, resume: true }),
      )
      expect(peer.messages).toEqual([
        { type: MessageType.Disconnect, channelId: tcp, error: 'channel expired' },
        { type: MessageType.Disconnect, channelId: udp, error: 'channel expired' },
      ])
      expect([world.dials.asked, world.associations.asked, provider.raw]).toEqual([[], [], []])
    },
  )

  it.each(['forward', 'member'])(
    'a Connect of %s that resumes a channel it has is not answered, and opens nothing',
    async (token) => {
      const world = await fullWorld()
      const provider = await world.join('tenant')
      const peer = await world.join(token)
      const id = uuid()
      await peer.send(connectTcp(id))
      const before = [world.dials.asked.length, provider.raw.length, peer.raw.length]
      await peer.send(encodeConnect({ protocol: 1, channelId: id, target: TARGET, resume: true }))
      expect([world.dials.asked.length, provider.raw.length, peer.raw.length]).toEqual(before)
    },
  )

  it('a connector is never dialled for by the server', async () => {
    const world = await fullWorld()
    const connector = await world.join('member')
    await connector.send(connectTcp(uuid()))
    expect(world.dials.asked).toEqual([])
  })

  it.each(['forward', 'member', 'tenant'])('%s may not manage connector tokens', async (token) => {
    const world = await fullWorld()
    const peer = await world.join(token)
    const before = JSON.stringify(world.relay.tokens())
    for (const [name, operation] of [
      ['new', 1],
      ['', 1],
      ['member', 2],
      ['forward', 2],
    ] as const) {
      await peer.send(encodeConnector({ requestId: uuid(), token: name, operation }))
    }
    expect(peer.of(MessageType.ConnectorResponse).map(({ error }) => error)).toEqual(
      Array(4).fill('Unauthorized connector management attempt'),
    )
    expect(JSON.stringify(world.relay.tokens())).toBe(before)
  })

  it('messages that only a server sends change nothing', async () => {
    const world = await fullWorld()
    for (const token of ['forward', 'member', 'tenant', 'autonomous']) {
      const peer = await world.join(token)
      peer.clear()
      await peer.send(
        encodePartners({ count: 99 }),
        concat(hex('010800'), uuid(), hex('01')),
        hex('010b000000027b7d'),
        hex('01ff00'),
        hex('0109000000'),
        encodeLog({ level: 'debug', message: 'linksocks_client_hello:direct_signaling=1' }),
      )
      expect(peer.raw).toEqual([])
      expect(peer.closed).toBeUndefined()
    }
  })

  it('messages about channels that move change nothing, whether they are whole or not', async () => {
    const world = await fullWorld()
    const [provider, connector] = [await world.join('tenant'), await world.join('member')]
    const id = uuid()
    await connector.send(connectTcp(id))
    await provider.send(accept(id))
    const others = [await world.join('forward'), await world.join('autonomous')]
    const peers = [provider, connector, ...others]
    for (const peer of peers) peer.clear()
    const lines = world.lines.length
    for (const peer of peers) await peer.send(...channelMoves(id), ...channelMoves(uuid()))
    expect(world.lines).toHaveLength(lines)
    for (const peer of peers) await peer.send(...channelMoves(id).map((raw) => raw.subarray(0, -1)))
    expect(peers.map((peer) => [peer.raw, peer.closed])).toEqual(peers.map(() => [[], undefined]))
    await connector.send(data(id, 'goes on'))
    expect(textOf(provider)).toBe('goes on')
  })

  it.each(['forward', 'member', 'tenant', 'autonomous'])(
    'a probe of %s is answered with the version',
    async (token) => {
      const world = await fullWorld()
      const peer = await world.join(token)
      peer.clear()
      await peer.send(encodeLog({ level: 'trace', message: 'probe:1' }))
      expect(peer.messages).toEqual([{ type: MessageType.Log, level: 'trace', message: 'pong:{"version":"1.2.3"}' }])
    },
  )

  it('shows text of a peer escaped and cut, as remote', async () => {
    const world = await fullWorld()
    const peer = await world.join('forward')
    await peer.send(encodeLog({ level: 'error', message: `\u001b[31m\u202e${'x'.repeat(5_000)}` }))
    const line = world.lines.find(({ event }) => event === 'link.remote')
    expect(String(line?.fields.remote).length).toBeLessThan(600)
    expect(String(line?.fields.remote)).not.toContain('\u001b')
  })

  it('lets no peer flood the log', async () => {
    const world = await fullWorld()
    const peer = await world.join('forward')
    const log = encodeLog({ level: 'error', message: 'spam' })
    const unauthorized = encodeConnector({ requestId: uuid(), token: 'x', operation: 1 })
    for (let count = 0; count < 500; count += 1) peer.transport.send(count % 2 === 0 ? log : unauthorized)
    await settle()
    expect([linesOf(world, 'link.remote'), linesOf(world, 'connector.refused')]).toEqual([20, 50])
    await world.clock.advanceAsync(10_000)
    await peer.send(log, unauthorized)
    expect(world.lines).toContainEqual({ event: 'remote.suppressed', fields: { link: 1, lines: 230 } })
    expect(world.lines).toContainEqual({ event: 'log.suppressed', fields: { link: 1, lines: 200 } })
    peer.transport.abort()
    await settle()
    expect(world.lines.at(-1)?.event).toBe('link.closed')
  })

  it('writes what is said about a peer, whatever that peer says itself', async () => {
    const world = await fullWorld()
    const peer = await world.join('forward')
    for (let count = 0; count < 100; count += 1) peer.transport.send(encodeLog({ level: 'error', message: 'spam' }))
    await peer.send(encodeConnector({ requestId: uuid(), token: 'x', operation: 1 }))
    expect([linesOf(world, 'link.remote'), linesOf(world, 'connector.refused')]).toEqual([20, 1])
  })

  it('a message of another version ends that link alone', async () => {
    const world = await fullWorld()
    const [peer, other] = [await world.join('member'), await world.join('member')]
    await peer.send(hex('200300'))
    expect(peer.closed).toBeDefined()
    expect(other.closed).toBeUndefined()
    expect(world.lines.some(({ fields }) => fields.code === 'ERR_MESSAGE_VERSION')).toBe(true)
  })
})

describe('tenants', () => {
  it('a connector reaches the providers of its own reverse token alone', async () => {
    const world = await agentWorld()
    await world.relay.addToken({ type: 'reverse', token: 'tenant2' })
    const [own, foreign] = [await world.join('tenant'), await world.join('tenant2')]
    const connector = await world.join('member')
    for (let count = 0; count < 4; count += 1) await connector.send(connectTcp(uuid()))
    expect(own.of(MessageType.Connect)).toHaveLength(4)
    expect(foreign.of(MessageType.Connect)).toEqual([])
  })

  it('a peer of another tenant that knows a channel id can neither read, write nor end it', async () => {
    const world = await agentWorld()
    await world.relay.addToken({ type: 'reverse', token: 'tenant2' })
    const [provider, connector, foreign] = [
      await world.join('tenant'),
      await world.join('member'),
      await world.join('tenant2'),
    ]
    const id = await openChannel(connector, provider)
    await foreign.send(accept(id), data(id, 'evil'), disconnect(id, 'evil'))
    await connector.send(data(id, 'up'))
    await provider.send(data(id, 'down'))
    expect([textOf(provider), textOf(connector), textOf(foreign)]).toEqual(['up', 'down', ''])
  })
})

describe('forward mode', () => {
  it('dials, refuses with the REP of the failure, and closes what comes too late', async () => {
    const world = await fullWorld()
    const client = await world.join('forward')
    const [one, two] = [uuid(), uuid()]
    await client.send(connectTcp(one), connectTcp(two))
    world.dials.at(0).reject(new Error('boom'))
    await client.send(disconnect(two, 'gave up'))
    expect(world.dials.at(1).aborted).toBe(true)
    const answers = client.of(MessageType.ConnectResponse)
    expect(answers[0]).toMatchObject({ success: false, trailer: { rep: 1 } })
  })

  it('cancels its dials and resets its streams when the link is lost', async () => {
    const world = await fullWorld()
    const client = await world.join('forward')
    await client.send(connectTcp(uuid()), connectTcp(uuid()))
    const stream = new IdleStream()
    world.dials.at(0).resolve(stream)
    await settle()
    client.transport.abort()
    await settle()
    expect(stream.aborted?.code).toBe('ERR_LINK_LOST')
    expect(world.dials.at(1).aborted).toBe(true)
  })
})

describe('an idle provider', () => {
  it('is pinged, which keeps it for as long as it answers', async () => {
    const world = await agentWorld()
    const provider = await world.join('tenant')
    await world.clock.advanceAsync(10 * 60_000)
    expect(provider.closed).toBeUndefined()
    expect(world.relay.tokens()).toMatchObject([{ clientsCount: 1 }])
  })

  it('that answers no ping is gone after 45 s, although pings can still be written', async () => {
    const world = await agentWorld()
    const provider = await world.join('tenant')
    provider.transport.hold()
    await world.clock.advanceAsync(44_999)
    expect(world.relay.tokens()).toMatchObject([{ clientsCount: 1 }])
    await world.clock.advanceAsync(1)
    expect(world.relay.tokens()).toMatchObject([{ clientsCount: 0 }])
    expect(world.lines.at(-1)).toMatchObject({ event: 'link.closed', fields: { code: 'ERR_LINK_TIMEOUT' } })
  })
})
