import { describe, expect, it } from 'vitest'
import { encodeConnector, MessageType } from '../../../src/protocol/messages.js'
import type { TokenSpec } from '../../../src/relay/tokens/token-spec.js'
import { settle } from '../../support/manual-clock.js'
import { type Peer, uuid, World } from '../world.js'
import { memoryAndStore, ScriptedStore } from './scripted-store.js'

interface Scene {
  readonly world: World
  readonly store: ScriptedStore
}

/** A relay with a reverse token, a connector token and a forward token, all of them stored. */
async function stored(options = {}): Promise<Scene> {
  const store = new ScriptedStore()
  const world = new World({ store, ...options })
  await world.relay.addToken({ type: 'reverse', token: 'tenant', username: 'u', password: 'p' })
  await world.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant' })
  await world.relay.addToken({ type: 'forward', token: 'forward', label: 'first' })
  store.asked.length = 0
  return { world, store }
}

async function expectAgreement({ world, store }: Scene): Promise<void> {
  const { memory, restarted } = await memoryAndStore(world, store)
  expect(restarted).toEqual(memory)
}

const idOf = (world: World, token: string): string => world.relay.tokenId(token) ?? ''
const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (thrown) => thrown.code,
  )

const isAdmitted = (peer: Peer): boolean | undefined => peer.of(MessageType.AuthResponse)[0]?.success
const alarmsOf = (world: World) => world.relay.alarms.active.map(({ code: alarm }) => alarm)

describe('a store that fails', () => {
  const specs: readonly TokenSpec[] = [
    { type: 'forward', token: 'new' },
    { type: 'reverse', token: 'new' },
    { type: 'reverse', token: 'new', port: 30_000 },
    { type: 'reverse', token: 'new', allowManageConnector: true },
    { type: 'connector', token: 'new', reverseToken: 'tenant' },
  ]
  it.each(specs)('leaves no token, no port, no name and no event of an addition behind: %j', async (spec) => {
    const scene = await stored({ socksNowait: true })
    const { world, store } = scene
    const before = [
      world.relay.tokenPage({ limit: 1_000 }).entries,
      world.relay.events.last,
      [...world.openPorts.keys()],
    ]
    store.failing = true
    expect(await code(world.relay.addToken(spec))).toBe('ERR_NOT_STORED')
    expect(alarmsOf(world)).toEqual(['not-stored'])
    expect([
      world.relay.tokenPage({ limit: 1_000 }).entries,
      world.relay.events.last - 1,
      [...world.openPorts.keys()],
    ]).toEqual(before)
    await expectAgreement(scene)
    store.failing = false
    const added = await world.relay.addToken(spec)
    if (spec.type === 'reverse') expect(added.port).toBe(spec.allowManageConnector ? undefined : (spec.port ?? 10_001))
    expect(alarmsOf(world)).toEqual([])
    await expectAgreement(scene)
  })

  it.each([
    { label: 'second' },
    { label: null },
    { enabled: false },
    { expiresAt: 1_767_225_600_000 + 5_000 },
    { username: 'v', password: 'q' },
    { username: null, password: null },
  ])('leaves a token as it was: %j', async (change) => {
    const scene = await stored({ socksNowait: true })
    const { world, store } = scene
    const name = 'username' in change ? 'tenant' : 'forward'
    const peer = await world.join(name)
    const before = [world.relay.tokenPage({ limit: 1_000 }).entries, world.relay.events.last]
    store.failing = true
    expect(await code(world.relay.changeToken(idOf(world, name), change))).toBe('ERR_NOT_STORED')
    await settle()
    expect([world.relay.tokenPage({ limit: 1_000 }).entries, world.relay.events.last - 1]).toEqual(before)
    expect(world.openPorts.get(10_000)?.credentials()).toEqual({ username: 'u', password: 'p' })
    expect(peer.closed).toBeUndefined()
    peer.transport.abort()
    await settle()
    await expectAgreement(scene)
    store.failing = false
    await world.relay.changeToken(idOf(world, name), change)
    await settle()
    expect(alarmsOf(world)).toEqual([])
    await expectAgreement(scene)
  })

  it.each(['tenant', 'member', 'forward'])('leaves %s, what depends on it and its clients', async (name) => {
    const scene = await stored()
    const { world, store } = scene
    const peers = [await world.join('tenant'), await world.join('member'), await world.join('forward')]
    store.failing = true
    expect(await code(world.relay.removeTokenById(idOf(world, name)))).toBe('ERR_NOT_STORED')
    expect(await code(world.relay.removeToken(name))).toBe('ERR_NOT_STORED')
    expect(peers.map(({ closed }) => closed)).toEqual([undefined, undefined, undefined])
    expect([world.relay.totals().tokens, world.openPorts.size]).toEqual([3, 1])
    await world.closeAll()
    store.failing = false
    await world.relay.removeToken(name)
    expect(store.tokens).toEqual(name === 'tenant' ? ['forward'] : store.tokens.filter((each) => each !== name))
    await expectAgreement(scene)
  })

  it('says so once, and that it is over with the next write', async () => {
    const { world, store } = await stored()
    store.failing = true
    for (let turn = 0; turn < 3; turn += 1) await code(world.relay.addToken({ type: 'forward' }))
    store.failing = false
    await world.relay.changeToken(idOf(world, 'forward'), { label: 'x' })
    const told = world.relay.events.after(0)?.map(({ event }) => event.type)
    expect(told?.filter((type) => type.startsWith('alarm'))).toEqual(['alarm.raised', 'alarm.cleared'])
    expect(world.logText).not.toContain('"p"')
  })

  it('does not concern tokens that are not stored', async () => {
    const store = new ScriptedStore()
    const world = new World({ store })
    await world.relay.restore([{ type: 'reverse', token: 'typed', allowManageConnector: true }])
    const provider = await world.join('typed', { instance: uuid() })
    await provider.send(encodeConnector({ requestId: uuid(), token: 'brought', operation: 1 }))
    store.failing = true
    for (const name of ['brought', 'typed']) {
      await world.relay.changeToken(idOf(world, name), { label: name, expiresAt: world.clock.wallTime() + 100 })
    }
    await world.relay.removeToken('brought')
    await world.relay.removeToken('typed')
    expect([store.asked, alarmsOf(world)]).toEqual([[], []])
  })
})

