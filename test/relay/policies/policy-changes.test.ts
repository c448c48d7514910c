import { describe, expect, it } from 'vitest'
import type { LinkSocksError } from '../../../src/errors.js'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import { encodeConnect, encodeConnector, encodeDatagram, MessageType } from '../../../src/protocol/messages.js'
import { decodePolicy, policyRef } from '../../../src/protocol/policy-message.js'
import { Rep, repOf } from '../../../src/protocol/rep.js'
import { bytes } from '../../exit/fakes.js'
import { settle } from '../../support/manual-clock.js'
import { countOf, idOf, joinResumable, lose, wentOn } from '../admission/resume-peers.js'
import { MODES } from '../observe/stream-scene.js'
import { accept } from '../splice/channels.js'
import { type Peer, uuid, World } from '../world.js'
import { PolicyScene } from './policy-scene.js'

const deny = (...hosts: string[]): TokenPolicy => ({ egress: [{ action: 'deny', hosts }] })
const connectTo = (host: string, channelId = uuid()): Uint8Array =>
  encodeConnect({ protocol: 1, channelId, target: { host, port: 443 } })

/** Something that waits until it is let go. */
function gate(): { readonly wait: Promise<void>; open(): Promise<void> } {
  let go = (): void => {}
  const wait = new Promise<void>((resolve) => {
    go = resolve
  })
  return {
    wait,
    open: () => {
      go()
      return settle()
    },
  }
}

/** What a provider was told, in order: hosts of a policy by its number, a number that was given back, names of a Connect. */
function told(peer: Peer): readonly string[] {
  const connects = [...peer.of(MessageType.Connect)]
  return peer.raw.flatMap((raw) => {
    if (raw[1] === MessageType.Policy) {
      const policy = decodePolicy(raw)
      return [`${policyRef(raw)}: ${policy === undefined ? 'gone' : (policy.egress?.[0]?.hosts?.join() ?? 'anywhere')}`]
    }
    if (raw[1] !== MessageType.Connect) return []
    const connect = connects.shift()
    return [`${connect?.target?.host ?? 'udp'} by ${connect?.trailer?.policies?.join()}`]
  })
}

async function agents(policy?: TokenPolicy, reversePolicy?: TokenPolicy): Promise<World> {
  const world = new World()
  await world.relay.addToken({ type: 'reverse', token: 'tenant', policy: reversePolicy })
  await world.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant', policy })
  return world
}

const joinProvider = (world: World): Promise<Peer> =>
  world.attempt(world.query('tenant', { reverse: true, extensions: true, policies: true, instance: uuid() }))
const set = async ({ relay }: World, token: string, policy: TokenPolicy | null): Promise<void> => {
  await relay.changeToken(relay.tokenId(token) ?? '', { policy })
  await settle()
}

describe('a policy that changes while a provider is suspended', () => {
  it('is told when it is back, before the next Connect', async () => {
    const world = await agents(deny('one.example'))
    const provider = await joinResumable(world, 'tenant', { reverse: true, knowsPolicies: true })
    const connector = await world.join('member', { extensions: true })
    await connector.send(connectTo('a.example'))
    expect(told(provider)).toEqual(['1: one.example', '2: anywhere', 'a.example by 1,2'])
    await lose(provider)
    await set(world, 'member', deny('two.example'))
    await set(world, 'tenant', deny('three.example'))
    await connector.send(connectTo('b.example'))
    const back = await joinResumable(world, 'tenant', {
      ...{ reverse: true, knowsPolicies: true, id: idOf(provider), received: countOf(provider) },
    })
    await settle()
    expect([wentOn(back), told(back)]).toEqual([true, ['1: two.example', '2: three.example', 'b.example by 1,2']])
  })

  it('is told anew to a provider that comes with a new session', async () => {
    const world = await agents(deny('one.example'))
    const provider = await joinResumable(world, 'tenant', { reverse: true, knowsPolicies: true })
    const connector = await world.join('member', { extensions: true })
    await connector.send(connectTo('a.example'))
    await lose(provider)
    await set(world, 'member', deny('two.example'))
    await connector.send(connectTo('b.example'))
    const other = await joinProvider(world)
    await settle()
    expect(told(other)).toEqual(['1: two.example', '2: anywhere', 'b.example by 1,2'])
  })
})

