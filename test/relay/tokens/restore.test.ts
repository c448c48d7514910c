import { describe, expect, it } from 'vitest'
import type { TokenRecord } from '../../../src/ports.js'
import { encodeConnector, MessageType } from '../../../src/protocol/messages.js'
import { PORT_RETRY_MS } from '../../../src/relay/reverse/reverse-port.js'
import type { TokenSpec } from '../../../src/relay/tokens/token-spec.js'
import { type Peer, uuid, World } from '../world.js'
import { memoryAndStore, ScriptedStore } from './scripted-store.js'

let last = 0
function record(type: TokenRecord['type'], token: string, fields: Partial<TokenRecord> = {}): TokenRecord {
  last += 1
  return { id: last.toString(16).padStart(24, '0'), type, token, createdAt: last, enabled: true, ...fields }
}
const reverse = (token: string, fields: Partial<TokenRecord> = {}) => record('reverse', token, fields)
const connector = (token: string, reverseToken = 'tenant') => record('connector', token, { reverseToken })

interface Scene {
  readonly world: World
  readonly store: ScriptedStore
}

async function restored(
  records: readonly TokenRecord[],
  specs: readonly TokenSpec[] = [],
  options = {},
): Promise<Scene> {
  const store = new ScriptedStore(records)
  const world = new World({ store, ...options })
  await world.relay.restore(specs)
  return { world, store }
}

/** The next server on the same store. */
const again = ({ store }: Scene, specs: readonly TokenSpec[] = [], options = {}): Promise<Scene> =>
  restored([...store.records.values()], specs, options)

const seen = (world: World): string[] =>
  world.relay.tokenPage({ limit: 1_000 }).entries.map(({ token, source }) => `${token} ${source}`)
const portsOf = (world: World): Record<string, number | undefined> =>
  Object.fromEntries(world.relay.tokenPage({ limit: 1_000 }).entries.map((entry) => [entry.token, entry.reverse?.port]))
const idOf = (world: World, token: string): string => world.relay.tokenId(token) ?? ''
const isAdmitted = (peer: Peer): boolean | undefined => peer.of(MessageType.AuthResponse)[0]?.success
const dormant = (world: World) =>
  world.lines.filter(({ event }) => event === 'token.dormant').map(({ fields }) => fields.reason)

