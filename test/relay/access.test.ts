import { describe, expect, it } from 'vitest'
import type { AccessSource } from '../../src/exit/dial/access-rules.js'
import type { AccessRule, Dialer } from '../../src/ports.js'
import {
  ChannelProtocol,
  encodeConnect,
  encodeConnectResponse,
  encodeDatagram,
  MessageType,
} from '../../src/protocol/messages.js'
import { Rep } from '../../src/protocol/rep.js'
import { failureOf } from '../exit/fakes.js'
import { settle } from '../support/manual-clock.js'
import { connectTcp, data, disconnect, textOf } from './splice/channels.js'
import { type Peer, uuid, World } from './world.js'

const RULES: readonly AccessRule[] = [{ addresses: ['192.0.2.0/24'], ports: [80] }]
const tcp = (id: Uint8Array, host: string, port = 80): Uint8Array =>
  encodeConnect({ protocol: ChannelProtocol.Tcp, channelId: id, target: { host, port }, trailer: { streamControl: 7 } })
const udp = (id: Uint8Array): Uint8Array => encodeConnect({ protocol: ChannelProtocol.Udp, channelId: id })
const datagram = (id: Uint8Array, text: string, host: string, port = 80): Uint8Array =>
  encodeDatagram({ channelId: id, data: new TextEncoder().encode(text), target: { host, port } })

/** A reverse token `tenant` with a provider, and a connector token with rules. */
async function scene(): Promise<{ world: World; connector: Peer; provider: Peer }> {
  const world = new World()
  await world.relay.addToken({ type: 'reverse', token: 'tenant' })
  await world.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant', rules: RULES })
  const provider = await world.join('tenant')
  const connector = await world.join('member')
  provider.clear()
  connector.clear()
  return { world, connector, provider }
}

const answers = (peer: Peer) =>
  peer.of(MessageType.ConnectResponse).map(({ success, trailer }) => (success ? 'yes' : trailer?.rep))
const targets = (peer: Peer) => peer.of(MessageType.Connect).map(({ target }) => target)
const datagrams = (peer: Peer) =>
  peer
    .of(MessageType.Data)
    .map(({ data, target }) => `${new TextDecoder().decode(data)}>${target?.host}:${target?.port}`)