describe('a policy that changes while a connector is suspended', () => {
  it('ends what it denies, and judges what the connector asks for when it is back', async () => {
    const world = await agents()
    const provider = await joinProvider(world)
    const connector = await joinResumable(world, 'member')
    const [denied, allowed] = [uuid(), uuid()]
    await connector.send(connectTo('192.0.2.1', denied), connectTo('203.0.113.1', allowed))
    await provider.send(accept(denied), accept(allowed))
    await lose(connector)
    await set(world, 'member', deny('192.0.2.0/24'))
    expect(provider.of(MessageType.Disconnect).map(({ channelId }) => channelId)).toEqual([denied])
    const back = await joinResumable(world, 'member', { id: idOf(connector), received: countOf(connector) })
    expect([wentOn(back), back.of(MessageType.Disconnect).map(({ channelId }) => channelId)]).toEqual([true, [denied]])
    provider.clear()
    await back.send(connectTo('192.0.2.2'))
    expect([told(provider), back.of(MessageType.ConnectResponse).at(-1)]).toMatchObject([
      [],
      { success: false, trailer: { rep: Rep.NotAllowed } },
    ])
  })
})

const JUDGED = MODES.map((mode) => ({ mode, provider: mode === 'forward' ? ('old' as const) : ('new' as const) }))

describe.each(JUDGED)('a policy that changes on the way, in $mode mode', ({ mode, provider }) => {
  const begin = async (policy?: TokenPolicy) => {
    const scene = await PolicyScene.begin(mode, policy, { provider })
    scene.network.names.set('inside.example', ['10.0.0.1']).set('outside.example', ['203.0.113.1'])
    const dial = (host: string): Promise<number> =>
      scene.dialer.dial({ host, port: 443 }).then(
        () => Rep.Succeeded,
        (error: LinkSocksError) => repOf(error),
      )
    return { scene, dial }
  }

  it.each([undefined, deny('b.example')])('holds for what waits for its look-up (before: %j)', async (before) => {
    const { scene, dial } = await begin(before)
    const lookups = gate()
    scene.network.lookupsWait = lookups.wait
    const inside = dial('inside.example')
    await settle()
    expect(scene.network.lookups).toEqual(['inside.example'])
    await scene.set(deny('10.0.0.0/8'))
    await lookups.open()
    expect([await inside, scene.network.connected]).toEqual([Rep.NotAllowed, []])
  })

  it.each([undefined, deny('b.example')])('holds for what is being connected to (before: %j)', async (before) => {
    const { scene, dial } = await begin(before)
    const connections = gate()
    scene.network.connectionsWait = connections.wait
    const inside = dial('inside.example')
    await settle()
    expect(scene.network.connected).toHaveLength(1)
    await scene.set(deny('10.0.0.0/8'))
    await connections.open()
    expect([await inside, scene.world.relay.totals().streams]).toEqual([Rep.NotAllowed, 0])
  })

  it('lets go on what it denies no more', async () => {
    const { scene, dial } = await begin(deny('10.0.0.0/8'))
    const lookups = gate()
    scene.network.lookupsWait = lookups.wait
    const inside = dial('inside.example')
    await settle()
    await scene.set(null)
    await lookups.open()
    expect(await inside).toBe(Rep.Succeeded)
  })

  it('ends nothing when it is cleared, and holds for what still runs when it is set again', async () => {
    const { scene } = await begin(deny('b.example'))
    const [inside, outside] = [await scene.open('inside.example'), await scene.open('outside.example')]
    const socket = await scene.dialer.associate()
    socket.start({ datagram: () => {}, close: () => {} })
    const send = async (host: string): Promise<void> => {
      socket.send(bytes(host), { host, port: 53 })
      await settle()
    }
    await scene.set(null)
    expect([inside.closed, outside.closed]).toEqual([false, false])
    await send('inside.example')
    await scene.set(deny('10.0.0.0/8'))
    expect([inside.closed, outside.closed]).toEqual([true, false])
    await send('inside.example')
    await send('outside.example')
    expect(scene.network.udp.socket(0).texts).toEqual(['inside.example>10.0.0.1:53', 'outside.example>203.0.113.1:53'])
  })

  it.each(['removed', 'disabled'] as const)('lets nothing be dialled for a token that is %s meanwhile', async (how) => {
    const { scene, dial } = await begin(deny('b.example'))
    const lookups = gate()
    scene.network.lookupsWait = lookups.wait
    const outside = dial('outside.example')
    await settle()
    const { relay } = scene.world
    if (how === 'removed') await relay.removeTokenById(scene.subject)
    else await relay.changeToken(scene.subject, { enabled: false })
    await settle()
    await lookups.open()
    expect([await outside, scene.network.connected]).toEqual([expect.any(Number), []])
    expect([(await outside) === Rep.Succeeded, scene.world.relay.totals().streams]).toEqual([false, 0])
  })
})

