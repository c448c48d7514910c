import { describe, expect, it } from 'vitest'
import {
  encodeConnect,
  encodeConnector,
  encodeConnectResponse,
  encodeDatagram,
  MessageType,
} from '../../../src/protocol/messages.js'
import { Rep } from '../../../src/protocol/rep.js'
import { settle } from '../../support/manual-clock.js'
import { toHex } from '../../support/test-peer.js'
import { countOf, idOf, joinResumable, lose } from '../admission/resume-peers.js'
import { agentWorld, type Peer, uuid, World } from '../world.js'
import { accept, connectTcp, data, disconnect, endingsOf, expectForgotten, TARGET, textOf } from './channels.js'

const connects = (peer: Peer): number => peer.of(MessageType.Connect).length

const refuse = (channelId: Uint8Array, rep: number, error: string): Uint8Array =>
  encodeConnectResponse({ success: false, channelId, error, trailer: { rep } })

const answers = (peer: Peer): boolean[] => peer.of(MessageType.ConnectResponse).map(({ success }) => success)

/** Sends each peer's message before the relay has handled any. */
async function atOnce(...messages: [Peer, Uint8Array][]): Promise<void> {
  for (const [peer, raw] of messages) peer.transport.send(raw)
  await settle()
}

interface Opening {
  readonly world: World
  readonly connector: Peer
  /** In the order in which they are asked; those that are not asked yet are in any. */
  readonly providers: Peer[]
  readonly id: Uint8Array
}

/** A Connect that one of several providers has. */
async function oneAsked(count = 2, connect = connectTcp): Promise<Opening> {
  const world = await agentWorld()
  const providers: Peer[] = []
  for (let made = 0; made < count; made += 1) providers.push(await world.join('tenant'))
  const connector = await world.join('member')
  const id = uuid()
  connector.clear()
  await connector.send(connect(id))
  providers.sort((a, b) => connects(b) - connects(a))
  return { world, connector, providers, id }
}

/** The same, where `asleep` of them fell asleep one after the other and another one is asked besides. */
async function askedBesides(asleep = 1, count = asleep + 1, connect = connectTcp): Promise<Opening> {
  const opening = await oneAsked(count, connect)
  const { world, providers } = opening
  for (let slept = 0; slept < asleep; slept += 1) {
    providers[slept]?.transport.pause()
    await world.clock.advanceAsync(500)
    const rest = providers.splice(slept + 1)
    providers.push(...rest.sort((a, b) => connects(b) - connects(a)))
  }
  return opening
}

async function pairAsked() {
  const { providers, ...rest } = await askedBesides()
  const [first, second] = providers as [Peer, Peer]
  expect([connects(second), answers(rest.connector)]).toEqual([1, []])
  return { ...rest, first, second }
}

async function wake(peer: Peer): Promise<void> {
  peer.transport.resume()
  await settle()
}

