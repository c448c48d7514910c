import { describe, expect, it } from 'vitest'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import { encodeConnect, encodeDataHead, MessageType } from '../../../src/protocol/messages.js'
import type { QuotaEvent } from '../../../src/relay/observe/event-log.js'
import { QUOTA_WRITE_MS, USAGE_WRITE_MS } from '../../../src/relay/tokens/usage-keeper.js'
import { settle } from '../../support/manual-clock.js'
import { memoryStreamPair } from '../../support/memory-stream.js'
import { concat, TestPeer } from '../../support/test-peer.js'
import { countOf, idOf, joinResumable, lose, wentOn } from '../admission/resume-peers.js'
import { MODES } from '../observe/stream-scene.js'
import { PolicyScene } from '../policies/policy-scene.js'
import { accept } from '../splice/channels.js'
import { ScriptedStore } from '../tokens/scripted-store.js'
import { uuid, World } from '../world.js'

const quota = (bytes: number, period: 'day' | 'month' | 'total' = 'month'): TokenPolicy => ({
  quota: { bytes, period },
})

/** As it is refused here, or at the far end. */
const USED_UP = /^(far end: )?quota used up/

async function stream(scene: PolicyScene): Promise<{ near: TestPeer; far: TestPeer }> {
  const near = await scene.open('192.0.2.9')
  const far = scene.network.far.at(-1)
  if (far === undefined) throw new Error('nothing was connected')
  return { near, far: new TestPeer(far) }
}

function quotaEvents(scene: PolicyScene): string[] {
  const seen: string[] = []
  scene.world.relay.events.subscribe(({ event }) => {
    if (event.type.startsWith('policy.quota')) seen.push(`${event.type} ${(event as QuotaEvent).used}`)
  })
  return seen
}

describe.each(MODES)('quota of a token in %s mode', (mode) => {
  it('ends streams within a second when it is used up, with the reason, and refuses new ones until it ends', async () => {
    const scene = await PolicyScene.begin(mode, quota(10_000))
    const told = quotaEvents(scene)
    const [one, idle] = [await stream(scene), await stream(scene)]
    one.far.write(new Uint8Array(50_000))
    await scene.clock.advanceAsync(1_000)
    expect([one.near.receivedBytes, one.near.events.at(-1), idle.near.events.at(-1)]).toEqual([
      10_000,
      'error',
      'error',
    ])
    expect(await scene.refusal('192.0.2.9')).toMatch(/^(far end: )?quota used up until 2026-02-01 00:00 UTC/)
    expect(told).toEqual(['policy.quota-used-up 10000'])
    expect(scene.refused).toEqual({ quota: 3 })
    const usage = scene.world.relay.tokenUsage(scene.subject)
    expect(usage).toMatchObject({
      total: { up: 0, down: 10_000 },
      refusals: { quota: 3 },
      quota: { used: 10_000, usedUp: true },
    })
    // the client is there, and goes on as soon as it may
    scene.clock.epoch = Date.UTC(2026, 1, 1)
    const { near, far } = await stream(scene)
    far.write(new Uint8Array(100))
    await settle()
    await scene.clock.advanceAsync(10)
    expect(near.receivedBytes).toBe(100)
  })

  it('lets streams go on at once when it is raised or reset', async () => {
    const scene = await PolicyScene.begin(mode, quota(1_000, 'total'))
    const first = await stream(scene)
    first.near.write(new Uint8Array(2_000))
    await scene.clock.advanceAsync(10)
    expect([first.far.receivedBytes, await scene.refusal('192.0.2.9')]).toEqual([1_000, expect.stringMatching(USED_UP)])
    await scene.change(quota(1_500, 'total'))
    const second = await stream(scene)
    second.near.write(new Uint8Array(1_000))
    await scene.clock.advanceAsync(10)
    expect([second.far.receivedBytes, await scene.refusal('192.0.2.9')]).toEqual([500, expect.stringMatching(USED_UP)])
    await scene.world.relay.resetUsage(scene.subject)
    const third = await stream(scene)
    third.near.write(new Uint8Array(1_200))
    await scene.clock.advanceAsync(10)
    expect(third.far.receivedBytes).toBe(1_200)
  })

  it('ends what runs when it is set to less than was used', async () => {
    const scene = await PolicyScene.begin(mode)
    const { near, far } = await stream(scene)
    near.write(new Uint8Array(5_000))
    await scene.clock.advanceAsync(10)
    expect(far.receivedBytes).toBe(5_000)
    await scene.change(quota(4_000))
    await scene.clock.advanceAsync(500)
    expect(near.events.at(-1)).toBe('error')
  })

  it('counts what an association carries', async () => {
    const scene = await PolicyScene.begin(mode, quota(2_500))
    const socket = await scene.dialer.associate()
    let closed = 0
    socket.start({ datagram: () => {}, close: () => (closed += 1) })
    await settle()
    for (let index = 0; index < 5; index += 1) socket.send(new Uint8Array(1_000), { host: '192.0.2.9', port: 53 })
    await scene.clock.advanceAsync(100)
    const sent = scene.network.udp.sockets.flatMap(({ sent: all }) => all).length
    expect([sent, scene.world.relay.tokenUsage(scene.subject)?.total.up]).toEqual([2, 2_000])
  })
})

