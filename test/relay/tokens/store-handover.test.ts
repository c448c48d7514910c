import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { DRAIN_SHOW_MS } from '../../../src/relay/tokens/store-handover.js'
import { LEFT_LOOK_MS } from '../../../src/relay/tokens/usage-intake.js'
import { QUOTA_WRITE_MS, USAGE_WRITE_MS } from '../../../src/relay/tokens/usage-keeper.js'
import { settle } from '../../support/manual-clock.js'
import { MemoryHandover } from '../../support/memory-handover.js'
import { memoryStreamPair } from '../../support/memory-stream.js'
import { TestPeer } from '../../support/test-peer.js'
import { World } from '../world.js'
import { ScriptedStore } from './scripted-store.js'

const QUOTA = { quota: { bytes: 1_000_000, period: 'total' } } as const
const LIMITS = { limitMs: 600_000, idleMs: 600_000 }

/** A relay with one token and a stream through it, whose store is one of several processes. */
async function begin(policy: typeof QUOTA | null = QUOTA) {
  const store = new ScriptedStore()
  const files = new MemoryHandover()
  store.files = files
  const old = new World({ store })
  await old.relay.restore([])
  await old.relay.addToken({ type: 'forward', token: 'one', ...(policy && { policy }) })
  const { dialer } = await old.joinSession('one', {})
  const dialled = dialer.dial({ host: '192.0.2.9', port: 80 })
  await settle()
  const [near, far] = memoryStreamPair()
  old.dials.pending.at(-1)?.resolve(near)
  const there = new TestPeer(far)
  const here = new TestPeer(await dialled)
  const send = async (bytes: number): Promise<void> => {
    const before = there.receivedBytes
    here.write(new Uint8Array(bytes))
    await settle()
    expect(there.receivedBytes - before).toBe(bytes)
  }
  return { store, files, old, send, clock: old.clock }
}

/** Begins to drain, and settles when the store is free. */
async function release({ relay, clock }: World): Promise<void> {
  void relay.drain(LIMITS)
  await clock.advanceAsync(0)
}

async function next({ store, clock }: { store: ScriptedStore; clock: World['clock'] }) {
  const later = store.restarted()
  const world = new World({ store: later, clock })
  await world.relay.restore([])
  return { world, store: later, used: () => usedOf(world) }
}

const usedOf = ({ relay }: World): number | undefined => relay.tokenUsage(relay.tokenId('one') ?? '')?.total.up

