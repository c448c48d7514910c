import { describe, expect, it } from 'vitest'
import type { RelayOptions } from '../../../src/relay/relay.js'
import type { HandedPorts } from '../../../src/relay/tokens/handed-ports.js'
import { HANDED_WAIT_MS } from '../../../src/relay/tokens/socks-ports.js'
import type { TokenSpec } from '../../../src/relay/tokens/token-spec.js'
import { settle } from '../../support/manual-clock.js'
import { World } from '../world.js'

/** Ports whose sockets somebody handed over, and what became of them. */
class FakePorts implements HandedPorts {
  readonly ports: ReadonlySet<number>
  readonly refused: number[] = []
  releases = 0

  constructor(...ports: number[]) {
    this.ports = new Set(ports)
  }

  refuse(port: number): void {
    this.refused.push(port)
  }

  release(): void {
    this.releases += 1
  }
}

function setUp(ports: FakePorts, options: Partial<RelayOptions> = {}): World {
  const world = new World({ handedPorts: () => ports, ...options })
  // to bind what is bound already fails
  for (const port of ports.ports) world.busyPorts.add(port)
  return world
}

const tenant = (port?: number, more: Partial<TokenSpec> = {}) =>
  ({ type: 'reverse', token: 'tenant', port, ...more }) as TokenSpec

/** What the relay opens is no more in use by others: the socket is its own. */
function takes(world: World, port: number): World {
  world.busyPorts.delete(port)
  return world
}

const idOf = (world: World): string => world.relay.tokenId('tenant') ?? ''
const warnings = (world: World) => world.lines.filter(({ event }) => event === 'socks.unused')

describe('a port that was handed to the relay', () => {
  it('is given to its token without a try, and opens with the first provider', async () => {
    const world = setUp(new FakePorts(1080))
    await world.relay.restore([tenant(1080)])
    expect(world.openPorts.size).toBe(0)
    takes(world, 1080)
    await world.join('tenant')
    expect([...world.openPorts.keys()]).toEqual([1080])
  })

  it('opens at once with socksNowait', async () => {
    const ports = new FakePorts(1080)
    const world = takes(setUp(ports, { socksNowait: true }), 1080)
    await world.relay.restore([tenant(1080)])
    expect([...world.openPorts.keys()]).toEqual([1080])
  })

  it('is given to a token of the API in its turn, and only once', async () => {
    const world = setUp(new FakePorts(10_000))
    await world.relay.restore([])
    expect(await world.relay.addToken({ type: 'reverse' })).toMatchObject({ port: 10_000 })
    expect(await world.relay.addToken({ type: 'reverse' })).toMatchObject({ port: 10_001 })
    await expect(world.relay.addToken({ type: 'reverse', port: 10_000 })).rejects.toThrow('port not available')
  })

  it('opens without a provider when those who came have waited long enough', async () => {
    const ports = new FakePorts(1080)
    const world = takes(setUp(ports), 1080)
    await world.relay.restore([tenant(1080)])
    await world.clock.advanceAsync(HANDED_WAIT_MS - 1)
    expect(world.openPorts.size).toBe(0)
    await world.clock.advanceAsync(1)
    expect([...world.openPorts.keys()]).toEqual([1080])
    expect([ports.refused, warnings(world)]).toEqual([[], []])
  })

  it('refuses connections then where no token has it, and says so once', async () => {
    const ports = new FakePorts(1080, 1081)
    const world = takes(setUp(ports), 1080)
    await world.relay.restore([tenant(1080)])
    await world.clock.advanceAsync(10 * HANDED_WAIT_MS)
    expect(ports.refused).toEqual([1081])
    expect(warnings(world)).toMatchObject([{ fields: { port: 1081 } }])
    expect(world.clock.pending).toBe(0)
  })

  it('refuses them while its token is disabled, and opens at once when that is enabled again', async () => {
    const ports = new FakePorts(1080)
    const world = takes(setUp(ports), 1080)
    await world.relay.restore([tenant(1080)])
    await world.relay.changeToken(idOf(world), { enabled: false })
    await world.clock.advanceAsync(HANDED_WAIT_MS)
    expect([ports.refused, world.openPorts.size, warnings(world)]).toEqual([[1080], 0, []])
    await world.relay.changeToken(idOf(world), { enabled: true })
    expect([...world.openPorts.keys()]).toEqual([1080])
  })

  it('opens at once for a token that comes later', async () => {
    const world = takes(setUp(new FakePorts(1080)), 1080)
    await world.relay.restore([])
    await world.clock.advanceAsync(HANDED_WAIT_MS)
    await world.relay.addToken(tenant(1080))
    expect([...world.openPorts.keys()]).toEqual([1080])
    await world.relay.removeToken('tenant')
    expect(world.openPorts.size).toBe(0)
    await world.relay.addToken(tenant(1080))
    expect([...world.openPorts.keys()]).toEqual([1080])
  })

  it.each<[string, (world: World) => Promise<void>]>([
    ['drains', (world) => world.relay.drain({ limitMs: 0 })],
    ['closes', (world) => world.relay.close()],
  ])('is given up when the relay %s, and nothing waits any more', async (_what, end) => {
    const ports = new FakePorts(1080)
    const world = setUp(ports)
    await world.relay.restore([tenant(1080)])
    await end(world)
    await settle()
    expect(ports.releases).toBeGreaterThan(0)
    expect(world.clock.pending).toBe(0)
    await world.clock.advanceAsync(HANDED_WAIT_MS)
    expect([ports.refused, world.openPorts.size]).toEqual([[], 0])
  })

  it('is not waited for when the relay was closed while it began', async () => {
    const world = setUp(new FakePorts(1080))
    const restoring = world.relay.restore([]).catch(() => {})
    await world.relay.close()
    await restoring
    expect(world.clock.pending).toBe(0)
  })
})

describe('a port of the command line, where other sockets were handed over', () => {
  it('is not tried out: the server before may have it still', async () => {
    const world = setUp(new FakePorts())
    world.busyPorts.add(1080)
    await world.relay.restore([tenant(1080)])
    await world.join('tenant')
    expect(world.relay.alarms.active).toMatchObject([{ code: 'port-unavailable' }])
    takes(world, 1080)
    await world.clock.advanceAsync(200)
    expect([...world.openPorts.keys()]).toEqual([1080])
    expect(world.relay.alarms.active).toEqual([])
  })

  it('is tried out for a token of the API, and one that the range gives', async () => {
    const world = setUp(new FakePorts())
    world.busyPorts.add(10_000)
    await world.relay.restore([tenant()])
    expect(world.relay.tokens()).toMatchObject([{ port: 10_001 }])
    await expect(world.relay.addToken({ type: 'reverse', port: 10_000 })).rejects.toThrow('port not available')
  })

  it('is tried out where nothing was handed over', async () => {
    const world = new World({ handedPorts: () => undefined })
    world.busyPorts.add(1080)
    await expect(world.relay.restore([tenant(1080)])).rejects.toThrow('port not available')
    expect(world.clock.pending).toBe(0)
  })
})
