import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { nodeCrypto } from '../../../src/node/system/crypto.js'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import type { DatagramHandler } from '../../../src/ports.js'
import {
  DATA_HEAD_BYTES,
  encodeConnect,
  encodeDatagram,
  encodeDataHead,
  encodeDisconnect,
  MessageType,
} from '../../../src/protocol/messages.js'
import { pattern } from '../../contract/pattern.js'
import { settle } from '../../support/manual-clock.js'
import { concat, TestPeer } from '../../support/test-peer.js'
import { MODES } from '../observe/stream-scene.js'
import { PolicyScene } from '../policies/policy-scene.js'
import { accept } from '../splice/channels.js'
import { uuid, World } from '../world.js'

const MBIT = 125_000
const BURST = 65_536
const KIB = 1_024

/** The far end of the stream that was opened last. */
function farOf({ network }: PolicyScene, options?: ConstructorParameters<typeof TestPeer>[1]): TestPeer {
  const far = network.far.at(-1)
  if (far === undefined) throw new Error('nothing was connected')
  return new TestPeer(far, options)
}

async function stream(scene: PolicyScene): Promise<{ near: TestPeer; far: TestPeer }> {
  const near = await scene.open('192.0.2.9')
  return { near, far: farOf(scene) }
}

/** Peers of the wire without stream control, at a reverse token with this policy and a connector token. */
async function agents(policy: TokenPolicy) {
  const world = new World()
  await world.relay.addToken({ type: 'reverse', token: 'tenant', policy })
  await world.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant' })
  const [provider, connector] = [await world.join('tenant', { reverse: true }), await world.join('member')]
  return { world, provider, connector }
}

/** Lets time pass in steps, as between timers of other programs. */
async function pass(scene: PolicyScene, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 50) await scene.clock.advanceAsync(Math.min(50, left))
}

const sum = (peers: readonly TestPeer[]): number => peers.reduce((all, { receivedBytes }) => all + receivedBytes, 0)