describe('a relay that drains', () => {
  it('writes what was used, closes the store, and refuses changes from then on', async () => {
    const { old, store, send } = await begin()
    await send(1_000)
    await release(old)
    expect([store.closed, [...store.usage.values()].map(({ total }) => total)]).toEqual([1, [[1_000, 0]]])
    const id = old.relay.tokenId('one') ?? ''
    const changes = [
      old.relay.addToken({ type: 'forward', token: 'two' }),
      old.relay.changeToken(id, { label: 'x' }),
      old.relay.removeToken('one'),
      old.relay.resetUsage(id),
      old.relay.changeAccess({ dial: [] }),
    ]
    for (const change of changes) await expect(change).rejects.toMatchObject({ code: 'ERR_SHUTTING_DOWN' })
    expect(old.relay.tokenInfo(id)).toMatchObject({ label: undefined })
    await old.relay.close()
    expect(store.closed).toBeGreaterThan(0)
  })

  it('lets a change that is under way finish first', async () => {
    const { old, store, clock } = await begin()
    store.hold()
    const added = old.relay.addToken({ type: 'forward', token: 'two' })
    await settle()
    await release(old)
    expect(store.closed).toBe(0)
    store.letGo()
    await added
    await clock.advanceAsync(0)
    expect([store.closed, store.tokens]).toEqual([1, ['one', 'two']])
    await old.relay.close()
  })

  it('leaves what counters grow by within the time they may wait, and the rest at its end', async () => {
    const { old, files, send, clock } = await begin()
    await send(1_000)
    await release(old)
    await send(20)
    await clock.advanceAsync(QUOTA_WRITE_MS)
    const growth = { ...totals(20), days: { '2026-01-01': [20, 0] }, months: { '2026-01': [20, 0] } }
    expect([...files.files.values()].map((file) => Object.values(file))).toEqual([[growth]])
    // nothing came: nothing is left
    await clock.advanceAsync(USAGE_WRITE_MS)
    expect(files.files.size).toBe(1)
    await send(3)
    await old.relay.close()
    expect([...files.files.values()].map((file) => Object.values(file)[0])).toMatchObject([totals(20), totals(3)])
    expect(await files.draining()).toEqual([])
  })

  it('leaves it seldom without a quota', async () => {
    const { old, files, send, clock } = await begin(null)
    void old.relay.drain({ limitMs: 2 * USAGE_WRITE_MS, idleMs: 2 * USAGE_WRITE_MS })
    await clock.advanceAsync(0)
    await send(20)
    await clock.advanceAsync(USAGE_WRITE_MS - 1)
    expect(files.files.size).toBe(0)
    await clock.advanceAsync(1)
    expect(files.files.size).toBe(1)
    await old.relay.close()
  })

  it('tries again while it can not be left, with an alarm, and loses nothing of it', async () => {
    const { old, files, send, clock } = await begin()
    await release(old)
    files.failing = true
    await send(20)
    await clock.advanceAsync(QUOTA_WRITE_MS)
    expect(old.relay.alarms.active).toMatchObject([{ code: 'not-stored', subject: 'usage' }])
    await send(3)
    files.failing = false
    await clock.advanceAsync(QUOTA_WRITE_MS)
    expect(old.relay.alarms.active).toEqual([])
    expect([...files.files.values()].map((file) => Object.values(file)[0])).toMatchObject([totals(23)])
    await old.relay.close()
  })

  it('drains on where nothing can be written', async () => {
    const { old, files, store, send, clock } = await begin()
    files.failing = true
    const drained = old.relay.drain({ limitMs: 10_000, idleMs: 10_000 })
    await clock.advanceAsync(0)
    await send(20)
    expect(store.closed).toBe(1)
    await clock.advanceAsync(10_000)
    await drained
    await old.relay.close()
    expect(old.logText).toContain('store.no-drain-record')
  })

  it('leaves what it counted once it can, though nothing could be written at its beginning', async () => {
    const { old, files, send } = await begin()
    files.failing = true
    await release(old)
    await send(20)
    files.failing = false
    await old.relay.close()
    expect([...files.files.values()].map((file) => Object.values(file)[0])).toMatchObject([totals(20)])
  })

  it('shows how far it is each second, until it ends', async () => {
    const { old, files, clock } = await begin()
    const drained = old.relay.drain(LIMITS)
    await clock.advanceAsync(0)
    expect(files.drains).toMatchObject([
      { until: clock.wallTime() + LIMITS.limitMs, clients: 1, streams: 1, ended: false },
    ])
    for (const client of old.relay.clients()) old.relay.disconnect(client.id)
    await clock.advanceAsync(DRAIN_SHOW_MS)
    await drained
    expect(files.drains).toMatchObject([{ clients: 0, streams: 0, ended: false }])
    await old.relay.close()
    expect(files.drains).toMatchObject([{ ended: true }])
    const { pending } = clock
    await clock.advanceAsync(10 * DRAIN_SHOW_MS)
    expect(clock.pending).toBe(pending)
  })
})