describe('a store that takes its time', () => {
  it('is asked for one thing after the other, and each sees what the one before left', async () => {
    const { world, store } = await stored()
    const order: string[] = []
    const note = (name: string, promise: Promise<unknown>) =>
      void code(promise).then((end) => order.push(`${name} ${end}`))
    store.hold()
    note('add', world.relay.addToken({ type: 'forward', token: 'new', label: 'a' }))
    note('same name', world.relay.addToken({ type: 'forward', token: 'new' }))
    note('change', world.relay.changeToken(idOf(world, 'forward'), { label: 'b' }))
    note('remove', world.relay.removeToken('forward'))
    note('change what is gone', world.relay.changeToken(idOf(world, 'forward'), { label: 'c' }))
    note('remove what is gone', world.relay.removeToken('forward'))
    note('add it again', world.relay.addToken({ type: 'forward', token: 'forward' }))
    note('connector', world.relay.addToken({ type: 'connector', token: 'second', reverseToken: 'tenant' }))
    note('remove its reverse', world.relay.removeToken('tenant'))
    note('connector of nobody', world.relay.addToken({ type: 'connector', token: 'third', reverseToken: 'tenant' }))
    await settle()
    expect([order, store.asked.length]).toEqual([[], 1])
    expect(isAdmitted(await world.join('new'))).toBe(false)
    while (order.length < 10) {
      store.letGo()
      store.hold()
      await settle()
    }
    expect(order).toEqual([
      'add done',
      'same name ERR_TOKEN_EXISTS',
      'change done',
      'remove done',
      'change what is gone ERR_TOKEN_NOT_FOUND',
      'remove what is gone ERR_TOKEN_NOT_FOUND',
      'add it again done',
      'connector done',
      'remove its reverse done',
      'connector of nobody ERR_REVERSE_TOKEN_NOT_FOUND',
    ])
    expect(store.tokens).toEqual(['new', 'forward'])
    store.letGo()
    await expectAgreement({ world, store })
  })

  it('keeps the name from a provider meanwhile, and gives it back when it fails', async () => {
    const { world, store } = await stored()
    await world.relay.addToken({ type: 'reverse', token: 'owner', allowManageConnector: true })
    const provider = await world.join('owner', { instance: uuid() })
    const add = async (): Promise<boolean | undefined> => {
      await provider.send(encodeConnector({ requestId: uuid(), token: 'wanted', operation: 1 }))
      return provider.of(MessageType.ConnectorResponse).at(-1)?.success
    }
    store.hold()
    const adding = code(world.relay.addToken({ type: 'forward', token: 'wanted' }))
    await settle()
    expect(await add()).toBe(false)
    store.failing = true
    store.letGo()
    expect(await adding).toBe('ERR_NOT_STORED')
    expect(await add()).toBe(true)
    expect(await code(world.relay.addToken({ type: 'forward', token: 'wanted' }))).toBe('ERR_TOKEN_EXISTS')
  })

  it('acts on a token when it is written, not before: expiry, disabling, removal', async () => {
    const { world, store } = await stored()
    const [forward, provider] = [await world.join('forward'), await world.join('tenant')]
    store.hold()
    const changes = [
      world.relay.changeToken(idOf(world, 'forward'), { enabled: false }),
      world.relay.removeToken('tenant'),
    ]
    await settle()
    expect([forward.closed, provider.closed, world.openPorts.size]).toEqual([undefined, undefined, 1])
    store.letGo()
    await Promise.all(changes)
    await settle()
    expect([forward.closed, provider.closed, world.openPorts.size]).toEqual([{ code: 1000 }, { code: 1000 }, 0])
  })

  it('does not bring back a token that its provider took away while it was being changed', async () => {
    const { world, store } = await stored()
    await world.relay.addToken({ type: 'reverse', token: 'owner', allowManageConnector: true })
    const provider = await world.join('owner', { instance: uuid() })
    await provider.send(encodeConnector({ requestId: uuid(), token: 'mine', operation: 1 }))
    const id = idOf(world, 'mine')
    store.hold()
    const adding = world.relay.addToken({ type: 'forward' })
    const changing = code(world.relay.changeToken(id, { label: 'mine' }))
    const removing = code(world.relay.removeTokenById(id))
    await provider.send(encodeConnector({ requestId: uuid(), token: 'mine', operation: 2 }))
    store.letGo()
    await adding
    expect([await changing, await removing]).toEqual(['ERR_TOKEN_NOT_FOUND', 'ERR_TOKEN_NOT_FOUND'])
  })

  it('forgets what a change brought when the token’s time is over before it is written', async () => {
    const { world, store } = await stored()
    await world.relay.changeToken(idOf(world, 'forward'), { expiresAt: world.clock.wallTime() + 1_000 })
    const peer = await world.join('forward')
    store.hold()
    const changing = world.relay.changeToken(idOf(world, 'forward'), { expiresAt: world.clock.wallTime() + 2_000 })
    await world.clock.advanceAsync(5_000)
    expect(peer.closed).toEqual({ code: 1000 })
    store.letGo()
    expect(await changing).toMatchObject({ state: 'expired' })
    expect(isAdmitted(await world.join('forward'))).toBe(false)
    expect(world.clock.pending).toBe(0)
  })
})