describe('quota of a reverse token', () => {
  it('holds for its connector tokens together, and theirs for each', async () => {
    const scene = await PolicyScene.begin('agent', quota(3_000), { reversePolicy: quota(5_000) })
    const { relay } = scene.world
    await relay.addToken({ type: 'connector', token: 'second', reverseToken: 'tenant' })
    const { near, far } = await stream(scene)
    near.write(new Uint8Array(4_000))
    await scene.clock.advanceAsync(10)
    expect(far.receivedBytes).toBe(3_000)
    const other = await scene.world.joinSession('second', {})
    const second = new TestPeer(await other.dialer.dial({ host: '192.0.2.9', port: 80 }))
    await settle()
    second.write(new Uint8Array(4_000))
    const last = scene.network.far.at(-1)
    const there = last && new TestPeer(last)
    await scene.clock.advanceAsync(10)
    expect([there?.receivedBytes, second.events.at(-1)]).toEqual([2_000, 'error'])
    expect(relay.tokenUsage(relay.tokenId('tenant') ?? '')?.total.up).toBe(5_000)
    expect(await scene.refusal('192.0.2.9')).toMatch(/^far end: quota used up until/)
  })
})

describe('quota of a token', () => {
  it('ends a stream whose next message needs more than is left and can not be divided', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'tenant', policy: quota(1_500, 'total') })
    await world.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant' })
    const [provider, connector] = [await world.join('tenant', { reverse: true }), await world.join('member')]
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 1, channelId: id, target: { host: '192.0.2.9', port: 80 } }))
    await provider.send(accept(id))
    const odd = concat(encodeDataHead(id, 1_000, 0x55), new Uint8Array(1_000))
    await connector.send(odd, odd)
    await world.clock.advanceAsync(100)
    expect(provider.of(MessageType.Data)).toHaveLength(1)
    expect(connector.of(MessageType.Disconnect)[0]?.error).toMatch(/less of the quota is left/)
  })

  it('drops and counts a datagram that it has too little left for, and lets smaller ones pass', async () => {
    for (const mode of MODES) {
      const scene = await PolicyScene.begin(mode, quota(1_500, 'total'))
      const socket = await scene.dialer.associate()
      socket.start({ datagram: () => {}, close: () => {} })
      await settle()
      for (const size of [1_000, 1_000, 60, 60]) socket.send(new Uint8Array(size), { host: '192.0.2.9', port: 53 })
      await scene.clock.advanceAsync(100)
      const sent = scene.network.udp.sockets.flatMap(({ sent: all }) => all).length
      const usage = scene.world.relay.tokenUsage(scene.subject)
      expect([mode, sent, usage?.droppedDatagrams, usage?.total.up]).toEqual([mode, 3, 1, 1_120])
    }
  })

  it('counts once what a session sends again after the loss of its link', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'tenant', policy: quota(100_000) })
    await world.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant' })
    const provider = await world.join('tenant', { reverse: true })
    const connector = await joinResumable(world, 'member')
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 1, channelId: id, target: { host: '192.0.2.9', port: 80 } }))
    await provider.send(accept(id))
    const data = (bytes: number): Uint8Array => concat(encodeDataHead(id, bytes), new Uint8Array(bytes))
    await connector.send(data(1_000))
    const received = countOf(connector)
    // the link takes it and is lost before it has come
    await provider.send(data(3_000))
    await lose(connector)
    await provider.send(data(500))
    const again = await joinResumable(world, 'member', { id: idOf(connector), received })
    expect(wentOn(again)).toBe(true)
    await again.send(data(2_000))
    expect(again.of(MessageType.Data).map((message) => message.data.byteLength)).toEqual([3_000, 500])
    const usage = world.relay.tokenUsage(world.relay.tokenId('tenant') ?? '')
    expect([usage?.total, usage?.quota?.used]).toEqual([{ up: 3_000, down: 3_500 }, 6_500])
  })

  it('is told of in each period anew', async () => {
    const scene = await PolicyScene.begin('forward', quota(1_000, 'day'))
    const told = quotaEvents(scene)
    for (let day = 0; day < 2; day += 1) {
      const { near, far } = await stream(scene)
      near.write(new Uint8Array(5_000))
      await scene.clock.advanceAsync(100)
      expect([far.receivedBytes, near.events.at(-1)]).toEqual([1_000, 'error'])
      scene.clock.epoch += 86_400_000
    }
    expect(told).toEqual(['policy.quota-used-up 1000', 'policy.quota-used-up 1000'])
  })
})

