import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import type { ProxyProtocol } from '../../../src/ports.js'
import type { StreamMode } from '../../../src/relay/clients/relay-client.js'
import {
  countStream,
  perStreamKind,
  type StreamCounts,
  type StreamKind,
} from '../../../src/relay/observe/statistics.js'
import { FakeSocket } from '../../exit/fakes.js'
import { settle } from '../../support/manual-clock.js'
import { memoryStreamPair } from '../../support/memory-stream.js'
import { TestPeer } from '../../support/test-peer.js'
import { TARGET } from '../splice/channels.js'
import { MODES, StreamScene } from './stream-scene.js'

/** What the port of a reverse token passes on; nobody knows it of others. */
const inboundOf = (mode: StreamMode, inbound: ProxyProtocol) => (mode === 'reverse' ? inbound : undefined)

const none = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0)

/** The counts after one stream of this kind. */
function oneOf(kind: StreamKind): StreamCounts {
  const counts = perStreamKind()
  countStream(counts, kind)
  return counts
}

/** An open stream: both of its ends. */
async function open(scene: StreamScene): Promise<{ asker: TestPeer; target: TestPeer }> {
  const dialling = scene.dialer.dial(TARGET)
  await settle()
  const [near, far] = memoryStreamPair()
  scene.exits.pending.at(-1)?.resolve(near)
  return { asker: new TestPeer(await dialling), target: new TestPeer(far) }
}

const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'open',
    (thrown) => thrown.code,
  )

describe.each(MODES)('a stream in %s mode', (mode) => {
  it('is listed from its request on, and told of when it opens and ends, with the bytes that both sides saw', async () => {
    const scene = await StreamScene.begin(mode)
    const { world, told } = scene
    const since = world.clock.wallTime()
    const inbound = inboundOf(mode, 'http')
    const dialling = scene.dialer.dial(TARGET, { inbound })
    await settle()
    const [provider, asker] =
      mode === 'agent' ? world.relay.clients() : [...world.relay.clients(), ...world.relay.clients()]
    const who = {
      id: 1,
      mode,
      protocol: 'tcp',
      inbound,
      target: 'one.test:80',
      tokenId: world.relay.tokenId({ forward: 'forward', reverse: 'tenant', agent: 'member' }[mode]),
      clientId: mode === 'reverse' ? undefined : asker?.id,
      providerId: mode === 'forward' ? undefined : provider?.id,
    }
    expect(scene.streams).toEqual([{ ...who, state: 'opening', since, sentBytes: 0, receivedBytes: 0 }])
    expect(told.events).toEqual([])
    await world.clock.advanceAsync(300)
    const [near, far] = memoryStreamPair()
    scene.exits.at(0).resolve(near)
    const [client, target] = [new TestPeer(await dialling), new TestPeer(far)]
    expect(told.dialled).toEqual([{ mode, result: 0, tookMs: 300 }])
    expect(scene.streams).toMatchObject([{ ...who, state: 'open', since }])
    expect(world.relay.clients().map(({ streams }) => streams)).toEqual(mode === 'agent' ? [1, 1] : [1])

    client.write(new Uint8Array(100_000))
    target.write('x'.repeat(70_001))
    await target.until(() => target.receivedBytes === 100_000)
    await client.until(() => client.receivedBytes === 70_001)
    expect(scene.streams).toMatchObject([{ sentBytes: 100_000, receivedBytes: 70_001 }])
    client.end()
    await target.until(() => target.ended)
    target.write('and this')
    target.end()
    await Promise.all([client.untilClosed(), target.untilClosed()])
    await settle()
    const { id, ...event } = who
    expect(told.events).toEqual([
      { type: 'stream.opened', streamId: id, ...event },
      {
        type: 'stream.closed',
        streamId: id,
        ...event,
        ended: { sentBytes: 100_000, receivedBytes: 70_009, error: undefined },
      },
    ])
    expect(none(scene.counts)).toBe(0)
    expect(world.relay.statistics.channelsOpened).toEqual(oneOf({ mode, protocol: 'tcp', inbound }))
  })

  it.each([
    ['ERR_DIAL_REFUSED', 5],
    ['ERR_DIAL_HOST_UNREACHABLE', 4],
    ['ERR_DIAL_TIMEOUT', 6],
    ['ERR_DIAL_NOT_ALLOWED', 2],
    ['ERR_PROXY_FAILED', 1],
  ] as const)('that the exit refuses with %s counts as REP %d, and never was open', async (code, rep) => {
    const scene = await StreamScene.begin(mode)
    const dialling = outcome(scene.dialer.dial(TARGET))
    await settle()
    scene.exits.at(0).reject(new LinkSocksError(code, 'the dial failed'))
    await dialling
    await settle()
    expect([scene.told.results, scene.told.events, none(scene.counts)]).toEqual([[rep], [], 0])
  })

  it('whose asker gives up counts as cancelled, once', async () => {
    const scene = await StreamScene.begin(mode)
    const cancel = new AbortController()
    const dialling = outcome(scene.dialer.dial(TARGET, { signal: cancel.signal }))
    await settle()
    expect(none(scene.counts)).toBeGreaterThan(0)
    cancel.abort()
    expect(await dialling).toBe('ERR_CANCELLED')
    await settle()
    expect([scene.told.results, scene.told.events, none(scene.counts)]).toEqual([['cancelled'], [], 0])
    expect(scene.exits.at(0).aborted).toBe(true)
  })

  it.each(['client', 'target'])('that the %s aborts ends with an error, and what it carried', async (who) => {
    const scene = await StreamScene.begin(mode)
    const { asker, target } = await open(scene)
    asker.write('hello')
    await target.until(() => target.receivedBytes === 5)
    const ends = { client: asker, target }
    ends[who as 'client'].abort(new LinkSocksError('ERR_STREAM_RESET', 'aborted'))
    await settle()
    expect(scene.told.closed).toEqual([{ sentBytes: 5, receivedBytes: 0, error: expect.stringMatching(/^ERR_/) }])
    expect([none(scene.counts), scene.told.results]).toEqual([0, [0]])
  })

  it('ends with its token, and says why', async () => {
    const scene = await StreamScene.begin(mode)
    await open(scene)
    await open(scene)
    expect(scene.streams).toHaveLength(2)
    await scene.world.relay.removeToken(mode === 'forward' ? 'forward' : 'tenant')
    await scene.world.clock.advanceAsync(5_000)
    expect(scene.told.closed.map((ended) => ended?.error)).toEqual(['ERR_SHUTTING_DOWN', 'ERR_SHUTTING_DOWN'])
    expect(none(scene.counts)).toBe(0)
  })

  it.each(['opening', 'open'])('that is %s ends with the connection of its client or provider', async (state) => {
    const scene = await StreamScene.begin(mode)
    const opening = state === 'open' ? open(scene).then(() => 'open') : outcome(scene.dialer.dial(TARGET))
    await settle()
    const lost = scene.asker ?? scene.provider
    lost?.transport.cut()
    await scene.world.clock.advanceAsync(60_000)
    await opening
    expect([none(scene.counts), scene.world.relay.clients().length]).toEqual([0, mode === 'agent' ? 1 : 0])
    if (state === 'open') expect(scene.told.closed).toMatchObject([{ error: 'ERR_LINK_LOST' }])
    // the SOCKS client still waits in reverse mode; elsewhere who asked has gone
    else expect(scene.told.results).toEqual(mode === 'reverse' ? [3, 3] : ['cancelled'])
  })

  it('that ends in all ways together leaves nothing behind', async () => {
    const scene = await StreamScene.begin(mode)
    const all = [await open(scene), await open(scene), await open(scene)] as const
    const waiting = [scene.dialer.dial(TARGET), scene.dialer.dial(TARGET)].map(outcome)
    await settle()
    expect(scene.streams.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5])
    all[0].asker.close()
    all[1].target.abort(new LinkSocksError('ERR_STREAM_RESET', 'gone'))
    all[2].asker.end()
    scene.exits.at(3).reject(new LinkSocksError('ERR_DIAL_REFUSED', 'no'))
    await settle()
    await scene.world.relay.close()
    await Promise.all(waiting)
    await scene.world.clock.advanceAsync(30_000)
    expect([none(scene.counts), scene.streams]).toEqual([0, []])
    expect(scene.told.closed).toHaveLength(3)
    expect(scene.told.dialled).toHaveLength(5)
  })
})