describe('a connector token with rules', () => {
  it('passes a Connect to an allowed address on byte for byte', async () => {
    const { connector, provider, world } = await scene()
    const id = uuid()
    await connector.send(tcp(id, '192.0.2.1'))
    expect(provider.of(MessageType.Connect)).toEqual([
      expect.objectContaining({ target: { host: '192.0.2.1', port: 80 }, trailer: { streamControl: 7 } }),
    ])
    expect(world.lookups.asked).toEqual([])
  })

  it.each([
    ['192.0.2.1', 81],
    ['198.51.100.1', 80],
    ['fe80::1%eth0', 80],
  ])('refuses %s:%d with REP 02, and no provider hears of it', async (host, port) => {
    const { connector, provider } = await scene()
    await connector.send(tcp(uuid(), host, port))
    expect(answers(connector)).toEqual([Rep.NotAllowed])
    expect(provider.of(MessageType.Connect)).toEqual([])
  })

  it('sends an allowed address on in place of a name, and what came meanwhile after it', async () => {
    const { connector, provider, world } = await scene()
    const id = uuid()
    await connector.send(tcp(id, 'web.example'), data(id, 'early'))
    expect(provider.messages).toEqual([])
    world.lookups.at(0).resolve(['10.0.0.1', '192.0.2.7'])
    await settle()
    expect(targets(provider)).toEqual([{ host: '192.0.2.7', port: 80 }])
    expect(provider.of(MessageType.Connect)[0]?.trailer).toEqual({ streamControl: 7 })
    expect(textOf(provider)).toBe('early')
    await provider.send(encodeConnectResponse({ success: true, channelId: id }))
    expect(answers(connector)).toEqual(['yes'])
  })

  it('looks a name up once for each Connect: one that moved does not get through', async () => {
    const { connector, provider, world } = await scene()
    await connector.send(tcp(uuid(), 'rebind.example'))
    world.lookups.at(0).resolve(['192.0.2.7'])
    await settle()
    await connector.send(tcp(uuid(), 'rebind.example'))
    world.lookups.at(1).resolve(['10.0.0.1'])
    await settle()
    expect(targets(provider)).toEqual([{ host: '192.0.2.7', port: 80 }])
    expect(answers(connector)).toEqual([Rep.NotAllowed])
  })

  it('goes on reading the link while a name is looked up', async () => {
    const { connector, provider } = await scene()
    await connector.send(tcp(uuid(), 'slow.example'), tcp(uuid(), '192.0.2.2'))
    expect(targets(provider)).toEqual([{ host: '192.0.2.2', port: 80 }])
  })

  it('forgets a channel whose connector gives up during the look-up', async () => {
    const { connector, provider, world } = await scene()
    const id = uuid()
    await connector.send(tcp(id, 'slow.example'))
    await connector.send(disconnect(id, 'gone'))
    world.lookups.at(0).resolve(['192.0.2.7'])
    await settle()
    expect(provider.messages).toEqual([])
    expect(world.relay.totals().streams).toBe(0)
  })

  it('forgets a channel whose connector is lost during the look-up', async () => {
    const { connector, provider, world } = await scene()
    await connector.send(tcp(uuid(), 'slow.example'))
    connector.transport.abort()
    await settle()
    world.lookups.at(0).resolve(['192.0.2.7'])
    await settle()
    expect(provider.of(MessageType.Connect)).toEqual([])
    expect(world.relay.totals().streams).toBe(0)
  })

  it('judges each datagram of an association, names by one look-up', async () => {
    const { connector, provider, world } = await scene()
    const id = uuid()
    await connector.send(udp(id))
    await provider.send(encodeConnectResponse({ success: true, channelId: id }))
    await connector.send(
      datagram(id, 'a', '192.0.2.1'),
      datagram(id, 'b', '192.0.2.1', 81),
      datagram(id, 'c', 'dns.example'),
      datagram(id, 'd', '10.0.0.1'),
      datagram(id, 'e', '192.0.2.3'),
    )
    expect(datagrams(provider)).toEqual(['a>192.0.2.1:80', 'e>192.0.2.3:80'])
    world.lookups.at(0).resolve(['10.0.0.1', '192.0.2.9'])
    await settle()
    expect(datagrams(provider).slice(2)).toEqual(['c>192.0.2.9:80'])
    expect(world.lines.filter(({ event }) => event === 'udp.refused')).toHaveLength(1)
  })

  it('drops datagrams that wait for a name when the association ends', async () => {
    const { connector, provider, world } = await scene()
    const id = uuid()
    await connector.send(udp(id))
    await provider.send(encodeConnectResponse({ success: true, channelId: id }))
    await connector.send(datagram(id, 'a', 'dns.example'))
    await connector.send(disconnect(id))
    await provider.send(disconnect(id))
    provider.clear()
    world.lookups.at(0).resolve(['192.0.2.9'])
    await settle()
    expect(provider.messages).toEqual([])
  })

  it('is not limited by the rules of its reverse token', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'tenant', rules: RULES })
    await world.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant' })
    const provider = await world.join('tenant')
    const connector = await world.join('member')
    await connector.send(connectTcp(uuid()))
    expect(targets(provider)).toHaveLength(1)
  })
})

describe('a forward token with rules', () => {
  it('has its clients dial by them', async () => {
    const sources: AccessSource[] = []
    const dialer: Dialer = { dial: () => Promise.reject(new Error()), associate: () => Promise.reject(new Error()) }
    const world = new World({
      createExitDialer: (rules) => {
        sources.push(rules)
        return dialer
      },
    })
    await world.relay.addToken({ type: 'forward', token: 'limited', rules: RULES })
    await world.relay.addToken({ type: 'forward', token: 'free' })
    await world.join('limited')
    await world.join('free')
    expect(sources.map((source) => source()?.rules)).toEqual([RULES, undefined])
  })
})