describe('SpliceOpening, whose provider is asleep', () => {
  it('asks another one besides once the link owes an answer', async () => {
    const { world, providers } = await oneAsked()
    const [first, second] = providers as [Peer, Peer]
    first.transport.pause()
    await world.clock.advanceAsync(499)
    expect(connects(second)).toBe(0)
    await world.clock.advanceAsync(1)
    expect(connects(second)).toBe(1)
    await wake(first)
    expect([connects(first), endingsOf(first)]).toEqual([1, []])
  })

  it('takes the success of the second, and the first gets a Disconnect', async () => {
    const { world, connector, first, second, id } = await pairAsked()
    await second.send(accept(id), data(id, 'second'))
    await wake(first)
    expect(endingsOf(first)).toEqual(['another provider was taken'])
    await first.send(accept(id), data(id, 'first'))
    await connector.send(data(id, 'request'))
    expect([textOf(connector), answers(connector), textOf(second), textOf(first)]).toEqual([
      'second',
      [true],
      'request',
      '',
    ])
    expect(await expectForgotten(world, [first], id)).toBe(true)
  })

  it('takes the success of the first when it wakes up before the second has answered', async () => {
    const { world, connector, first, second, id } = await pairAsked()
    await wake(first)
    await first.send(accept(id), data(id, 'first'))
    expect(endingsOf(second)).toEqual(['another provider was taken'])
    await second.send(accept(id), data(id, 'second'))
    await connector.send(data(id, 'request'))
    expect([textOf(connector), answers(connector), textOf(first)]).toEqual(['first', [true], 'request'])
    expect(await expectForgotten(world, [second], id)).toBe(true)
  })

  it('takes one of two that succeed at once', async () => {
    const { connector, first, second, id } = await pairAsked()
    await wake(first)
    await atOnce([second, accept(id)], [first, accept(id)])
    await atOnce([second, data(id, 'x')], [first, data(id, 'x')])
    expect([textOf(connector), answers(connector)]).toEqual(['x', [true]])
    expect(
      [...endingsOf(first), ...endingsOf(second)].filter((text) => text === 'another provider was taken'),
    ).toHaveLength(1)
  })

  it('takes one whose Data comes before its answer', async () => {
    const { connector, first, second, id } = await pairAsked()
    await second.send(data(id, 'banner'), accept(id))
    await wake(first)
    expect([textOf(connector), answers(connector), endingsOf(first).length]).toEqual(['banner', [true], 1])
  })

  it('waits for a link that answers, however slowly its provider dials', async () => {
    const { world, connector, providers, id } = await oneAsked()
    const [first, second] = providers as [Peer, Peer]
    await world.clock.advanceAsync(9_000)
    expect(connects(second)).toBe(0)
    await first.send(accept(id))
    expect(answers(connector)).toEqual([true])
  })

  it('asks three at most', async () => {
    const { world, connector, providers, id } = await askedBesides(3, 5)
    await world.clock.advanceAsync(5_000)
    for (const peer of providers) await wake(peer)
    expect(providers.map(connects)).toEqual([1, 1, 1, 0, 0])
    await providers[2]?.send(accept(id))
    expect(answers(connector)).toEqual([true])
    expect(providers.map((peer) => endingsOf(peer).length)).toEqual([1, 1, 0, 0, 0])
  })

  it('asks nobody whose link owes an answer as well', async () => {
    const { world, connector, providers } = await oneAsked(3)
    for (const peer of providers) peer.transport.pause()
    await connector.send(connectTcp(uuid()), connectTcp(uuid()))
    await world.clock.advanceAsync(5_000)
    for (const peer of providers) await wake(peer)
    expect(providers.map(connects)).toEqual([1, 1, 1])
  })

  it('asks nobody of another instance in autonomy mode', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'tenant', allowManageConnector: true })
    const [instance, other] = [uuid(), uuid()]
    const join = (ofInstance: Uint8Array) => world.join('tenant', { instance: ofInstance, extensions: true })
    const providers = [await join(instance), await join(other), await join(instance)] as const
    await providers[0].send(encodeConnector({ requestId: uuid(), token: 'theirs', operation: 1 }))
    const connector = await world.join('theirs')
    const id = uuid()
    await connector.send(connectTcp(id))
    const own = [providers[0], providers[2]].sort((a, b) => connects(b) - connects(a)) as [Peer, Peer]
    for (const peer of own) peer.transport.pause()
    await world.clock.advanceAsync(5_000)
    for (const peer of own) await wake(peer)
    expect([...own, providers[1]].map(connects)).toEqual([1, 1, 0])
  })

  it('shows the provider that has the channel', async () => {
    const { world, first, second, id } = await pairAsked()
    const shown = () => [...world.relay.streams()][0]?.providerId
    const before = shown()
    await second.send(accept(id))
    expect([before, shown()].every((one) => one !== undefined)).toBe(true)
    expect(shown()).not.toBe(before)
    first.transport.abort()
    await settle()
    expect(shown()).toBeDefined()
  })
})