describe('the policy of a reverse token that comes while its connectors run under their own', () => {
  it('ends streams by the addresses that their names led to', async () => {
    const scene = await PolicyScene.begin('agent', deny('b.example'), { provider: 'new' })
    scene.network.names.set('inside.example', ['10.0.0.1']).set('outside.example', ['203.0.113.1'])
    const [inside, outside] = [await scene.open('inside.example'), await scene.open('outside.example')]
    await scene.set(deny('10.0.0.0/8'), 'tenant')
    expect([inside.closed, outside.closed]).toEqual([true, false])
  })

  it('holds for the datagrams of associations', async () => {
    const scene = await PolicyScene.begin('agent', deny('b.example'), { provider: 'new' })
    scene.network.names.set('inside.example', ['10.0.0.1']).set('outside.example', ['203.0.113.1'])
    const socket = await scene.dialer.associate()
    socket.start({ datagram: () => {}, close: () => {} })
    await scene.set(deny('10.0.0.0/8'), 'tenant')
    for (const host of ['inside.example', 'outside.example']) {
      socket.send(bytes('x'), { host, port: 53 })
      await settle()
    }
    expect(scene.network.udp.socket(0).texts).toEqual(['x>203.0.113.1:53'])
  })
})

describe.each(['reverse', 'agent'] as const)('a policy that changes beside rules, in %s mode', (mode) => {
  /** Names are looked up by the relay. */
  const begin = async (policy?: TokenPolicy) => {
    const rules = [{ addresses: ['203.0.113.0/24', '10.0.0.0/8'] }]
    const scene = await PolicyScene.begin(mode, policy, { provider: 'new', rules })
    const open = async (name: string, address: string) => {
      const stream = scene.open(name)
      await settle()
      scene.world.lookups.at(scene.world.lookups.asked.length - 1).resolve([address])
      return stream
    }
    const inside = await open('inside.example', '10.0.0.1')
    return { scene, inside, outside: await open('outside.example', '203.0.113.1') }
  }

  it.each([undefined, deny('b.example')])(
    'ends streams by the names that were asked for (before: %j)',
    async (before) => {
      const { scene, inside, outside } = await begin(before)
      await scene.set(deny('inside.example'))
      expect([inside.closed, outside.closed]).toEqual([true, false])
    },
  )

  it('ends streams by the addresses of these', async () => {
    const { scene, inside, outside } = await begin()
    await scene.set(deny('10.0.0.0/8'))
    expect([inside.closed, outside.closed]).toEqual([true, false])
  })

  it('ends none that is allowed by its name', async () => {
    const { scene, inside, outside } = await begin()
    await scene.set({ egress: [{ action: 'allow', hosts: ['outside.example', 'c.example'] }] })
    expect([inside.closed, outside.closed]).toEqual([true, false])
  })
})