describe('the SOCKS port of a reverse token', () => {
  const portOf = async (world: World, rules?: readonly AccessRule[]): Promise<Dialer> => {
    await world.relay.addToken({ type: 'reverse', token: 'tenant', rules })
    const provider = await world.join('tenant', { reverse: true })
    await settle()
    provider.clear()
    const [open] = world.openPorts.values()
    if (open === undefined) throw new Error('no port')
    return open.dialer
  }
  const refusal = (dialer: Dialer, host: string): Promise<string> =>
    failureOf(dialer.dial({ host, port: 80 })).then(({ code }) => code)
  const asked = async (world: World, dialer: Dialer, host: string): Promise<unknown> => {
    dialer.dial({ host, port: 80 }).catch(() => {})
    await settle()
    return world.peers.flatMap(targets).at(-1)
  }

  it('lets through what its rules allow', async () => {
    const world = new World()
    const dialer = await portOf(world, RULES)
    expect(await refusal(dialer, '10.0.0.1')).toBe('ERR_DIAL_NOT_ALLOWED')
    expect(await asked(world, dialer, '192.0.2.1')).toEqual({ host: '192.0.2.1', port: 80 })
    dialer.dial({ host: 'web.example', port: 80 }).catch(() => {})
    world.lookups.at(0).resolve(['192.0.2.4'])
    await settle()
    expect(world.peers.flatMap(targets).at(-1)).toEqual({ host: '192.0.2.4', port: 80 })
  })

  it('leaves room for others while one client asks for many names', async () => {
    const world = new World()
    const dialer = await portOf(world, RULES)
    for (let index = 0; index < 100; index += 1) {
      dialer.dial({ host: `n${index}.example`, port: 80 }, { source: '198.51.100.1' }).catch(() => {})
    }
    dialer.dial({ host: 'web.example', port: 80 }, { source: '198.51.100.2' }).catch(() => {})
    await settle()
    expect(world.lookups.asked.at(-1)).toBe('web.example')
  })

  it('obeys the entry rules of the server without rules of its own, from the next connection on', async () => {
    const world = new World()
    const dialer = await portOf(world)
    expect(await asked(world, dialer, '10.0.0.1')).toEqual({ host: '10.0.0.1', port: 80 })
    await world.relay.changeAccess({ entry: RULES })
    expect(await refusal(dialer, '10.0.0.1')).toBe('ERR_DIAL_NOT_ALLOWED')
    await world.relay.changeAccess({ entry: [] })
    expect(await asked(world, dialer, '10.0.0.2')).toEqual({ host: '10.0.0.2', port: 80 })
  })

  it('has its own rules in place of those of the server', async () => {
    const world = new World()
    await world.relay.changeAccess({ entry: [{ addresses: ['10.0.0.0/8'] }] })
    const dialer = await portOf(world, RULES)
    expect(await refusal(dialer, '10.0.0.1')).toBe('ERR_DIAL_NOT_ALLOWED')
    expect(await asked(world, dialer, '192.0.2.1')).toEqual({ host: '192.0.2.1', port: 80 })
  })
})

describe('rules of tokens', () => {
  it('are shown as they were given', async () => {
    const world = new World()
    const { id } = await world.relay.addToken({ type: 'forward', rules: RULES })
    const { id: free } = await world.relay.addToken({ type: 'forward', rules: [] })
    expect(world.relay.tokenInfo(id)?.rules).toEqual(RULES)
    expect(world.relay.tokenInfo(free)?.rules).toEqual([])
    expect((await world.relay.changeToken(id, { label: 'x' })).rules).toEqual(RULES)
  })

  it('are refused with the token when one is wrong', async () => {
    const world = new World()
    const adding = world.relay.addToken({ type: 'forward', rules: [{}, { addresses: ['nowhere'] }] })
    await expect(adding).rejects.toMatchObject({
      code: 'ERR_TOKEN_INVALID',
      message: 'access rule 2: invalid address "nowhere"',
    })
    expect(world.relay.totals().tokens).toBe(0)
  })
})