describe('the relay after one that drains', () => {
  it('begins with what that had used, takes in the rest as it comes, and lists it', async () => {
    const scene = await begin()
    const { old, files, send, clock } = scene
    await send(1_000)
    await release(old)
    const later = await next(scene)
    expect([later.used(), await later.world.relay.drainingProcesses()]).toEqual([
      1_000,
      [expect.objectContaining({ streams: 1 })],
    ])
    await send(20)
    await clock.advanceAsync(QUOTA_WRITE_MS + LEFT_LOOK_MS)
    expect([later.used(), files.files.size]).toEqual([1_020, 0])
    expect([...later.store.usage.values()]).toMatchObject([totals(1_020)])
    await send(3)
    await old.relay.close()
    await clock.advanceAsync(LEFT_LOOK_MS)
    expect([later.used(), files.files.size, await later.world.relay.drainingProcesses()]).toEqual([1_023, 0, []])
    // nobody drains any more, so nothing is looked for
    await later.world.relay.close()
    expect(clock.pending).toBe(0)
  })

  it('ends streams when the quota is used up by both together', async () => {
    const scene = await begin()
    const { old, send, clock } = scene
    await send(100_000)
    await release(old)
    const later = await next(scene)
    const told: string[] = []
    later.world.relay.events.subscribe(({ event }) => void told.push(event.type))
    // the window of one stream is the limit of a write here
    for (let part = 0; part < 9; part += 1) {
      await send(100_000)
      await clock.advanceAsync(QUOTA_WRITE_MS + LEFT_LOOK_MS)
    }
    expect(later.used()).toBe(1_000_000)
    expect(told).toContain('policy.quota-used-up')
    await Promise.all([old.relay.close(), later.world.relay.close()])
  })

  it.each([
    ['removed', (world: World) => world.relay.removeToken('one')],
    ['switched off', (world: World) => world.relay.changeToken(world.relay.tokenId('one') ?? '', { enabled: false })],
  ] as const)('has the streams of a token ended that is %s, and keeps those of others', async (_, change) => {
    const scene = await begin()
    const { old, clock, files } = scene
    await old.relay.addToken({ type: 'forward', token: 'two' })
    await old.joinSession('two', {})
    await release(old)
    const later = await next(scene)
    await change(later.world)
    // what stays as it is is nobody's end
    await later.world.relay.changeToken(later.world.relay.tokenId('two') ?? '', { label: 'x' })
    await clock.advanceAsync(DRAIN_SHOW_MS)
    expect([...old.relay.streams()]).toEqual([])
    expect(old.logText.match(/token\.shut/g)).toHaveLength(1)
    await old.relay.close()
    await clock.advanceAsync(LEFT_LOOK_MS)
    expect(files.ended.size).toBe(0)
    await later.world.relay.close()
  })

  it('tells nobody of tokens that end where nobody drains', async () => {
    const scene = await begin()
    await scene.old.relay.removeToken('one')
    expect(scene.files.ended.size).toBe(0)
    await scene.old.relay.close()
  })

  it('goes on where it can not tell', async () => {
    const scene = await begin()
    const { old, files } = scene
    await release(old)
    const later = await next(scene)
    files.failing = true
    await later.world.relay.removeToken('one')
    await settle()
    expect(later.world.logText).toContain('token.end-not-told')
    files.failing = false
    await Promise.all([old.relay.close(), later.world.relay.close()])
  })

  it('finds at the next start what was left when nobody was there', async () => {
    const scene = await begin()
    const { old, files, send, clock } = scene
    await release(old)
    await send(20)
    await clock.advanceAsync(QUOTA_WRITE_MS)
    // and what came after that is lost with the process
    await send(3)
    const later = await next(scene)
    expect([later.used(), files.files.size]).toEqual([20, 0])
    await Promise.all([old.relay.close(), later.world.relay.close()])
  })

  it('counts what was left once, though its process ended before the file was gone', async () => {
    const scene = await begin()
    const { old, files, send, clock } = scene
    await release(old)
    await send(20)
    await old.relay.close()
    files.keeping = true
    const killed = await next(scene)
    expect([killed.used(), files.files.size]).toEqual([20, 1])
    files.keeping = false
    const later = await next({ store: killed.store, clock })
    expect([later.used(), files.files.size]).toEqual([20, 0])
    await Promise.all([killed.world.relay.close(), later.world.relay.close()])
  })

  it('adds once what it can not write at first, and keeps the file until then', async () => {
    const scene = await begin()
    const { old, files, send, clock } = scene
    await release(old)
    await send(20)
    await old.relay.close()
    const later = scene.store.restarted()
    later.failing = true
    const world = new World({ store: later, clock })
    await world.relay.restore([])
    await clock.advanceAsync(3 * LEFT_LOOK_MS)
    expect([usedOf(world), files.files.size]).toEqual([20, 1])
    later.failing = false
    await clock.advanceAsync(LEFT_LOOK_MS)
    expect([usedOf(world), files.files.size, [...later.usage.values()]]).toMatchObject([20, 0, [totals(20)]])
    expect(world.logText.match(/usage\.not-taken/g)).toHaveLength(1)
    await world.relay.close()
  })

  it('is there once for the next one, though what was taken in is written only by the end of this one', async () => {
    const scene = await begin()
    const { old, files, send, clock } = scene
    await release(old)
    await send(20)
    await old.relay.close()
    const second = scene.store.restarted()
    second.failing = true
    const world = new World({ store: second, clock })
    await world.relay.restore([])
    second.failing = false
    void world.relay.drain(LIMITS)
    await clock.advanceAsync(0)
    expect([second.closed, [...second.usage.values()], files.files.size]).toMatchObject([1, [totals(20)], 1])
    const third = await next({ store: second, clock })
    expect([third.used(), files.files.size]).toEqual([20, 0])
    await Promise.all([world.relay.close(), third.world.relay.close()])
  })

  it('takes nothing more before what it took last is written, and its file is gone', async () => {
    const scene = await begin()
    const { old, files, send, clock } = scene
    await release(old)
    await send(20)
    await clock.advanceAsync(QUOTA_WRITE_MS)
    await send(3)
    await old.relay.close()
    expect(files.files.size).toBe(2)
    const store = scene.store.restarted()
    store.failing = true
    files.keeping = true
    const world = new World({ store, clock })
    await world.relay.restore([])
    expect(usedOf(world)).toBe(20)
    store.failing = false
    await clock.advanceAsync(3 * LEFT_LOOK_MS)
    expect([usedOf(world), [...store.usage.values()], files.files.size]).toMatchObject([20, [totals(20)], 2])
    // this one is killed, and the next one can remove files
    const killed = store.restarted()
    files.keeping = false
    const later = new World({ store: killed, clock })
    await later.relay.restore([])
    expect([usedOf(later), [...killed.usage.values()], files.files.size]).toMatchObject([23, [totals(23)], 0])
    expect(world.logText.match(/usage\.not-taken/g)?.length).toBeLessThanOrEqual(2)
    await Promise.all([world.relay.close(), later.relay.close()])
  })

  it('looks again after the files could not be listed, and says so once', async () => {
    const scene = await begin()
    const { old, files, send, clock } = scene
    await release(old)
    await send(20)
    await old.relay.close()
    const list = files.left.bind(files)
    files.left = () => Promise.reject(new LinkSocksError('ERR_STORE', 'too many open files'))
    const later = await next(scene)
    await clock.advanceAsync(3 * LEFT_LOOK_MS)
    expect(later.used()).toBe(0)
    files.left = list
    await clock.advanceAsync(LEFT_LOOK_MS)
    expect([later.used(), files.files.size]).toEqual([20, 0])
    expect(later.world.logText.match(/usage\.not-taken/g)).toHaveLength(1)
    await later.world.relay.close()
  })

  it('counts growth in the days and months in which it was counted', async () => {
    const scene = await begin()
    const { old, send, clock } = scene
    await send(1)
    await release(old)
    const midnight = Date.UTC(2026, 1, 1)
    clock.epoch = midnight - clock.now() - 1_000
    await send(10)
    await clock.advanceAsync(1_000)
    await send(100)
    await old.relay.close()
    const later = await next(scene)
    const [usage] = [...later.store.usage.values()]
    expect(usage).toMatchObject({
      total: [111, 0],
      days: { '2026-01-01': [1, 0], '2026-01-31': [10, 0], '2026-02-01': [100, 0] },
      months: { '2026-01': [11, 0], '2026-02': [100, 0] },
    })
    await later.world.relay.close()
  })

  it('writes what a sleeping token used once that is awake, if it could not before', async () => {
    const scene = await begin()
    const { old, send, clock } = scene
    await release(old)
    await send(20)
    await old.relay.close()
    const store = scene.store.restarted()
    store.failing = true
    const world = new World({ store, clock })
    await world.relay.restore([{ type: 'forward', token: 'one' }])
    await clock.advanceAsync(LEFT_LOOK_MS)
    await world.relay.removeToken('one').catch(() => {})
    store.failing = false
    await clock.advanceAsync(LEFT_LOOK_MS)
    expect([...store.usage.values()]).toMatchObject([totals(20)])
    await world.relay.close()
  })

  it('keeps what a token used that sleeps now, and forgets that of one that was removed', async () => {
    const scene = await begin()
    const { old, store, send, clock } = scene
    await release(old)
    await send(20)
    await old.relay.close()
    const sleeping = store.restarted()
    const world = new World({ store: sleeping, clock })
    await world.relay.restore([{ type: 'forward', token: 'one' }])
    expect([usedOf(world), [...sleeping.usage.values()]]).toMatchObject([0, [totals(20)]])
    await world.relay.close()
    const awake = await next({ store: sleeping, clock })
    expect(awake.used()).toBe(20)
    await awake.world.relay.close()
  })

  it('hands over in turn while the one before it still drains', async () => {
    const scene = await begin()
    const { old, files, send, clock } = scene
    await release(old)
    const second = await next(scene)
    await send(20)
    void second.world.relay.drain(LIMITS)
    await clock.advanceAsync(0)
    const third = await next({ store: second.store, clock })
    expect(await third.world.relay.drainingProcesses()).toHaveLength(2)
    await old.relay.close()
    await second.world.relay.close()
    await clock.advanceAsync(LEFT_LOOK_MS)
    expect([third.used(), files.files.size, await third.world.relay.drainingProcesses()]).toEqual([20, 0, []])
    await third.world.relay.close()
  })
})

const totals = (up: number) => ({ total: [up, 0] })