describe.each(MODES)('an association in %s mode', (mode) => {
  async function associate(scene: StreamScene) {
    const associating = scene.dialer.associate({ inbound: inboundOf(mode, 'socks5') })
    await settle()
    const far = new FakeSocket('0.0.0.0')
    scene.sockets.pending.at(-1)?.resolve(far)
    await settle()
    return { socket: await associating, far }
  }

  it('counts the bytes of its datagrams alone, and has no target', async () => {
    const scene = await StreamScene.begin(mode)
    const { socket, far } = await associate(scene)
    socket.start({ datagram: () => {}, close: () => {} })
    expect(scene.streams).toMatchObject([
      { protocol: 'udp', inbound: inboundOf(mode, 'socks5'), target: undefined, state: 'open' },
    ])
    for (const size of [1, 10, 100]) socket.send(new Uint8Array(size), { host: 'a.test', port: 53 })
    await settle()
    for (const size of [3, 1_000]) far.handler?.datagram(new Uint8Array(size), { host: '192.0.2.1', port: 53 })
    await settle()
    expect(far.sent.length).toBe(3)
    expect(scene.streams).toMatchObject([{ sentBytes: 111, receivedBytes: 1_003 }])
    socket.close()
    await scene.world.clock.advanceAsync(10_000)
    expect(scene.told.closed).toEqual([{ sentBytes: 111, receivedBytes: 1_003, error: undefined }])
    expect([scene.told.results, none(scene.counts)]).toEqual([[0], 0])
    expect(scene.world.relay.statistics.channelsOpened).toEqual(
      oneOf({ mode, protocol: 'udp', inbound: inboundOf(mode, 'socks5') }),
    )
  })

  it('that is refused, cancelled or lost never was open', async () => {
    const scene = await StreamScene.begin(mode)
    const refused = outcome(scene.dialer.associate())
    await settle()
    scene.sockets.at(0).reject(new LinkSocksError('ERR_DIAL_UNSUPPORTED', 'no UDP here'))
    await refused
    const cancel = new AbortController()
    const cancelled = outcome(scene.dialer.associate({ signal: cancel.signal }))
    await settle()
    cancel.abort()
    await cancelled
    await settle()
    expect([scene.told.results, scene.told.events, none(scene.counts)]).toEqual([[7, 'cancelled'], [], 0])
  })
})
