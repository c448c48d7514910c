import { describe, expect, it } from 'vitest'
import { MessageType } from '../../../src/protocol/messages.js'
import { PORT_RETRY_MS, type SocksPort } from '../../../src/relay/reverse/reverse-port.js'
import type { TokenChange } from '../../../src/relay/tokens/token-spec.js'
import { Calls } from '../../exit/fakes.js'
import { settle } from '../../support/manual-clock.js'
import { TestPeer } from '../../support/test-peer.js'
import { accept, TARGET } from '../splice/channels.js'
import { World } from '../world.js'

const change = (world: World, what: TokenChange) => world.relay.changeToken(world.relay.tokenId('tenant') ?? '', what)

const portOf = (world: World) => world.relay.tokenInfo(world.relay.tokenId('tenant') ?? '')?.reverse

async function tenant(options = {}): Promise<World> {
  const world = new World(options)
  await world.relay.addToken({ type: 'reverse', token: 'tenant', username: 'u', password: 'p' })
  return world
}

describe('the port of a reverse token', () => {
  it.each([
    [undefined, ['socks5', 'socks4', 'http']],
    [
      ['http', 'socks5'],
      ['socks5', 'http'],
    ],
  ] as const)('with proxyProtocols %j serves %j, and says so', async (proxyProtocols, served) => {
    const world = await tenant({ proxyProtocols, socksNowait: true })
    await world.relay.addToken({ type: 'reverse', token: 'autonomous', allowManageConnector: true })
    expect([...world.openPorts.values()]).toMatchObject([{ protocols: served }])
    const shown = world.relay.tokenPage({ limit: 10 }).entries.map(({ reverse }) => reverse?.proxyProtocols)
    expect(shown).toEqual([served, []])
    const status = world.relay.tokens().map((token) => (token.type === 'reverse' ? token.proxyProtocols : 'forward'))
    expect(status).toEqual([served, undefined])
  })
})

describe.each([true, false])('the port of a reverse token, opened without a provider: %s', (socksNowait) => {
  it('is closed while the token is disabled or expired, and is the same one afterwards', async () => {
    const world = await tenant({ socksNowait })
    await world.join('tenant')
    for (const [off, on] of [
      [{ enabled: false }, { enabled: true }],
      [{ expiresAt: world.clock.wallTime() + 1_500 }, { expiresAt: null }],
    ] as const) {
      await change(world, off)
      await world.clock.advanceAsync(1_000)
      expect([[...world.openPorts.keys()], portOf(world)]).toMatchObject([[], { port: 10_000, listening: false }])
      await change(world, on)
      await settle()
      expect(world.openPorts.size).toBe(socksNowait ? 1 : 0)
      await world.join('tenant')
      expect([[...world.openPorts.keys()], portOf(world)]).toMatchObject([[10_000], { port: 10_000, listening: true }])
    }
  })

  it('stays taken while the token is disabled', async () => {
    const world = await tenant({ socksNowait })
    await change(world, { enabled: false })
    expect(await world.relay.addToken({ type: 'reverse' })).toMatchObject({ port: 10_001 })
    await expect(world.relay.addToken({ type: 'reverse', port: 10_000 })).rejects.toThrow('port not available')
    await world.relay.removeToken('tenant')
    expect(await world.relay.addToken({ type: 'reverse', port: 10_000 })).toMatchObject({ port: 10_000 })
  })

  it('opens once for each of many changes, and is closed at the end of those', async () => {
    const world = await tenant({ socksNowait })
    const changes = Array.from({ length: 21 }, (_, turn) => change(world, { enabled: turn % 2 === 1 }))
    await Promise.all(changes)
    await world.clock.advanceAsync(PORT_RETRY_MS)
    expect([world.openPorts.size, world.clock.pending, world.relay.alarms.active]).toEqual([0, 0, []])
    await change(world, { enabled: true })
    await world.join('tenant')
    expect(world.openPorts.size).toBe(1)
  })

  it('does not open again for a change while the relay drains, or after its end', async () => {
    const world = await tenant({ socksNowait })
    const provider = await world.join('tenant')
    const draining = world.relay.drain({ limitMs: 60_000 })
    await settle()
    const before = world.openPorts.get(10_000)
    for (const late of [{ label: 'late' }, { enabled: true }]) {
      await expect(change(world, late)).rejects.toMatchObject({ code: 'ERR_SHUTTING_DOWN' })
    }
    expect(world.openPorts.get(10_000)).toBe(before)
    provider.transport.abort()
    await world.clock.advanceAsync(60_000)
    await draining
    await world.relay.close()
    expect(world.openPorts.size).toBe(0)
  })
})

