import { describe, expect, it } from 'vitest'
import { MessageType } from '../../src/protocol/messages.js'
import { DRAIN_READ_MS, UNTOLD_LOOK_MS } from '../../src/relay/clients.js'
import { QUIET_LIMIT_MS } from '../../src/relay/quiet.js'
import { settle } from '../support/manual-clock.js'
import { joinResumable, lose } from './admission/resume-peers.js'
import { connectTcp } from './splice/channels.js'
import { agentWorld, type Peer, uuid, World } from './world.js'

const DRAIN = '01f003'
/** No stream of these tests carries anything. */
const LIMITS = { limitMs: 60_000, idleMs: 60_000 }

const isTold = (peer: Peer): boolean => peer.raw.some((raw) => Buffer.from(raw).toString('hex') === DRAIN)
const refusals = (peer: Peer): number => peer.of(MessageType.ConnectResponse).filter(({ success }) => !success).length

/** A relay with a provider and a connector that know what draining is. */
async function agents() {
  const world = await agentWorld()
  const provider = await joinResumable(world, 'tenant', { reverse: true })
  const connector = await joinResumable(world, 'member')
  return { world, provider, connector }
}

describe('A relay that drains', () => {
  it('tells providers last, once connectors have shown that they have read it', async () => {
    const { world, provider, connector } = await agents()
    connector.transport.hold()
    void world.relay.drain(LIMITS)
    await settle()
    expect([isTold(connector), isTold(provider)]).toEqual([true, false])
    connector.transport.letGo()
    await settle()
    expect(isTold(provider)).toBe(true)
  })

  it('serves a Connect that was on its way, and gives it to a provider that was not told', async () => {
    const { world, provider, connector } = await agents()
    connector.transport.hold()
    const draining = world.relay.drain(LIMITS)
    await settle()
    connector.transport.send(connectTcp(uuid(), 65_536))
    connector.transport.letGo()
    await settle()
    const types = provider.raw.map((raw) => raw[1])
    expect(types.indexOf(MessageType.Connect)).toBeGreaterThan(0)
    expect(types.indexOf(MessageType.Connect)).toBeLessThan(types.indexOf(MessageType.SessionControl))
    expect([isTold(provider), refusals(connector)]).toEqual([true, 0])
    await world.closeAll()
    await world.clock.advanceAsync(LIMITS.limitMs)
    await draining
  })

  it('serves clients that do not know what draining is, and ends each as soon as it has no channel', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'forward', token: 'f' })
    await world.relay.addToken({ type: 'reverse', token: 'tenant' })
    const knowing = await joinResumable(world, 'f')
    const old = await world.join('f', { extensions: true })
    const other = await world.join('f')
    const provider = await world.join('tenant', { reverse: true })
    const id = uuid()
    await old.send(connectTcp(id))
    const draining = world.relay.drain(LIMITS)
    await settle()
    expect([old, other, provider, knowing].map(({ closed }) => closed !== undefined)).toEqual([
      false,
      true,
      true,
      false,
    ])
    await knowing.send(connectTcp(uuid(), 65_536))
    await old.send(connectTcp(uuid()))
    expect([world.dials.asked.length, refusals(knowing), refusals(old)]).toEqual([3, 0, 0])
    // one that comes late
    const late = await world.join('f')
    expect(late.closed).toBeUndefined()
    for (const dial of world.dials.pending) dial.reject(new Error('nobody there'))
    await world.clock.advanceAsync(UNTOLD_LOOK_MS)
    expect([old, late].map(({ closed }) => closed !== undefined)).toEqual([true, true])
    await world.closeAll()
    await world.clock.advanceAsync(LIMITS.limitMs)
    await draining
    expect(world.clock.pending).toBe(0)
  })

  it('waits for those who do not answer no longer than the drain may take', async () => {
    const { world, provider, connector } = await agents()
    connector.transport.hold()
    const draining = world.relay.drain({ limitMs: 100, idleMs: 100 })
    await world.clock.advanceAsync(100)
    await draining
    expect(isTold(provider)).toBe(true)
  })

  it('waits a second at most for those who do not answer, and no time for those that are gone', async () => {
    const { world, provider, connector } = await agents()
    const lost = await joinResumable(world, 'member')
    connector.transport.hold()
    void world.relay.drain(LIMITS)
    await settle()
    await lose(lost)
    await world.clock.advanceAsync(DRAIN_READ_MS - 1)
    expect(isTold(provider)).toBe(false)
    await world.clock.advanceAsync(1)
    expect(isTold(provider)).toBe(true)
  })

  it('tells a client that comes meanwhile when its turn has come', async () => {
    const { world, connector } = await agents()
    connector.transport.hold()
    void world.relay.drain(LIMITS)
    await settle()
    const [provider, late] = [
      await joinResumable(world, 'tenant', { reverse: true }),
      await joinResumable(world, 'member'),
    ]
    expect([isTold(late), isTold(provider)]).toEqual([true, false])
    connector.transport.letGo()
    await settle()
    expect(isTold(provider)).toBe(true)
    expect(isTold(await joinResumable(world, 'tenant', { reverse: true }))).toBe(true)
  })

  it('tells nobody before all that was asked of the server is answered', async () => {
    const { world, connector } = await agents()
    let [isQuiet, quieted] = [false, 0]
    const surroundings = {
      isQuiet: () => isQuiet,
      quieted: async () => {
        quieted += 1
      },
    }
    void world.relay.drain(LIMITS, surroundings)
    await world.clock.advanceAsync(QUIET_LIMIT_MS / 2)
    expect([quieted, isTold(connector), world.relay.draining]).toEqual([0, false, false])
    isQuiet = true
    await world.clock.advanceAsync(100)
    expect([quieted, isTold(connector), world.relay.draining]).toEqual([1, true, true])
  })

  it('lets a request of a proxy port reach its provider first', async () => {
    const world = new World({ resolve: () => new Promise(() => {}) })
    await world.relay.addToken({ type: 'reverse', token: 'tenant', port: 10_000 })
    const provider = await joinResumable(world, 'tenant', { reverse: true })
    const { departure } = world.openPorts.get(10_000) ?? {}
    const client = {}
    departure?.expected.add(client)
    void world.relay.drain(LIMITS)
    await world.clock.advanceAsync(QUIET_LIMIT_MS / 2)
    expect([departure?.begun, isTold(provider)]).toEqual([true, false])
    void world.openPorts
      .get(10_000)
      ?.dialer.dial({ host: 'one.test', port: 80 })
      .catch(() => {})
    departure?.expected.delete(client)
    await world.clock.advanceAsync(100)
    const types = provider.raw.map((raw) => raw[1])
    expect(types.indexOf(MessageType.Connect)).toBeLessThan(types.indexOf(MessageType.SessionControl))
    expect(types).toContain(MessageType.Connect)
  })

  it('does not wait for a request that has no provider', async () => {
    const world = await agentWorld()
    const connector = await joinResumable(world, 'member')
    await world.relay.addToken({ type: 'reverse', token: 'other', port: 10_001 })
    const provider = await world.join('other')
    const port = world.openPorts.get(10_001)
    provider.transport.abort()
    await settle()
    void port?.dialer.dial({ host: 'one.test', port: 80 }).catch(() => {})
    void world.relay.drain(LIMITS)
    await settle()
    expect(isTold(connector)).toBe(true)
  })

  it('takes as long as its limit allows, the beginning included', async () => {
    const { world, connector } = await agents()
    const open = connectTcp(uuid(), 65_536)
    await connector.send(open)
    let isOver = false
    void world.relay.drain({ limitMs: 3_000, idleMs: 60_000 }, { isQuiet: () => false }).then(() => {
      isOver = true
    })
    await world.clock.advanceAsync(2_999)
    expect(isOver).toBe(false)
    await world.clock.advanceAsync(1)
    expect(isOver).toBe(true)
  })
})