describe('SpliceOpening, of which one fails', () => {
  it('takes the success of the first after the second refused', async () => {
    const { connector, first, second, id } = await pairAsked()
    await second.send(refuse(id, Rep.ConnectionRefused, 'connection refused'))
    expect(connector.raw).toEqual([])
    await wake(first)
    await first.send(accept(id), data(id, 'first'))
    expect([textOf(connector), answers(connector), endingsOf(second)]).toEqual(['first', [true], []])
  })

  it('passes the first refusal on as it came when all refuse', async () => {
    const { world, connector, first, second, id } = await pairAsked()
    const refusal = refuse(id, Rep.ConnectionRefused, 'connection refused')
    await second.send(refusal)
    await wake(first)
    await first.send(refuse(id, Rep.HostUnreachable, 'no route to host'))
    expect(connector.raw.map(toHex)).toEqual([toHex(refusal)])
    expect([...endingsOf(first), ...endingsOf(second)]).toEqual([])
    expect(await expectForgotten(world, [connector, first, second], id)).toBe(true)
  })

  it.each([
    ['is lost', async (first: Peer) => first.transport.abort(), undefined],
    [
      'aborts',
      async (first: Peer, id: Uint8Array) => first.send(disconnect(id, 'reset')),
      'one end aborted the stream',
    ],
    ['answers with garbage', async (first: Peer, id: Uint8Array) => first.send(accept(id).subarray(0, 18)), undefined],
  ])('passes the refusal on when the other one %s', async (_name, fail, text) => {
    const { connector, first, second, id } = await pairAsked()
    await wake(first)
    await second.send(refuse(id, Rep.ConnectionRefused, 'connection refused'))
    await fail(first, id)
    await settle()
    expect(connector.of(MessageType.ConnectResponse)).toMatchObject([{ success: false, trailer: { rep: 5 } }])
    if (text !== undefined) expect(endingsOf(first)).toEqual([text])
  })

  it('makes a refusal of an abort, which is all there is', async () => {
    const { connector, first, second, id } = await pairAsked()
    await wake(first)
    await first.send(disconnect(id, 'no route to host'))
    second.transport.abort()
    await settle()
    expect(connector.of(MessageType.ConnectResponse)).toMatchObject([
      { success: false, error: 'no route to host', trailer: { rep: 4 } },
    ])
  })

  it('tells the refusal 10 s after the Connect while another one still sleeps', async () => {
    const { world, connector, first, second, id } = await pairAsked()
    await second.send(refuse(id, Rep.ConnectionRefused, 'connection refused'))
    await world.clock.advanceAsync(9_499)
    expect(connector.raw).toEqual([])
    await world.clock.advanceAsync(1)
    expect(connector.of(MessageType.ConnectResponse)).toMatchObject([{ success: false, trailer: { rep: 5 } }])
    await wake(first)
    expect(endingsOf(first)).toHaveLength(1)
    await first.send(accept(id), data(id, 'late'))
    expect([textOf(connector), answers(connector)]).toEqual(['', [false]])
  })

  it('waits for the others when one is lost', async () => {
    const { connector, first, second, id } = await pairAsked()
    second.transport.abort()
    await settle()
    expect(answers(connector)).toEqual([])
    await wake(first)
    await first.send(accept(id))
    expect(answers(connector)).toEqual([true])
  })

  it('asks a third one when the second is lost and the first still sleeps', async () => {
    const { connector, providers, id } = await askedBesides(1, 3)
    const [, second, third] = providers as [Peer, Peer, Peer]
    second.transport.abort()
    await settle()
    expect(connects(third)).toBe(1)
    await third.send(accept(id))
    expect(answers(connector)).toEqual([true])
  })

  it('goes on without one that the relay disconnects, and asks nobody for it', async () => {
    const { world, connector, providers, id } = await askedBesides(1, 3)
    const [first, second, third] = providers as [Peer, Peer, Peer]
    world.relay.disconnect([...world.relay.clients()][world.peers.indexOf(second)]?.id ?? '')
    await settle()
    expect([connects(third), answers(connector), endingsOf(second).length]).toEqual([0, [], 1])
    await wake(first)
    await first.send(accept(id))
    expect(answers(connector)).toEqual([true])
  })

  it('goes on with another one when all are lost, four in all', async () => {
    const { world, connector, first, second, id } = await pairAsked()
    for (const peer of [first, second]) peer.transport.abort()
    await settle()
    expect(answers(connector)).toEqual([])
    for (let count = 0; count < 2; count += 1) {
      const next = await world.join('tenant')
      expect(connects(next)).toBe(1)
      next.transport.abort()
      await settle()
    }
    expect(answers(connector)).toEqual([false])
    expect(await expectForgotten(world, [connector], id)).toBe(true)
  })
})