describe('the credentials of a reverse token', () => {
  it('are changed and cleared for who comes next, and streams go on', async () => {
    const world = await tenant()
    const provider = await world.join('tenant')
    const port = world.openPorts.get(10_000)
    const dialling = port?.dialer.dial(TARGET)
    await settle()
    await provider.send(accept(provider.of(MessageType.Connect)[0]?.channelId ?? raise()))
    const stream = new TestPeer((await dialling) ?? raise())
    await change(world, { username: 'other', password: 'secret' })
    expect(port?.credentials()).toEqual({ username: 'other', password: 'secret' })
    expect(portOf(world)).toMatchObject({ username: 'other' })
    await change(world, { label: 'only this' })
    expect(port?.credentials()).toEqual({ username: 'other', password: 'secret' })
    await change(world, { username: null, password: null })
    expect(port?.credentials()).toBeUndefined()
    expect([stream.closed, provider.closed, world.openPorts.get(10_000) === port]).toEqual([false, undefined, true])
    expect(
      JSON.stringify([world.relay.tokenPage({ limit: 1_000 }).entries, world.relay.events.after(0)]) + world.logText,
    ).not.toMatch(/secret|"p"/)
  })
})

describe('the alarm about a port', () => {
  it('is raised when the port is in use, and cleared when it opens at last', async () => {
    const world = await tenant()
    const id = world.relay.tokenId('tenant')
    world.busyPorts.add(10_000)
    await world.join('tenant')
    expect(world.relay.alarms.active).toMatchObject([{ code: 'port-unavailable', subject: id }])
    expect(portOf(world)).toMatchObject({ listening: false, portError: 'port 10000 is in use' })
    world.busyPorts.clear()
    await world.clock.advanceAsync(PORT_RETRY_MS)
    expect([world.relay.alarms.active, portOf(world)?.listening]).toEqual([[], true])
    expect(portOf(world)?.portError).toBeUndefined()
  })

  it.each([
    ['disabled', (world: World) => change(world, { enabled: false })],
    ['expired', (world: World) => change(world, { expiresAt: world.clock.wallTime() + 1 })],
    ['removed', (world: World) => world.relay.removeToken('tenant')],
  ])('goes with a token that is %s, and nobody tries the port again', async (_, end) => {
    const world = await tenant()
    world.busyPorts.add(10_000)
    await world.join('tenant')
    await end(world)
    await world.clock.advanceAsync(1)
    expect(world.relay.alarms.active).toEqual([])
    expect(portOf(world)?.portError).toBeUndefined()
    await world.clock.advanceAsync(5 * PORT_RETRY_MS)
    expect([world.relay.alarms.active, world.clock.pending]).toEqual([[], 0])
  })

  it.each([
    ['disabled', (world: World) => change(world, { enabled: false })],
    ['removed', (world: World) => world.relay.removeToken('tenant')],
  ])('is not raised for a token that is %s while its port is being opened', async (_, end) => {
    const opening = new Calls<number, SocksPort>()
    const world = new World({ openPort: ({ port }) => opening.call(port) })
    const adding = world.relay.addToken({ type: 'reverse', token: 'tenant' })
    await settle()
    opening.at(0).resolve({ stopAccepting: () => {}, close: async () => {} })
    await adding
    await world.join('tenant')
    const ending = end(world)
    await settle()
    opening.at(1).reject(new Error('in use'))
    await ending
    await settle()
    expect([world.relay.alarms.active, world.clock.pending]).toEqual([[], 0])
  })
})

function raise(): never {
  throw new Error('it is not there')
}
