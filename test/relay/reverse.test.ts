import { describe, expect, it } from 'vitest'
import type { ByteStream, Dialer } from '../../src/ports.js'
import { encodeConnectResponse, MessageType } from '../../src/protocol/messages.js'
import { REVERSE_WAIT_MS } from '../../src/relay/reverse/reverse-dialer.js'
import type { SocksPort } from '../../src/relay/reverse/reverse-port.js'
import {
  PORT_QUICK_RETRIES_MS,
  PORT_QUICK_RETRY_MS,
  PORT_RETRY_MS,
  ReversePort,
} from '../../src/relay/reverse/reverse-port.js'
import { LogRecorder } from '../client/fixture.js'
import { Calls } from '../exit/fakes.js'
import { countListeners } from '../support/count-listeners.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { TestPeer } from '../support/test-peer.js'
import { accept, data, disconnect, TARGET, textOf } from './splice/channels.js'
import { type Peer, World } from './world.js'

async function reverseWorld(): Promise<{ world: World; dialer: Dialer }> {
  const world = new World({ socksNowait: true })
  const { port } = await world.relay.addToken({ type: 'reverse', token: 'tenant' })
  const dialer = world.openPorts.get(port ?? 0)?.dialer
  if (dialer === undefined) throw new Error('no port')
  return { world, dialer }
}

const status = (world: World) => world.relay.tokens()[0]
const lastConnect = (peer: Peer): Uint8Array => peer.of(MessageType.Connect).at(-1)?.channelId ?? new Uint8Array(16)

/** Settles `promise` into its value or its error. */
const outcome = <T>(promise: Promise<T>): Promise<T | { code: string }> => promise.catch((thrown) => thrown)

describe('the port of a reverse token', () => {
  it('is the lowest free one of the range', async () => {
    const world = new World()
    world.busyPorts.add(10_000).add(10_002)
    const ports = []
    for (let count = 0; count < 3; count += 1) ports.push((await world.relay.addToken({ type: 'reverse' })).port)
    expect(ports).toEqual([10_001, 10_003, 10_004])
    await expect(world.relay.addToken({ type: 'reverse' })).rejects.toMatchObject({ code: 'ERR_PORT_UNAVAILABLE' })
    await world.relay.removeToken(world.relay.tokens()[0]?.token ?? '')
    expect((await world.relay.addToken({ type: 'reverse' })).port).toBe(10_001)
  })

  it('is the given one or a refusal, never another', async () => {
    const world = new World()
    world.busyPorts.add(30_000)
    await expect(world.relay.addToken({ type: 'reverse', port: 30_000 })).rejects.toMatchObject({
      code: 'ERR_PORT_UNAVAILABLE',
      message: 'port not available',
    })
    expect(await world.relay.addToken({ type: 'reverse', port: 30_001 })).toMatchObject({ port: 30_001 })
    expect(world.relay.tokens()).toHaveLength(1)
  })

  it('opens with the first provider and stays open until the token goes', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'tenant', username: 'u', password: 'p' })
    expect(world.openPorts.size).toBe(0)
    expect(status(world)).toMatchObject({ listening: false })
    const provider = await world.join('tenant')
    expect(world.openPorts.get(10_000)?.credentials()).toEqual({ username: 'u', password: 'p' })
    await world.join('tenant')
    provider.transport.abort()
    await settle()
    expect(status(world)).toMatchObject({ listening: true })
    await world.relay.removeToken('tenant')
    expect(world.openPorts.size).toBe(0)
  })

  it('opens at once with socksNowait', async () => {
    const { world } = await reverseWorld()
    expect(status(world)).toMatchObject({ listening: true })
  })

  it('is none for autonomy tokens', async () => {
    const world = new World({ socksNowait: true })
    expect(await world.relay.addToken({ type: 'reverse', allowManageConnector: true })).not.toHaveProperty(
      'port',
      10_000,
    )
    expect(world.openPorts.size).toBe(0)
  })

  it('that was taken meanwhile is shown, and tried again every 5 s', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'tenant' })
    world.busyPorts.add(10_000)
    const provider = await world.join('tenant')
    expect(status(world)).toMatchObject({ listening: false, error: 'port 10000 is in use' })
    await world.clock.advanceAsync(PORT_RETRY_MS)
    expect(status(world)).toMatchObject({ listening: false })
    world.busyPorts.clear()
    await world.clock.advanceAsync(PORT_RETRY_MS)
    expect(status(world)).toMatchObject({ listening: true, error: undefined })
    expect(provider.closed).toBeUndefined()
  })

  it('of a removed token is tried no more, and a token added again on it keeps its listener', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'tenant', port: 30_000 })
    world.busyPorts.add(30_000)
    await world.join('tenant')
    world.busyPorts.clear()
    await world.relay.removeToken('tenant')
    await world.relay.addToken({ type: 'reverse', token: 'tenant', port: 30_000 })
    await world.join('tenant')
    await world.clock.advanceAsync(40_000)
    expect(status(world)).toMatchObject({ listening: true })
    expect(world.openPorts.size).toBe(1)
  })
})

