import { describe, expect, it } from 'vitest'
import { encodeConnector, MessageType } from '../../../src/protocol/messages.js'
import { LATE_TOKEN_WAIT_MS, LATE_TOKENS_MS } from '../../../src/relay/admission/late-tokens.js'
import { settle } from '../../support/manual-clock.js'
import { type Peer, uuid, World } from '../world.js'

const NO_PORTS = { ports: new Set<number>(), refuse: () => {}, release: () => {} }
const answersOf = (peer: Peer) => peer.of(MessageType.AuthResponse).map(({ success }) => success)

/** A relay that was handed sockets: another one had them before. */
async function successor({ autonomy = true, handed = true } = {}): Promise<World> {
  const world = new World({ handedPorts: () => (handed ? NO_PORTS : undefined) })
  await world.relay.restore([{ type: 'reverse', token: 'tenant', allowManageConnector: autonomy }])
  return world
}

async function register(world: World, token: string): Promise<void> {
  const provider = await world.join('tenant', { instance: uuid() })
  await provider.send(encodeConnector({ requestId: uuid(), token, operation: 1 }))
}

describe('A connector of an autonomy provider', () => {
  it.each([false, true])('waits for its provider after an upgrade (in-band: %s)', async (inBand) => {
    const world = await successor()
    const connector = await world.join('mine', { inBand })
    expect(answersOf(connector)).toEqual([])
    // of nobody that waits
    await register(world, 'other')
    expect(answersOf(connector)).toEqual([])
    await register(world, 'mine')
    await settle()
    expect([answersOf(connector), world.relay.clients().length]).toEqual([[true], 3])
  })

  it('waits as one of several, each of which is let in', async () => {
    const world = await successor()
    const connectors = [await world.join('mine'), await world.join('mine')]
    await register(world, 'mine')
    await settle()
    expect(connectors.map(answersOf)).toEqual([[true], [true]])
  })

  it('leaves no timer behind when its connection is gone', async () => {
    const world = await successor()
    const before = world.clock.pending
    const connector = await world.join('mine')
    expect(world.clock.pending).toBe(before + 1)
    connector.transport.abort()
    await settle()
    expect(world.clock.pending).toBe(before)
  })

  it('is refused after 3 s, and so is whoever comes after the first 10 s', async () => {
    const world = await successor()
    const first = await world.join('mine')
    await world.clock.advanceAsync(LATE_TOKEN_WAIT_MS - 1)
    expect(answersOf(first)).toEqual([])
    await world.clock.advanceAsync(1)
    expect(answersOf(first)).toEqual([false])
    await world.clock.advanceAsync(LATE_TOKENS_MS - LATE_TOKEN_WAIT_MS - 1)
    const late = await world.join('mine')
    expect(answersOf(late)).toEqual([])
    await world.clock.advanceAsync(1)
    expect(answersOf(late)).toEqual([false])
    expect(answersOf(await world.join('mine'))).toEqual([false])
  })

  it('waits for nothing when its connection is gone', async () => {
    const world = await successor()
    const connector = await world.join('mine')
    connector.transport.abort()
    await settle()
    const [rejected] = world.lines.filter(({ event }) => event === 'link.rejected')
    expect([rejected === undefined, world.relay.clients()]).toEqual([false, []])
  })

  it('waits alone: a provider with an unknown token is refused at once', async () => {
    const world = await successor()
    expect(answersOf(await world.join('mine', { reverse: true }))).toEqual([false])
  })

  it.each([
    ['no server was there before', { handed: false }],
    ['no token lets its providers manage connectors', { autonomy: false }],
  ])('is refused at once where %s', async (_, options) => {
    const world = await successor(options)
    expect(answersOf(await world.join('mine'))).toEqual([false])
  })
})