describe('SpliceOpening, whose connector', () => {
  it.each([
    ['gives up', (connector: Peer, id: Uint8Array) => connector.send(disconnect(id, 'gave up'))],
    ['is lost', async (connector: Peer) => connector.transport.abort()],
  ])('%s: all that were asked get a Disconnect', async (_name, leave) => {
    const { world, connector, first, second, id } = await pairAsked()
    await leave(connector, id)
    await settle()
    await wake(first)
    expect([endingsOf(first).length, endingsOf(second).length]).toEqual([1, 1])
    await atOnce([first, disconnect(id)], [second, disconnect(id)])
    await world.clock.advanceAsync(15_000)
    expect(await expectForgotten(world, [first, second], id)).toBe(true)
    expect([...world.relay.streams()]).toEqual([])
  })

  it('sends early data: that goes to one alone, which is awake', async () => {
    const { connector, first, second, id } = await pairAsked()
    await connector.send(data(id, 'early'))
    await wake(first)
    expect([textOf(first), textOf(second), endingsOf(first)]).toEqual(['', 'early', ['another provider was taken']])
    await first.send(accept(id), data(id, 'first'))
    expect(connector.raw).toEqual([])
    await second.send(refuse(id, Rep.ConnectionRefused, 'connection refused'))
    expect(answers(connector)).toEqual([false])
  })

  it('sends early data: nobody else is asked from then on', async () => {
    const { world, connector, providers, id } = await oneAsked()
    const [first, second] = providers as [Peer, Peer]
    await connector.send(data(id, 'early'))
    first.transport.pause()
    await world.clock.advanceAsync(5_000)
    expect(connects(second)).toBe(0)
    await wake(first)
    await first.send(accept(id))
    expect([textOf(first), answers(connector)]).toEqual(['early', [true]])
  })

  it('sends a datagram: that goes to one alone', async () => {
    const connect = (channelId: Uint8Array) => encodeConnect({ protocol: 2, channelId })
    const { connector, providers, id } = await askedBesides(1, 2, connect)
    const [first, second] = providers as [Peer, Peer]
    await connector.send(encodeDatagram({ channelId: id, data: Uint8Array.of(7), target: TARGET }))
    await wake(first)
    expect([first, second].map((peer) => peer.of(MessageType.Data).length)).toEqual([0, 1])
    expect(endingsOf(first)).toHaveLength(1)
  })
})

describe('SpliceOpening, with sessions that survive their WebSocket', () => {
  async function resumable() {
    const world = await agentWorld()
    const providers = [
      await joinResumable(world, 'tenant', { reverse: true }),
      await joinResumable(world, 'tenant', { reverse: true }),
    ]
    const connector = await joinResumable(world, 'member')
    const id = uuid()
    await connector.send(connectTcp(id))
    const [first, second] = providers.sort((a, b) => connects(b) - connects(a)) as [Peer, Peer]
    return { world, connector, first, second, id }
  }

  const back = (world: World, token: string, peer: Peer): Promise<Peer> =>
    joinResumable(world, token, { id: idOf(peer), received: countOf(peer), reverse: token === 'tenant' })

  it('asks another one besides while the provider is away, and takes its success when it is back', async () => {
    const { world, connector, first, second, id } = await resumable()
    await lose(first)
    await world.clock.advanceAsync(250)
    expect(connects(second)).toBe(1)
    const again = await back(world, 'tenant', first)
    await again.send(accept(id), data(id, 'first'))
    expect([textOf(connector), answers(connector)]).toEqual(['first', [true]])
    expect(endingsOf(second)).toEqual(['another provider was taken'])
  })

  it('tells one that was away when it is back', async () => {
    const { world, connector, first, second, id } = await resumable()
    await lose(first)
    await world.clock.advanceAsync(250)
    await second.send(accept(id))
    const again = await back(world, 'tenant', first)
    await settle()
    expect(endingsOf(again)).toEqual(['another provider was taken'])
    expect(answers(connector)).toEqual([true])
  })

  it('asks nobody else when the provider is back at once', async () => {
    const { world, connector, first, second, id } = await resumable()
    await lose(first)
    const again = await back(world, 'tenant', first)
    await world.clock.advanceAsync(2_000)
    expect(connects(second)).toBe(0)
    await again.send(accept(id))
    expect(answers(connector)).toEqual([true])
  })

  it('sends early data to the one that is there', async () => {
    const { world, connector, first, second, id } = await resumable()
    await lose(first)
    await world.clock.advanceAsync(250)
    await connector.send(data(id, 'early'))
    expect(textOf(second)).toBe('early')
  })

  it('keeps the answer for a connector that is away', async () => {
    const { world, connector, first, second, id } = await resumable()
    first.transport.pause()
    await lose(connector)
    await world.clock.advanceAsync(500)
    expect(connects(second)).toBe(1)
    await second.send(accept(id), data(id, 'hello'))
    const again = await back(world, 'member', connector)
    await settle()
    expect([textOf(again), answers(again)]).toEqual(['hello', [true]])
    await wake(first)
    expect(endingsOf(first)).toHaveLength(1)
  })
})