describe('what a token used', () => {
  async function begin(store: ScriptedStore, clock?: World['clock']) {
    const world = new World({ store, ...(clock && { clock }) })
    await world.relay.restore([])
    return world
  }

  /** Sends so many bytes through a forward token. */
  async function use(world: World, token: string, bytes: number): Promise<void> {
    const { dialer } = await world.joinSession(token, {})
    const dialled = dialer.dial({ host: '192.0.2.9', port: 80 })
    await settle()
    const [near, far] = memoryStreamPair()
    world.dials.pending.at(-1)?.resolve(near)
    const there = new TestPeer(far)
    new TestPeer(await dialled).write(new Uint8Array(bytes))
    await settle()
    expect(there.receivedBytes).toBe(bytes)
  }

  it('is written at most 5 s after it was counted, all tokens at once, where there is a quota', async () => {
    const store = new ScriptedStore()
    const world = await begin(store)
    for (const token of ['one', 'two']) await world.relay.addToken({ type: 'forward', token, policy: quota(100_000) })
    store.asked.length = 0
    await use(world, 'one', 1_000)
    await use(world, 'two', 2_000)
    await world.clock.advanceAsync(QUOTA_WRITE_MS)
    expect(store.asked.map(({ usage }) => Object.values(usage ?? {}).map(({ total }) => total))).toEqual([
      [
        [1_000, 0],
        [2_000, 0],
      ],
    ])
    const later = await begin(store.restarted(), world.clock)
    const used = ['one', 'two'].map((token) => later.relay.tokenUsage(later.relay.tokenId(token) ?? '')?.quota?.used)
    expect(used).toEqual([1_000, 2_000])
  })

  it('is written seldom without a quota, and when the server ends', async () => {
    const store = new ScriptedStore()
    const world = await begin(store)
    await world.relay.addToken({ type: 'forward', token: 'one' })
    store.asked.length = 0
    await use(world, 'one', 1_000)
    await world.clock.advanceAsync(USAGE_WRITE_MS - 100)
    expect(store.asked).toEqual([])
    await world.clock.advanceAsync(100)
    expect(store.asked).toHaveLength(1)
    await use(world, 'one', 500)
    await world.relay.close()
    expect([...store.usage.values()].map(({ total }) => total)).toEqual([[1_500, 0]])
  })

  it('is tried again when it can not be written, with an alarm meanwhile', async () => {
    const store = new ScriptedStore()
    const world = await begin(store)
    await world.relay.addToken({ type: 'forward', token: 'one', policy: quota(100_000) })
    store.failing = true
    await use(world, 'one', 1_000)
    await world.clock.advanceAsync(2 * QUOTA_WRITE_MS)
    expect(world.relay.alarms.active.map(({ code, subject }) => [code, subject])).toEqual([['not-stored', 'usage']])
    store.failing = false
    await world.clock.advanceAsync(QUOTA_WRITE_MS)
    expect([world.relay.alarms.active, store.usage.size]).toEqual([[], 1])
  })

  it('goes with the token', async () => {
    const store = new ScriptedStore()
    const world = await begin(store)
    await world.relay.addToken({ type: 'forward', token: 'one', policy: quota(100_000) })
    const id = world.relay.tokenId('one') ?? ''
    await use(world, 'one', 1_000)
    await world.relay.removeToken('one')
    await world.clock.advanceAsync(USAGE_WRITE_MS)
    expect([store.usage.size, world.relay.tokenUsage(id)]).toEqual([0, undefined])
    await expect(world.relay.resetUsage(id)).rejects.toMatchObject({ code: 'ERR_TOKEN_NOT_FOUND' })
  })

  it('is reset on disk before that is answered', async () => {
    const store = new ScriptedStore()
    const world = await begin(store)
    await world.relay.addToken({ type: 'forward', token: 'one', policy: quota(100_000) })
    await use(world, 'one', 1_000)
    await world.clock.advanceAsync(QUOTA_WRITE_MS)
    const reset = await world.relay.resetUsage(world.relay.tokenId('one') ?? '')
    expect([reset.total, [...store.usage.values()].map(({ total }) => total)]).toEqual([{ up: 0, down: 0 }, [[0, 0]]])
  })

  it('stays where the reset of it can not be written', async () => {
    const store = new ScriptedStore()
    const world = await begin(store)
    await world.relay.addToken({ type: 'forward', token: 'one', policy: quota(100_000) })
    const id = world.relay.tokenId('one') ?? ''
    await use(world, 'one', 1_000)
    store.failing = true
    await expect(world.relay.resetUsage(id)).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
    expect(world.relay.tokenUsage(id)?.total.up).toBe(1_000)
    store.failing = false
    expect((await world.relay.resetUsage(id)).total.up).toBe(0)
  })

  it('is written at once when it is all of a quota', async () => {
    const store = new ScriptedStore()
    const world = await begin(store)
    await world.relay.addToken({ type: 'forward', token: 'one', policy: quota(1_000) })
    await use(world, 'one', 1_000)
    await world.clock.advanceAsync(1)
    expect([...store.usage.values()].map(({ total }) => total)).toEqual([[1_000, 0]])
  })

  it('begins with the token, and what was refused goes with it', async () => {
    const world = await begin(new ScriptedStore())
    await world.relay.addToken({ type: 'forward', token: 'one', policy: { maxStreams: 0 } })
    const id = world.relay.tokenId('one') ?? ''
    const created = world.clock.wallTime()
    await world.clock.advanceAsync(5_000)
    const { dialer } = await world.joinSession('one', {})
    await expect(dialer.dial({ host: '192.0.2.9', port: 80 })).rejects.toThrow()
    expect(world.relay.tokenUsage(id)).toMatchObject({ since: created, refusals: { streams: 1 } })
    await world.relay.removeToken('one')
    expect(world.relay.tokenUsage(id)).toBe(undefined)
  })

  it('shows the rate of the last seconds', async () => {
    const scene = await PolicyScene.begin('forward', { rate: { down: 50_000, burst: 1_000 } })
    const { far } = await stream(scene)
    far.write(new Uint8Array(1_000_000))
    await scene.clock.advanceAsync(10_000)
    const rate = scene.world.relay.tokenUsage(scene.subject)?.rate
    expect(Math.abs((rate?.down ?? 0) - 50_000)).toBeLessThanOrEqual(2_500)
    expect(rate?.up).toBe(0)
  })
})