describe('a token with a policy that is gone', () => {
  it('has its number given back to each provider', async () => {
    const world = await agents(deny('one.example'))
    const provider = await joinProvider(world)
    const connector = await world.join('member', { extensions: true })
    await connector.send(connectTo('a.example'))
    await world.relay.removeToken('member')
    await settle()
    expect(told(provider)).toEqual(['1: one.example', '2: anywhere', 'a.example by 1,2', '1: gone'])
    // another token of the same text is another one
    await world.relay.addToken({
      type: 'connector',
      token: 'member',
      reverseToken: 'tenant',
      policy: deny('two.example'),
    })
    const other = await world.join('member', { extensions: true })
    await other.send(connectTo('b.example'))
    expect(told(provider).slice(4)).toEqual(['3: two.example', 'b.example by 3,2'])
  })
})

describe('a provider that is asked besides a silent one', () => {
  it('gets the policies before its Connect, and one that knows none is not asked', async () => {
    const world = await agents(deny('10.0.0.0/8'))
    const providers = [await joinProvider(world), await joinProvider(world)]
    const old = await world.join('tenant', { reverse: true, extensions: true, instance: uuid() })
    const connector = await world.join('member', { extensions: true })
    await connector.send(connectTo('a.example'))
    const [first] = providers.filter((peer) => told(peer).length > 0)
    const [second] = providers.filter((peer) => peer !== first)
    expect(second && told(second)).toEqual([])
    first?.transport.pause()
    await world.clock.advanceAsync(500)
    for (const peer of [first, second]) {
      expect(peer && told(peer)).toEqual(['1: 10.0.0.0/8', '2: anywhere', 'a.example by 1,2'])
    }
    expect(told(old)).toEqual([])
  })

  it('gets them in reverse mode as well', async () => {
    const world = await agents(undefined, deny('10.0.0.0/8'))
    const providers = [await joinProvider(world), await joinProvider(world)]
    await settle()
    const asked = world.openPorts.get(10_000)?.dialer.dial({ host: 'a.example', port: 443 })
    asked?.catch(() => {})
    await settle()
    const [first] = providers.filter((peer) => told(peer).length > 0)
    const [second] = providers.filter((peer) => peer !== first)
    first?.transport.pause()
    await world.clock.advanceAsync(500)
    for (const peer of [first, second]) expect(peer && told(peer)).toEqual(['1: 10.0.0.0/8', 'a.example by 1'])
  })
})

describe('connectors of a provider with autonomy', () => {
  const autonomy = async (policy: TokenPolicy, policies = true) => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'tenant', policy, allowManageConnector: true })
    const provider = policies
      ? await joinProvider(world)
      : await world.join('tenant', { reverse: true, extensions: true, instance: uuid() })
    await provider.send(encodeConnector({ requestId: uuid(), token: 'mine', operation: 1 }))
    const connector = await world.join('mine', { extensions: true })
    provider.clear()
    return { world, provider, connector }
  }

  it('are under the policy of its reverse token', async () => {
    const { provider, connector } = await autonomy(deny('10.0.0.0/8', 'b.example'))
    await connector.send(connectTo('b.example'), connectTo('10.0.0.1'), connectTo('a.example'))
    expect(told(provider)).toEqual(['1: anywhere', '2: 10.0.0.0/8,b.example', 'a.example by 1,2'])
    expect(connector.of(MessageType.ConnectResponse).map(({ trailer }) => trailer?.rep)).toEqual([
      Rep.NotAllowed,
      Rep.NotAllowed,
    ])
  })

  it('reach nothing that depends on addresses where it knows no policies', async () => {
    const { provider, connector } = await autonomy(deny('10.0.0.0/8'), false)
    await connector.send(connectTo('a.example'), connectTo('203.0.113.1'))
    expect(told(provider)).toEqual(['203.0.113.1 by undefined'])
  })

  it('are limited together with all others of that token', async () => {
    const { provider, connector, world } = await autonomy({ maxStreams: 1 })
    await provider.send(encodeConnector({ requestId: uuid(), token: 'other', operation: 1 }))
    const other = await world.join('other', { extensions: true })
    await other.send(connectTo('a.example'))
    await connector.send(connectTo('b.example'))
    expect([told(provider), connector.of(MessageType.ConnectResponse).length]).toEqual([['a.example by undefined'], 1])
  })

  it('send no datagram past it', async () => {
    const { provider, connector } = await autonomy({ egress: [{ action: 'deny', ports: [53] }] })
    const channelId = uuid()
    await connector.send(encodeConnect({ protocol: 2, channelId }))
    await provider.send(accept(channelId))
    provider.clear()
    const datagram = (port: number): Uint8Array =>
      encodeDatagram({
        channelId,
        data: bytes('x'),
        source: { host: '', port: 0 },
        target: { host: 'a.example', port },
      })
    await connector.send(datagram(53), datagram(54), datagram(0))
    expect(provider.of(MessageType.Data).map(({ target }) => target?.port)).toEqual([54])
  })
})