describe('closing a relay while the store writes', () => {
  it('waits for what is being written, refuses what waits behind it, and closes the store last', async () => {
    const { world, store } = await stored()
    store.hold()
    const ends = [
      code(world.relay.addToken({ type: 'forward', token: 'new' })),
      code(world.relay.addToken({ type: 'forward', token: 'late' })),
      code(world.relay.changeToken(idOf(world, 'forward'), { label: 'late' })),
      code(world.relay.removeToken('member')),
    ]
    await settle()
    let closed = false
    const closing = Promise.all([world.relay.close(), world.relay.close()]).then(() => {
      closed = true
    })
    await world.clock.advanceAsync(60_000)
    expect([closed, store.closed]).toEqual([false, 0])
    store.letGo()
    await closing
    expect(await Promise.all(ends)).toEqual(['done', 'ERR_SHUTTING_DOWN', 'ERR_SHUTTING_DOWN', 'ERR_SHUTTING_DOWN'])
    expect(store.tokens).toEqual(['tenant', 'member', 'forward', 'new'])
    expect(store.closed).toBeGreaterThan(0)
  })

  it.each([
    [
      'an addition',
      (world: World) =>
        world.relay.addToken({ type: 'reverse', token: 'new', expiresAt: world.clock.wallTime() + 9_000 }),
    ],
    [
      'a change',
      (world: World) =>
        world.relay.changeToken(idOf(world, 'tenant'), { label: 'x', expiresAt: world.clock.wallTime() + 9_000 }),
    ],
    ['a removal', (world: World) => world.relay.removeToken('tenant')],
  ])('leaves no port open and no timer after %s', async (_, act) => {
    const { world, store } = await stored({ socksNowait: true })
    store.hold()
    const acting = act(world)
    await settle()
    const closing = world.relay.close()
    await settle()
    store.letGo()
    await Promise.all([acting, closing])
    await world.clock.advanceAsync(30_000)
    expect([[...world.openPorts.keys()], world.clock.pending]).toEqual([[], 0])
  })
})