describe('ReversePort', () => {
  function port() {
    const opens = new Calls<unknown, SocksPort>()
    const clock = new ManualClock()
    const dialer: Dialer = { dial: () => new Promise(() => {}), associate: () => new Promise(() => {}) }
    const asked = { port: 1, credentials: () => undefined, dialer, protocols: [] }
    const log = new LogRecorder()
    const options = { ...asked, openPort: opens.call, clock, log }
    return { port: new ReversePort(options), opens, clock, log }
  }

  it('opens once however often it is asked', async () => {
    const { port: subject, opens } = port()
    const all = [subject.open(), subject.open()]
    opens.at(0).resolve({ stopAccepting: () => {}, close: async () => {} })
    await Promise.all(all)
    await subject.open()
    expect(opens.asked).toHaveLength(1)
  })

  it('closed while it opens, closes what was opened', async () => {
    const { port: subject, opens } = port()
    void subject.open()
    let closed = 0
    const closing = subject.close()
    opens.at(0).resolve({
      stopAccepting: () => {},
      close: async () => {
        closed += 1
      },
    })
    await closing
    expect(closed).toBe(1)
    expect(subject.listening).toBe(false)
    await subject.open()
    expect(opens.asked).toHaveLength(1)
  })

  it('is tried again every 100 ms for 10 s, then every 5 s, and says so every 5 s', async () => {
    const { port: subject, opens, clock, log } = port()
    void subject.open()
    const tries: number[] = []
    const fail = async (): Promise<void> => {
      for (const pending of opens.pending.slice(tries.length)) {
        tries.push(clock.now())
        pending.reject(new Error('in use'))
        await settle()
      }
    }
    const start = clock.now()
    await fail()
    for (let at = 0; at < 25_000; at += 100) {
      await clock.advanceAsync(100)
      await fail()
    }
    const quick = PORT_QUICK_RETRIES_MS / PORT_QUICK_RETRY_MS
    const times = tries.map((at) => at - start)
    expect(times.slice(0, 3)).toEqual([0, 100, 200])
    expect(times.slice(quick)).toEqual([10_000, 15_000, 20_000, 25_000])
    const failures = log.of('socks.listen.failed').map(({ retryMs }) => retryMs)
    expect(failures).toEqual([100, 100, 5_000, 5_000, 5_000, 5_000])
    // once it was open, all begins anew
    await clock.advanceAsync(PORT_RETRY_MS)
    opens.at(tries.length).resolve({ stopAccepting: () => {}, close: async () => {} })
    await settle()
    expect(subject.listening).toBe(true)
    await subject.close()
    expect(clock.pending).toBe(0)
  })

  it('closed while it waits to try again, tries no more', async () => {
    const { port: subject, opens, clock } = port()
    const opening = subject.open()
    opens.at(0).reject(new Error('in use'))
    await opening
    expect(clock.pending).toBe(1)
    await subject.close()
    expect(clock.pending).toBe(0)
  })
})