describe.each(MODES)('rate of a token in %s mode', (mode) => {
  const begin = (rate: TokenPolicy['rate']): Promise<PolicyScene> => PolicyScene.begin(mode, { rate })

  it.each([
    ['down', 1],
    ['up', 1],
    ['down', 20],
    ['up', 20],
  ] as const)('holds within 5 %% over every 10 s behind the burst, %s, for %i streams', async (direction, count) => {
    const scene = await begin({ [direction]: MBIT })
    const streams = []
    for (let index = 0; index < count; index += 1) streams.push(await stream(scene))
    for (const { near, far } of streams) (direction === 'up' ? near : far).write(new Uint8Array(8_000_000 / count))
    const readers = streams.map(({ near, far }) => (direction === 'up' ? far : near))
    await pass(scene, 1_000)
    expect(sum(readers)).toBeLessThanOrEqual(BURST + 1.05 * MBIT)
    for (let turn = 0; turn < 3; turn += 1) {
      const before = readers.map(({ receivedBytes }) => receivedBytes)
      await pass(scene, 10_000)
      const gained = readers.map(({ receivedBytes }, index) => receivedBytes - (before[index] ?? 0))
      expect(Math.abs(sum(readers) - before.reduce((a, b) => a + b) - 10 * MBIT)).toBeLessThanOrEqual(0.05 * 10 * MBIT)
      expect(Math.min(...gained)).toBeGreaterThanOrEqual(0.9 * Math.max(...gained))
    }
  })

  it.each(['down', 'up'] as const)('holds for streams of 100 KiB one after another, %s', async (direction) => {
    const scene = await begin({ [direction]: MBIT })
    let received = 0
    const bySecond: number[] = []
    let current: { near: TestPeer; far: TestPeer } | undefined
    const reader = (): TestPeer | undefined => (direction === 'up' ? current?.far : current?.near)
    for (let step = 0; step < 31 * 20; step += 1) {
      if (current === undefined || (reader()?.receivedBytes ?? 0) >= 100 * KIB) {
        received += reader()?.receivedBytes ?? 0
        current?.near.stream.close()
        current?.far.stream.close()
        current = await stream(scene)
        const writer = direction === 'up' ? current.near : current.far
        writer.write(new Uint8Array(100 * KIB))
        writer.stream.end()
      }
      await scene.clock.advanceAsync(50)
      if (step % 20 === 19) bySecond.push(received + (reader()?.receivedBytes ?? 0))
    }
    for (let second = 0; second + 10 < bySecond.length; second += 1) {
      const gained = (bySecond[second + 10] ?? 0) - (bySecond[second] ?? 0)
      expect(Math.abs(gained - 10 * MBIT)).toBeLessThanOrEqual(0.05 * 10 * MBIT)
    }
  })

  it('loses and changes no byte', async () => {
    const scene = await begin({ up: 300_000, down: 200_000, streamDown: 150_000, burst: 10_000 })
    const { near, far } = await stream(scene)
    near.write(pattern(400_000, 1))
    far.write(pattern(300_000, 2))
    near.stream.end()
    far.stream.end()
    await pass(scene, 3_000)
    expect(Buffer.compare(far.buffered, pattern(400_000, 1))).toBe(0)
    expect(Buffer.compare(near.buffered, pattern(300_000, 2))).toBe(0)
    expect([near.events.at(-1), far.events.at(-1)]).toEqual(['close', 'close'])
  })

  it('holds a stream to its own rate, and leaves the others theirs', async () => {
    const scene = await begin({ down: 100_000, streamDown: 30_000, burst: 1_000 })
    const streams = [await stream(scene), await stream(scene), await stream(scene)]
    for (const { far } of streams) far.write(new Uint8Array(1_000_000))
    await pass(scene, 10_000)
    for (const { near } of streams) expect(Math.abs(near.receivedBytes - 300_000)).toBeLessThanOrEqual(10_000)
  })

  it('lets small messages past those of a bulk stream', async () => {
    const scene = await begin({ down: MBIT })
    const bulk = await stream(scene)
    bulk.far.write(new Uint8Array(4_000_000))
    await pass(scene, 2_000)
    const small = await stream(scene)
    for (let turn = 1; turn <= 20; turn += 1) {
      small.far.write(new Uint8Array(64))
      await scene.clock.advanceAsync(25)
      expect(small.near.receivedBytes).toBe(64 * turn)
    }
  })

  it('holds for streams that run when it is set, changed or cleared', async () => {
    const scene = await PolicyScene.begin(mode)
    const { near, far } = await stream(scene)
    far.write(new Uint8Array(500_000))
    await settle()
    await scene.clock.advanceAsync(10)
    expect(near.receivedBytes).toBe(500_000)
    await scene.change({ rate: { down: 50_000, burst: 1_000 } })
    far.write(new Uint8Array(1_000_000))
    await pass(scene, 4_000)
    expect(Math.abs(near.receivedBytes - 700_000)).toBeLessThanOrEqual(10_000)
    await scene.change({ rate: { down: 100_000, burst: 1_000 } })
    await pass(scene, 4_000)
    expect(Math.abs(near.receivedBytes - 1_100_000)).toBeLessThanOrEqual(20_000)
    await scene.set(null)
    await pass(scene, 50)
    expect(near.receivedBytes).toBe(1_500_000)
  })

  it('leaves no timer when streams that wait are aborted', async () => {
    const scene = await begin({ down: 1_000, up: 1_000, burst: 1_000 })
    await pass(scene, 100)
    const before = scene.clock.pending
    const { near, far } = await stream(scene)
    far.write(new Uint8Array(100_000))
    near.write(new Uint8Array(100_000))
    await pass(scene, 200)
    near.stream.abort(new LinkSocksError('ERR_CANCELLED', 'given up'))
    await pass(scene, 60_000)
    const { spliced, received } = scene.world.relay.clientTable
    expect([spliced.bytes, received.bytes]).toEqual([0, 0])
    expect(scene.clock.pending).toBeLessThanOrEqual(before)
  })

  it('leaves nothing of an association that is closed while datagrams wait', async () => {
    const scene = await begin({ up: 1_000, down: 1_000, burst: 1_000 })
    await pass(scene, 100)
    const before = scene.clock.pending
    const socket = await scene.dialer.associate()
    let closed = 0
    socket.start({ datagram: () => {}, close: () => (closed += 1) })
    await settle()
    for (let index = 0; index < 50; index += 1) socket.send(new Uint8Array(900), { host: '192.0.2.9', port: 53 })
    await pass(scene, 100)
    socket.close()
    await pass(scene, 60_000)
    const { spliced, received } = scene.world.relay.clientTable
    expect([closed, spliced.bytes, received.bytes]).toEqual([1, 0, 0])
    expect(scene.clock.pending).toBeLessThanOrEqual(before)
  })

  it('drops the oldest datagrams over it, and counts them', async () => {
    const scene = await begin({ up: 10_000, burst: 1_000 })
    const socket = await scene.dialer.associate()
    const handler: DatagramHandler = { datagram: () => {}, close: () => {} }
    socket.start(handler)
    await settle()
    for (let index = 0; index < 200; index += 1) socket.send(new Uint8Array(1_000), { host: '192.0.2.9', port: 53 })
    await pass(scene, 2_000)
    const sent = scene.network.udp.sockets.flatMap(({ sent: all }) => all).length
    const usage = scene.world.relay.tokenUsage(scene.subject)
    expect(sent).toBeGreaterThanOrEqual(19)
    expect(sent).toBeLessThanOrEqual(22)
    expect(usage?.droppedDatagrams).toBe(200 - 1 - 64)
    expect(usage?.total.up).toBe(sent * 1_000)
  })
})