describe('a request on a reverse token’s port that waits for a provider', () => {
  /** Nobody provides, and one request waits. */
  async function waiting(policy: TokenPolicy) {
    const scene = await PolicyScene.begin('reverse', policy, { provider: 'new' })
    for (const { id } of scene.world.relay.clients()) scene.world.relay.disconnect(id)
    await settle()
    const asked = scene.rep('192.0.2.1')
    await settle()
    return { scene, asked }
  }

  it('is refused where a policy denies it meanwhile', async () => {
    const { scene, asked } = await waiting({ maxStreams: 9 })
    await scene.change({ egress: [{ action: 'deny', hosts: ['192.0.2.0/24'] }] })
    await scene.provide()
    expect([await asked, scene.network.connected]).toEqual([Rep.NotAllowed, []])
    expect([...scene.world.relay.streams()]).toEqual([])
  })

  it('is refused where the hours end meanwhile', async () => {
    const { scene, asked } = await waiting({ hours: [{ from: '00:00', to: '00:01' }] })
    scene.world.clock.epoch += 60_000
    await scene.provide()
    expect([await asked, scene.network.connected]).toEqual([Rep.NotAllowed, []])
  })

  it('goes on where neither has changed', async () => {
    const { scene, asked } = await waiting({ maxStreams: 1 })
    await scene.provide()
    expect([await asked, scene.network.connected.length]).toEqual([Rep.Succeeded, 1])
  })
})

describe('a change of a token that says nothing of destinations', () => {
  it.each(['old', 'new'] as const)('ends nothing, and tells %s providers nothing', async (provider) => {
    const policy: TokenPolicy = { egress: [{ action: 'deny', hosts: ['@private'], ports: [22] }] }
    const scene = await PolicyScene.begin('agent', policy, { provider })
    scene.network.names.set('a.example', ['203.0.113.1'])
    const stream = await scene.open('a.example')
    const sent = provider === 'new' ? scene.sentPolicies() : () => 0
    const { relay } = scene.world
    await relay.changeToken(scene.subject, { label: 'another' })
    await scene.change({ maxStreams: 50 })
    expect([stream.closed, sent()]).toEqual([false, 0])
  })
})

describe('refusals', () => {
  it('are not counted where another address of the name is dialled', async () => {
    const scene = await PolicyScene.begin('forward', { egress: [{ action: 'deny', hosts: ['@private'] }] })
    scene.network.names
      .set('mixed.example', ['10.0.0.1', '203.0.113.7'])
      .set('inside.example', ['10.0.0.1', '10.0.0.2'])
    expect([await scene.rep('mixed.example'), scene.refused]).toEqual([Rep.Succeeded, {}])
    expect([await scene.rep('inside.example'), scene.refused]).toEqual([Rep.NotAllowed, { egress: 1 }])
  })
})