describe('ReverseDialer', () => {
  it('opens streams through the providers in turn', async () => {
    const { world, dialer } = await reverseWorld()
    const providers = [await world.join('tenant'), await world.join('tenant')]
    const dials: Promise<ByteStream>[] = []
    for (let count = 0; count < 4; count += 1) dials.push(dialer.dial(TARGET))
    await settle()
    expect(providers.map((peer) => peer.of(MessageType.Connect).length)).toEqual([2, 2])
    const provider = providers[1] as Peer
    const id = lastConnect(provider)
    await provider.send(accept(id), data(id, 'hello'))
    const stream = await Promise.any(dials)
    const peer = new TestPeer(stream)
    peer.write('there')
    await settle()
    expect([peer.text, textOf(provider)]).toEqual(['hello', 'there'])
    await provider.send(disconnect(id, 'EOF'))
    expect(peer.closed).toBe(true)
  })

  it('waits up to 10 s for a first provider', async () => {
    const { world, dialer } = await reverseWorld()
    const late = outcome(dialer.dial(TARGET))
    await world.clock.advanceAsync(REVERSE_WAIT_MS - 1)
    const provider = await world.join('tenant')
    expect(provider.of(MessageType.Connect)).toHaveLength(1)
    await provider.send(accept(lastConnect(provider)))
    expect(await late).toHaveProperty('start')
  })

  it('fails with REP 3 when none comes', async () => {
    const { world, dialer } = await reverseWorld()
    const [stream, socket] = [outcome(dialer.dial(TARGET)), outcome(dialer.associate())]
    await world.clock.advanceAsync(REVERSE_WAIT_MS)
    expect(await stream).toMatchObject({ code: 'ERR_DIAL_NETWORK_UNREACHABLE' })
    expect(await socket).toMatchObject({ code: 'ERR_DIAL_NETWORK_UNREACHABLE' })
    expect(world.clock.pending).toBe(0)
  })

  it('stops waiting when it is cancelled, and leaves neither timer nor listener', async () => {
    const { world, dialer } = await reverseWorld()
    const controller = new AbortController()
    const listeners = countListeners(controller.signal)
    const stream = outcome(dialer.dial(TARGET, { signal: controller.signal }))
    await settle()
    expect(listeners()).toBe(1)
    controller.abort()
    expect(await stream).toMatchObject({ code: 'ERR_CANCELLED' })
    expect([listeners(), world.clock.pending]).toEqual([0, 0])
    expect(await outcome(dialer.dial(TARGET, { signal: controller.signal }))).toMatchObject({ code: 'ERR_CANCELLED' })
  })

  it('tells the provider of a dial that is cancelled', async () => {
    const { world, dialer } = await reverseWorld()
    const provider = await world.join('tenant')
    const controller = new AbortController()
    const stream = outcome(dialer.dial(TARGET, { signal: controller.signal }))
    await settle()
    controller.abort()
    expect(await stream).toMatchObject({ code: 'ERR_CANCELLED' })
    await settle()
    expect(provider.of(MessageType.Disconnect)).toHaveLength(1)
  })

  it('goes on to the next provider when one is lost before it answered', async () => {
    const { world, dialer } = await reverseWorld()
    const first = await world.join('tenant')
    const stream = outcome(dialer.dial(TARGET))
    await settle()
    const second = await world.join('tenant')
    first.transport.abort()
    await settle()
    const id = lastConnect(second)
    await second.send(accept(id))
    expect(await stream).toHaveProperty('start')
  })

  it('asks another provider besides one that is asleep, takes the first answer and ends what comes after it', async () => {
    const { world, dialer } = await reverseWorld()
    const providers = [await world.join('tenant'), await world.join('tenant')]
    const stream = outcome(dialer.dial(TARGET))
    await settle()
    const asleep = providers.find((peer) => peer.of(MessageType.Connect).length > 0) as Peer
    const awake = providers.find((peer) => peer !== asleep) as Peer
    const id = lastConnect(asleep)
    asleep.transport.pause()
    await world.clock.advanceAsync(500)
    await awake.send(accept(lastConnect(awake)))
    expect(await stream).toHaveProperty('start')
    asleep.transport.resume()
    await settle()
    await asleep.send(accept(id))
    await settle()
    expect(asleep.of(MessageType.Disconnect)).toHaveLength(1)
    expect(awake.of(MessageType.Disconnect)).toEqual([])
  })

  it('waits for a provider that dials slowly while its link answers', async () => {
    const { world, dialer } = await reverseWorld()
    const providers = [await world.join('tenant'), await world.join('tenant')]
    const stream = outcome(dialer.dial(TARGET))
    await world.clock.advanceAsync(9_000)
    const asked = providers.filter((peer) => peer.of(MessageType.Connect).length > 0)
    expect(asked).toHaveLength(1)
    await asked[0]?.send(accept(lastConnect(asked[0])))
    expect(await stream).toHaveProperty('start')
  })

  it('passes a refusal on and asks nobody else', async () => {
    const { world, dialer } = await reverseWorld()
    const providers = [await world.join('tenant'), await world.join('tenant')]
    const stream = outcome(dialer.dial(TARGET))
    await settle()
    const asked = providers.find((peer) => peer.of(MessageType.Connect).length > 0) as Peer
    const channelId = lastConnect(asked)
    await asked.send(encodeConnectResponse({ success: false, channelId, error: 'connection refused' }))
    expect(await stream).toMatchObject({ code: 'ERR_DIAL_REFUSED' })
    expect(providers.flatMap((peer) => peer.of(MessageType.Connect))).toHaveLength(1)
  })

  it('gives up when one provider after another is lost', async () => {
    const { world, dialer } = await reverseWorld()
    const stream = outcome(dialer.dial(TARGET))
    for (let count = 0; count < 4; count += 1) {
      const provider = await world.join('tenant')
      expect(provider.of(MessageType.Connect)).toHaveLength(1)
      provider.transport.abort()
      await settle()
    }
    expect(await stream).toMatchObject({ code: 'ERR_LINK_LOST' })
  })

  it('closed with its token while it waits, fails with the port', async () => {
    const { world, dialer } = await reverseWorld()
    const provider = await world.join('tenant')
    const stream = outcome(dialer.dial(TARGET))
    await settle()
    await world.relay.removeToken('tenant')
    expect(await stream).toMatchObject({ code: 'ERR_SHUTTING_DOWN' })
    await settle()
    expect(provider.closed).toBeDefined()
  })

  it('with fast open writes at once, to providers that keep order and early data alone', async () => {
    const world = new World({ socksNowait: true, fastOpen: true })
    await world.relay.addToken({ type: 'reverse', token: 'tenant' })
    const dialer = world.openPorts.get(10_000)?.dialer as Dialer
    const old = await world.join('tenant')
    const waiting = outcome(dialer.dial(TARGET))
    await settle()
    old.transport.abort()
    await settle()
    const provider = await world.join('tenant', { extensions: true })
    const peer = new TestPeer(await dialer.dial(TARGET))
    peer.write('early')
    await settle()
    expect(textOf(provider)).toBe('early')
    expect(await waiting).toHaveProperty('start')
    peer.abort(Object.assign(new Error()) as never)
  })
})