describe('tokens of the store', () => {
  it('are there again as they were, in their order, and can be used', async () => {
    const records = [
      record('forward', 'forward', { label: 'l', enabled: false }),
      reverse('tenant', { port: 10_003, username: 'u', password: 'p' }),
      connector('member'),
      reverse('owner', { autonomy: true, expiresAt: 1_767_225_600_000 + 5_000 }),
    ]
    const { world, store } = await restored(records)
    expect(world.relay.tokenPage({ limit: 1_000 }).entries).toMatchObject([
      {
        id: records[0]?.id,
        token: 'forward',
        label: 'l',
        state: 'disabled',
        source: 'api',
        stored: true,
        createdAt: 1,
      },
      { id: records[1]?.id, reverse: { port: 10_003, username: 'u', listening: false, connectors: [records[2]?.id] } },
      { id: records[2]?.id, reverseId: records[1]?.id },
      { id: records[3]?.id, reverse: { autonomy: true, port: undefined }, expiresAt: 1_767_225_605_000 },
    ])
    expect(isAdmitted(await world.join('tenant'))).toBe(true)
    expect(world.openPorts.get(10_003)?.credentials()).toEqual({ username: 'u', password: 'p' })
    expect(isAdmitted(await world.join('member'))).toBe(true)
    await world.clock.advanceAsync(5_000)
    expect(world.relay.tokenInfo(records[3]?.id ?? '')?.state).toBe('expired')
    expect(store.asked).toEqual([])
  })

  it('sleep where this machine can’t judge by their policy, and the others are there', async () => {
    const policy = { hours: [{ from: '08:00', to: '18:00', zone: 'Europe/Atlantis' }] }
    const scene = await restored([record('forward', 'timed', { policy }), record('forward', 'other')])
    expect([seen(scene.world), dormant(scene.world)]).toEqual([
      ['other api'],
      ['policy: hours: there is no time zone "Europe/Atlantis"'],
    ])
    expect(isAdmitted(await scene.world.join('timed'))).toBe(false)
    expect([...scene.store.records.values()]).toHaveLength(2)
  })

  it('keep their ports from those that may have any', async () => {
    const records = [reverse('a', { port: 10_000 }), reverse('b', { port: 10_002 })]
    const { world } = await restored(records, [{ type: 'reverse', token: 'typed' }])
    expect(world.relay.tokenPage({ limit: 1_000 }).entries.map((token) => token.reverse?.port)).toEqual([
      10_001, 10_000, 10_002,
    ])
    expect(await world.relay.addToken({ type: 'reverse' })).toMatchObject({ port: 10_003 })
  })

  it('that expired while no server ran are there, closed, and can be given more time', async () => {
    const records = [reverse('tenant', { port: 10_000, expiresAt: 1_767_225_600_000 }), connector('member')]
    const { world } = await restored(records, [], { socksNowait: true })
    expect(world.relay.tokenPage({ limit: 1_000 }).entries.map(({ state }) => state)).toEqual(['expired', 'expired'])
    await world.clock.advanceAsync(5 * PORT_RETRY_MS)
    expect([world.openPorts.size, world.clock.pending, world.relay.alarms.active]).toEqual([0, 0, []])
    for (const name of ['tenant', 'member']) expect(isAdmitted(await world.join(name))).toBe(false)
    await world.relay.changeToken(idOf(world, 'tenant'), { expiresAt: null })
    expect([...world.openPorts.keys()]).toEqual([10_000])
    for (const name of ['tenant', 'member']) expect(isAdmitted(await world.join(name))).toBe(true)
  })

  it('whose port another program has raise an alarm and are tried again', async () => {
    const store = new ScriptedStore([reverse('tenant', { port: 10_000 }), reverse('other', { port: 10_001 })])
    const world = new World({ store, socksNowait: true })
    world.busyPorts.add(10_000)
    await world.relay.restore([])
    expect(world.relay.alarms.active).toMatchObject([{ code: 'port-unavailable', subject: idOf(world, 'tenant') }])
    expect([...world.openPorts.keys()]).toEqual([10_001])
    await world.clock.advanceAsync(3 * PORT_RETRY_MS)
    expect(world.relay.alarms.active).toHaveLength(1)
    world.busyPorts.clear()
    await world.clock.advanceAsync(PORT_RETRY_MS)
    expect([world.relay.alarms.active, world.openPorts.size]).toEqual([[], 2])
  })

  it('have ids of their own, and none that was there before', async () => {
    const ids = new Set<string>()
    for (let turn = 0; turn < 50; turn += 1) {
      const { world } = await restored([])
      for (const type of ['forward', 'reverse'] as const) {
        await world.relay.addToken({ type, token: type })
        ids.add(idOf(world, type))
        await world.relay.removeToken(type)
        await world.relay.addToken({ type, token: type })
        ids.add(idOf(world, type))
      }
    }
    expect(ids.size).toBe(200)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{24}$/)
  })
})

