import { describe, expect, it } from 'vitest'
import { encodeConnector } from '../../../src/protocol/messages.js'
import { MAX_EVENTS, type RelayEvent } from '../../../src/relay/observe/event-log.js'
import { settle } from '../../support/manual-clock.js'
import { countOf, idOf, joinResumable, lose } from '../admission/resume-peers.js'
import { openChannel } from '../splice/channels.js'
import { agentWorld, uuid, World } from '../world.js'

const eventsOf = (world: World): RelayEvent[] => (world.relay.events.after(0) ?? []).map(({ event }) => event)

/** What happened, in short: tokens and clients by what they are. */
function told(world: World): string[] {
  return eventsOf(world).map((event) => {
    if ('tokenType' in event) return `${event.type} ${event.tokenType} ${event.label ?? ''}`.trim()
    if ('role' in event) return [event.type, event.role, event.reason].filter(Boolean).join(' ')
    return event.type
  })
}

const since = (world: World, count: number) => told(world).slice(count)
const tokenId = (world: World, name: string): string => world.relay.tokenId(name) ?? ''

describe('events', () => {
  it('tell of a token whose time is over', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'forward', token: 'short', expiresAt: world.clock.wallTime() + 500 })
    await world.clock.advanceAsync(500)
    expect(told(world)).toEqual(['token.added forward', 'token.changed forward'])
  })

  it('tell of a token from its addition to its removal, its connector tokens first', async () => {
    const world = await agentWorld()
    await world.relay.changeToken(tokenId(world, 'tenant'), { label: 'site' })
    await world.relay.changeToken(tokenId(world, 'member'), { enabled: false })
    await world.relay.removeToken('tenant')
    expect(told(world)).toEqual([
      'token.added reverse',
      'token.added connector',
      'token.changed reverse site',
      'token.changed connector',
      'token.removed connector',
      'token.removed reverse site',
    ])
  })

  it('tell of the tokens that a provider brings and takes', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'owner', allowManageConnector: true })
    const provider = await world.join('owner')
    for (const operation of [1, 1, 2])
      await provider.send(encodeConnector({ requestId: uuid(), token: 'mine', operation }))
    await provider.send(encodeConnector({ requestId: uuid(), token: 'other', operation: 1 }))
    provider.transport.cut()
    await settle()
    expect(told(world).filter((line) => line.includes(' connector'))).toEqual([
      'token.added connector',
      'token.removed connector',
      'token.added connector',
      'token.removed connector',
    ])
  })

  it('tell of a client that is lost, comes back and is lost for good', async () => {
    const world = await agentWorld()
    const first = await joinResumable(world, 'member')
    const [id, received] = [idOf(first), countOf(first)]
    await lose(first)
    const again = await joinResumable(world, 'member', { id, received })
    await lose(again)
    await world.clock.advanceAsync(600_000)
    expect(since(world, 2)).toEqual([
      'client.connected connector',
      'client.suspended connector ERR_LINK_LOST',
      'client.resumed connector',
      'client.suspended connector ERR_LINK_LOST',
      expect.stringMatching(/^client\.closed connector ERR_/),
    ])
    const ids = new Set(
      eventsOf(world).flatMap((event) => ('clientId' in event && 'role' in event ? [event.clientId] : [])),
    )
    expect(ids.size).toBe(1)
    expect(world.relay.clients()).toEqual([])
  })

  it('report a client that the operator disconnects, connected or suspended, and its return', async () => {
    const world = await agentWorld()
    const [living, suspended] = [await world.join('tenant'), await joinResumable(world, 'member')]
    await lose(suspended)
    for (const { id } of world.relay.clients()) world.relay.disconnect(id)
    await world.clock.advanceAsync(4_000)
    expect([world.relay.clients(), living.closed !== undefined]).toEqual([[], true])
    expect(since(world, 2).filter((line) => line.startsWith('client.closed'))).toHaveLength(2)
    expect(() => world.relay.disconnect('0'.repeat(24))).toThrow('client not found')
    await world.join('tenant')
    expect(world.relay.clients()).toHaveLength(1)
  })

  it('end the streams of a client before the client', async () => {
    const world = await agentWorld()
    const [provider, connector] = [await world.join('tenant'), await world.join('member')]
    await openChannel(connector, provider)
    const before = told(world).length
    connector.transport.cut()
    await settle()
    expect(since(world, before)).toEqual(['stream.closed', 'client.closed connector ERR_LINK_LOST'])
  })

  it('carry no secret, whatever is added and changed', async () => {
    const world = await agentWorld()
    const secrets = ['tok-secret', 'pass-secret', 'user-secret']
    await world.relay.addToken({
      type: 'reverse',
      token: 'tok-secret',
      username: 'user-secret',
      password: 'pass-secret',
    })
    await world.relay.addToken({ type: 'connector', token: 'con-tok-secret', reverseToken: 'tok-secret' })
    const [provider, connector] = [await world.join('tok-secret'), await world.join('con-tok-secret')]
    await openChannel(connector, provider)
    await world.relay.changeToken(tokenId(world, 'tok-secret'), { username: 'a', password: 'pass-secret' })
    await world.relay.removeToken('tok-secret')
    await settle()
    for (const secret of secrets) expect(JSON.stringify(eventsOf(world)) + world.logText).not.toContain(secret)
  })

  it('are kept until there are too many, in one row without a gap', async () => {
    const world = await agentWorld()
    const id = tokenId(world, 'tenant')
    for (let turn = 0; turn < MAX_EVENTS; turn += 1) await world.relay.changeToken(id, { label: `${turn}` })
    const { last } = world.relay.events
    expect(last).toBe(MAX_EVENTS + 2)
    const kept = world.relay.events.after(2) ?? []
    expect(kept.map(({ sequence }) => sequence)).toEqual(Array.from({ length: MAX_EVENTS }, (_, each) => each + 3))
    expect([world.relay.events.after(1), world.relay.events.after(last + 1), world.relay.events.after(last)]).toEqual([
      undefined,
      undefined,
      [],
    ])
  })
})