describe('rate of a token', () => {
  it('is shared by all links of a client and all clients of the token', async () => {
    const scene = await PolicyScene.begin('forward', { rate: { down: MBIT, burst: 1_000 } })
    const other = await scene.world.joinSession('forward', {})
    const first = await stream(scene)
    first.far.write(new Uint8Array(2_000_000))
    const near = new TestPeer(await other.dialer.dial({ host: '192.0.2.10', port: 443 }))
    await settle()
    farOf(scene).write(new Uint8Array(2_000_000))
    await pass(scene, 10_000)
    expect(Math.abs(first.near.receivedBytes + near.receivedBytes - 10 * MBIT)).toBeLessThanOrEqual(0.05 * 10 * MBIT)
    expect(Math.abs(first.near.receivedBytes - near.receivedBytes)).toBeLessThanOrEqual(0.1 * 10 * MBIT)
  })

  it('of a reverse token holds for its connector tokens together', async () => {
    const scene = await PolicyScene.begin('agent', undefined, { reversePolicy: { rate: { up: MBIT, burst: 1_000 } } })
    const { near, far } = await stream(scene)
    near.write(new Uint8Array(4_000_000))
    await pass(scene, 10_000)
    expect(Math.abs(far.receivedBytes - 10 * MBIT)).toBeLessThanOrEqual(0.05 * 10 * MBIT)
  })

  it('passes on what is no plain data whole, however large, and makes up for it', async () => {
    const { world, provider, connector } = await agents({ rate: { up: 10_000, burst: 1_000 } })
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 1, channelId: id, target: { host: '192.0.2.9', port: 80 } }))
    await provider.send(accept(id))
    provider.clear()
    const odd = concat(encodeDataHead(id, 5_000, 0x55), nodeCrypto.randomBytes(5_000))
    await connector.send(odd, odd)
    await world.clock.advanceAsync(450)
    expect(provider.of(MessageType.Data)).toHaveLength(1)
    await world.clock.advanceAsync(100)
    expect(provider.raw.map((raw) => raw.byteLength)).toEqual([odd.byteLength, odd.byteLength])
  })

  it('counts what is compressed as what it was before', async () => {
    const { world, provider, connector } = await agents({ rate: { up: 10_000, burst: 1_000 } })
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 1, channelId: id, target: { host: '192.0.2.9', port: 80 } }))
    await provider.send(accept(id))
    provider.clear()
    const member = new Uint8Array(gzipSync(new Uint8Array(20_000)))
    const compressed = concat(encodeDataHead(id, member.byteLength, 0x01), member)
    await connector.send(compressed, compressed)
    await world.clock.advanceAsync(1_800)
    expect(provider.of(MessageType.Data)).toHaveLength(1)
    await world.clock.advanceAsync(300)
    expect(provider.of(MessageType.Data)).toHaveLength(2)
    expect(world.relay.tokenUsage(world.relay.tokenId('tenant') ?? '')?.total.up).toBe(40_000)
  })

  it('divides the data of a peer without stream control', async () => {
    const { world, provider, connector } = await agents({ rate: { down: 10_000, burst: 1_000 } })
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 1, channelId: id, target: { host: '192.0.2.9', port: 80 } }))
    const bytes = pattern(50_000)
    await provider.send(accept(id))
    connector.clear()
    await provider.send(concat(encodeDataHead(id, bytes.byteLength), bytes))
    await world.clock.advanceAsync(2_000)
    const parts = connector.of(MessageType.Data).map(({ data }) => data)
    const received = concat(...parts)
    expect(parts.length).toBeGreaterThan(10)
    expect(received.byteLength).toBeLessThanOrEqual(21_000)
    await world.clock.advanceAsync(4_000)
    expect(Buffer.compare(concat(...connector.of(MessageType.Data).map(({ data }) => data)), bytes)).toBe(0)
    expect(Math.max(...connector.raw.map((raw) => raw.byteLength))).toBeLessThanOrEqual(1_024 + DATA_HEAD_BYTES)
    expect(world.relay.clientTable.spliced.bytes).toBe(0)
  })

  it('keeps streams of peers without stream control that ended, however long they wait for it', async () => {
    const { world, provider, connector } = await agents({ rate: { down: 1_000, burst: 1_000 } })
    const ids = Array.from({ length: 60 }, () => uuid())
    for (const id of ids) {
      await connector.send(encodeConnect({ protocol: 1, channelId: id, target: { host: '192.0.2.9', port: 80 } }))
      await provider.send(accept(id))
    }
    connector.clear()
    for (const id of ids) {
      const bytes = concat(encodeDataHead(id, 3_000), new Uint8Array(3_000))
      await provider.send(bytes, encodeDisconnect({ channelId: id, error: 'EOF' }))
    }
    await world.clock.advanceAsync(185_000)
    const received = connector.of(MessageType.Data).reduce((sum, { data }) => sum + data.byteLength, 0)
    const ends = connector.of(MessageType.Disconnect).map(({ error }) => error)
    expect([received, new Set(ends)]).toEqual([180_000, new Set(['EOF'])])
  })

  it('ends a channel without stream control that stays over what it may have under way', async () => {
    const { world, provider, connector } = await agents({ rate: { down: 10_000 } })
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 1, channelId: id, target: { host: '192.0.2.9', port: 80 } }))
    await provider.send(accept(id))
    const megabyte = concat(encodeDataHead(id, 1_048_576), new Uint8Array(1_048_576))
    for (let count = 0; count < 7; count += 1) await provider.send(megabyte)
    await world.clock.advanceAsync(29_000)
    expect(connector.of(MessageType.Disconnect)).toHaveLength(0)
    await world.clock.advanceAsync(2_000)
    const [end] = connector.of(MessageType.Disconnect)
    expect(end?.error).toBe('a peer without stream control sends more than the rate of the token lets through')
    expect(world.relay.clientTable.spliced.bytes).toBe(0)
  })

  it('keeps no credit from other tokens of the provider, however much waits for it', async () => {
    const scene = await PolicyScene.begin('agent', { rate: { down: 10_000 } })
    const { relay } = scene.world
    await relay.addToken({ type: 'connector', token: 'free', reverseToken: 'tenant' })
    for (let count = 0; count < 140; count += 1) {
      const { far } = await stream(scene)
      far.write(new Uint8Array(600_000))
    }
    await scene.clock.advanceAsync(100)
    expect(relay.clientTable.spliced.bytes).toBeGreaterThan(60_000_000)
    const other = await scene.world.joinSession('free', {})
    const near = new TestPeer(await other.dialer.dial({ host: '192.0.2.9', port: 80 }))
    await settle()
    farOf(scene).write(new Uint8Array(8_000_000))
    await scene.clock.advanceAsync(1_000)
    expect(near.receivedBytes).toBe(8_000_000)
  })

  it('of each stream, raised or cleared, holds for what waits already', async () => {
    const scene = await PolicyScene.begin('forward', { rate: { streamDown: 100, burst: 100 } })
    const { near, far } = await stream(scene)
    far.write(new Uint8Array(100_000))
    await pass(scene, 1_000)
    await scene.change({ rate: { streamDown: 20_000, burst: 100 } })
    await pass(scene, 1_000)
    expect(near.receivedBytes).toBeGreaterThan(19_000)
    await scene.change({ rate: { streamDown: 1, burst: 1 } })
    await pass(scene, 1_000)
    await scene.set(null)
    await pass(scene, 50)
    expect(near.receivedBytes).toBe(100_000)
  })

  it('counts what waits once for the server, and for the token that holds it', async () => {
    const scene = await PolicyScene.begin('agent', undefined, { reversePolicy: { rate: { up: 1_000, burst: 1_000 } } })
    const { near } = await stream(scene)
    near.write(new Uint8Array(3_000))
    await pass(scene, 5_000)
    const { relay } = scene.world
    const throttled = ['member', 'tenant'].map((token) => relay.tokenUsage(relay.tokenId(token) ?? '')?.throttled.up)
    expect(throttled[0]).toBe(0)
    expect(throttled[1]).toBe(relay.statistics.throttledBytes.up)
    expect(throttled[1]).toBeGreaterThan(1_900)
  })

  it('of datagrams through a connector counts their payload alone', async () => {
    const { world, provider, connector } = await agents({ quota: { bytes: 250, period: 'total' } })
    const id = uuid()
    await connector.send(encodeConnect({ protocol: 2, channelId: id }))
    await provider.send(accept(id))
    const datagram = encodeDatagram({
      channelId: id,
      data: new Uint8Array(100),
      target: { host: '192.0.2.9', port: 53 },
    })
    await connector.send(datagram, datagram, datagram)
    await world.clock.advanceAsync(100)
    expect(provider.of(MessageType.Data)).toHaveLength(2)
    expect(world.relay.tokenUsage(world.relay.tokenId('tenant') ?? '')?.total).toEqual({ up: 200, down: 0 })
  })
})