describe('a token of the command line', () => {
  const typed: TokenSpec = { type: 'reverse', token: 'tenant', port: 10_004 }

  it('wins over a stored one of its name, which stays in the store, and takes its connector tokens', async () => {
    const scene = await restored([reverse('tenant', { port: 10_000 }), connector('member')], [typed])
    expect(seen(scene.world)).toEqual(['tenant command-line', 'member api'])
    expect(scene.world.relay.tokenPage({ limit: 1_000 }).entries[0]?.reverse?.port).toBe(10_004)
    expect(dormant(scene.world)).toEqual(['the command line has a token of the same name'])
    await scene.world.relay.changeToken(idOf(scene.world, 'tenant'), { label: 'not stored', enabled: false })
    const later = await again(scene)
    expect(seen(later.world)).toEqual(['tenant api', 'member api'])
    expect(later.world.relay.tokenPage({ limit: 1_000 }).entries[0]).toMatchObject({
      label: undefined,
      enabled: true,
      reverse: { port: 10_000 },
    })
  })

  it('takes its stored twins along when it is removed, with what hung on them', async () => {
    const records = [reverse('tenant', { port: 10_000 }), connector('member'), connector('typed too')]
    const specs: TokenSpec[] = [typed, { type: 'connector', token: 'typed too', reverseToken: 'tenant' }]
    const scene = await restored(records, specs)
    await scene.world.relay.removeToken('tenant')
    expect(scene.store.asked).toEqual([{ remove: expect.arrayContaining(records.map(({ id }) => id)) }])
    expect(scene.store.tokens).toEqual([])
    expect(seen((await again(scene)).world)).toEqual([])
  })

  it('of another type leaves the connector tokens of a stored twin asleep, and takes them along', async () => {
    const records = [reverse('tenant', { port: 10_000 }), connector('member')]
    const scene = await restored(records, [{ type: 'reverse', token: 'tenant', allowManageConnector: true }])
    expect(seen(scene.world)).toEqual(['tenant command-line'])
    expect(dormant(scene.world)).toHaveLength(2)
    await scene.world.relay.removeToken('tenant')
    expect(scene.store.tokens).toEqual([])
    await scene.world.relay.addToken({ type: 'reverse', token: 'tenant' })
    expect(seen((await again(scene)).world)).toEqual(['tenant api'])
  })

  it('that may have any port is not kept from that of its stored twin, nor is another before it', async () => {
    const records = [reverse('tenant', { port: 10_000 }), reverse('other', { port: 10_001 })]
    const any = (token: string): TokenSpec => ({ type: 'reverse', token })
    const { world } = await restored(records, [any('tenant')])
    expect(portsOf(world)).toEqual({ tenant: 10_000, other: 10_001 })
    const more = await restored(records, [any('first'), any('tenant')])
    expect(portsOf(more.world)).toEqual({ first: 10_000, tenant: 10_002, other: 10_001 })
  })

  it('leaves the port of its stored twin to those who ask for it or find no other', async () => {
    const { world } = await restored([reverse('tenant', { port: 10_000 })], [typed], { portRange: [10_000, 10_001] })
    expect(await world.relay.addToken({ type: 'reverse' })).toMatchObject({ port: 10_001 })
    expect(await world.relay.addToken({ type: 'reverse' })).toMatchObject({ port: 10_000 })
    await expect(world.relay.addToken({ type: 'reverse' })).rejects.toMatchObject({ code: 'ERR_PORT_UNAVAILABLE' })
    const { world: other } = await restored([reverse('tenant', { port: 10_000 })], [typed])
    expect(await other.relay.addToken({ type: 'reverse', port: 10_000 })).toMatchObject({ port: 10_000 })
  })

  it('gives the port of a stored twin free with its removal', async () => {
    const { world } = await restored([reverse('tenant', { port: 10_000 })], [typed])
    expect(await world.relay.addToken({ type: 'reverse' })).toMatchObject({ port: 10_001 })
    await world.relay.removeToken('tenant')
    expect(await world.relay.addToken({ type: 'reverse' })).toMatchObject({ port: 10_000 })
  })

  it('whose removal fails to be written stays, and so do its twins', async () => {
    const scene = await restored([reverse('tenant', { port: 10_000 }), connector('member')], [typed])
    scene.store.failing = true
    await expect(scene.world.relay.removeToken('tenant')).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
    expect(seen(scene.world)).toEqual(['tenant command-line', 'member api'])
    expect(scene.store.tokens).toEqual(['tenant', 'member'])
    scene.store.failing = false
    await scene.world.relay.removeToken('tenant')
    expect(scene.store.tokens).toEqual([])
  })
})

describe('a stored connector token without its reverse token', () => {
  it('sleeps, and gives way to whatever gets its name', async () => {
    const orphan = connector('member', 'gone')
    for (const spec of [
      { type: 'forward', token: 'member' },
      { type: 'reverse', token: 'member' },
    ] as const) {
      const scene = await restored([orphan])
      expect([seen(scene.world), dormant(scene.world)]).toEqual([[], ['its reverse token is not there']])
      expect(isAdmitted(await scene.world.join('member'))).toBe(false)
      await scene.world.relay.addToken(spec)
      expect([scene.store.tokens, scene.store.records.has(orphan.id)]).toEqual([['member'], false])
      const { memory, restarted } = await memoryAndStore(scene.world, scene.store)
      expect(restarted).toEqual(memory)
    }
  })

  it('stays asleep when the one that was to replace it is not stored', async () => {
    const { world, store } = await restored([connector('member', 'gone')])
    store.failing = true
    await expect(world.relay.addToken({ type: 'forward', token: 'member' })).rejects.toThrow('the disk is full')
    expect(seen(world)).toEqual([])
    store.failing = false
    await world.relay.addToken({ type: 'forward', token: 'member' })
    expect([store.tokens, store.records.size]).toEqual([['member'], 1])
  })

  it('wakes with a reverse token that is added, and sleeps on with one whose providers manage theirs', async () => {
    const scene = await restored([connector('member'), connector('other', 'gone')])
    await scene.world.relay.addToken({ type: 'reverse', token: 'tenant', allowManageConnector: true })
    expect(seen(scene.world)).toEqual(['tenant api'])
    await scene.world.relay.removeToken('tenant')
    const later = await again({ ...scene, store: new ScriptedStore([connector('member'), connector('other', 'gone')]) })
    await later.world.relay.addToken({ type: 'reverse', token: 'tenant' })
    expect(seen(later.world)).toEqual(['tenant api', 'member api'])
    expect(isAdmitted(await later.world.join('member'))).toBe(true)
    expect(new Set(seen((await again(later)).world))).toEqual(new Set(seen(later.world)))
  })

  it('wakes with its reverse token on the command line', async () => {
    const scene = await restored([connector('member')])
    expect(seen(scene.world)).toEqual([])
    const later = await again(scene, [{ type: 'reverse', token: 'tenant' }])
    expect(seen(later.world)).toEqual(['tenant command-line', 'member api'])
  })

  it('is not touched by a provider that adds one of its name, and goes when an operator removes that', async () => {
    const specs: TokenSpec[] = [{ type: 'reverse', token: 'owner', allowManageConnector: true }]
    const { world, store } = await restored([connector('member', 'gone')], specs)
    const provider = await world.join('owner', { instance: uuid() })
    await provider.send(encodeConnector({ requestId: uuid(), token: 'member', operation: 1 }))
    expect([seen(world), store.tokens]).toEqual([['owner command-line', 'member provider'], ['member']])
    await world.relay.removeToken('member')
    expect([seen(world), store.tokens]).toEqual([['owner command-line'], []])
  })
})

describe('a token that is added before the start', () => {
  it('takes the place of a stored one of its name, and no port of another', async () => {
    const store = new ScriptedStore([reverse('tenant', { port: 10_002 }), reverse('other', { port: 10_000 })])
    const world = new World({ store })
    expect(await world.relay.addToken({ type: 'reverse', token: 'tenant' })).toMatchObject({ port: 10_001 })
    await world.relay.restore([])
    expect(seen(world)).toEqual(['tenant api', 'other api'])
    expect(store.tokens).toEqual(['other', 'tenant'])
    const later = await again({ world, store })
    expect(
      later.world.relay.tokenPage({ limit: 1_000 }).entries.map((token) => [token.id, token.reverse?.port]),
    ).toEqual([
      [idOf(world, 'other'), 10_000],
      [idOf(world, 'tenant'), 10_001],
    ])
  })

  it('may have the port of that one, but not where another stored token has it as well', async () => {
    const records = [reverse('tenant', { port: 10_000 }), reverse('other', { port: 10_001 })]
    const world = new World({ store: new ScriptedStore(records) })
    expect(await world.relay.addToken({ type: 'reverse', token: 'tenant' })).toMatchObject({ port: 10_000 })
    const twice = [reverse('tenant', { port: 10_000 }), reverse('other', { port: 10_000 })]
    const { relay } = new World({ store: new ScriptedStore(twice) })
    expect(await relay.addToken({ type: 'reverse', token: 'tenant' })).toMatchObject({ port: 10_001 })
    expect(await relay.addToken({ type: 'reverse' })).toMatchObject({ port: 10_002 })
  })
})
