import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { MAX_UDP_PEERS, UDP_TIMEOUT_MS, UdpRelay } from '../../../src/exit/udp/udp-relay.js'
import type { EgressPolicy } from '../../../src/ports.js'
import { MAX_DATAGRAM_BYTES } from '../../../src/protocol/limits.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { bytes, Calls, FakeUdp, failureOf, Received, RecordingLog } from '../fakes.js'

async function setUp(options: { policy?: EgressPolicy; timeoutMs?: number; started?: boolean } = {}) {
  const clock = new ManualClock()
  const resolver = new Calls<string, readonly string[]>()
  const udp = new FakeUdp()
  const log = new RecordingLog()
  const relay = await UdpRelay.open({
    bindDatagrams: udp.bind,
    resolve: resolver.call,
    clock,
    log,
    policy: options.policy,
    timeoutMs: options.timeoutMs,
  })
  const received = new Received()
  if (options.started !== false) relay.start(received)
  const send = (text: string, host: string, port = 53): void => relay.send(bytes(text), { host, port })
  const reply = (text: string, host: string, port = 53, socket = 0): void =>
    udp.socket(socket).handler?.datagram(bytes(text), { host, port })
  return { clock, resolver, udp, log, relay, received, send, reply }
}

describe('UdpRelay', () => {
  it('sends to IP text and delivers the reply with its source', async () => {
    const { udp, send, reply, received } = await setUp()
    send('q', '192.0.2.1')
    expect(udp.sockets.map(({ address }) => address.host)).toEqual(['0.0.0.0'])
    expect(udp.socket(0).texts).toEqual(['q>192.0.2.1:53'])
    reply('a', '192.0.2.1')
    expect(received.texts).toEqual(['a<192.0.2.1:53'])
  })

  it('delivers replies only from an address and port it has sent to', async () => {
    const { send, reply, received, relay } = await setUp()
    reply('early', '192.0.2.1')
    send('q', '192.0.2.1')
    reply('other port', '192.0.2.1', 54)
    reply('other host', '192.0.2.2')
    expect(received.texts).toEqual([])
    expect(relay.dropped).toEqual({ unsolicited: 3 })
  })

  it(`takes replies from the ${MAX_UDP_PEERS} most recently used addresses`, async () => {
    const { send, reply, received } = await setUp()
    for (let port = 1; port <= MAX_UDP_PEERS; port += 1) send('q', '192.0.2.1', port)
    reply('kept by its reply', '192.0.2.1', 1)
    send('q', '192.0.2.2', 1)
    for (const port of [1, 2, 3]) reply('a', '192.0.2.1', port)
    expect(received.texts).toEqual(['kept by its reply<192.0.2.1:1', 'a<192.0.2.1:1', 'a<192.0.2.1:3'])
  })

  it('accepts the largest datagram, drops a larger one and one to nowhere', async () => {
    const { relay, udp } = await setUp()
    relay.send(new Uint8Array(MAX_DATAGRAM_BYTES), { host: '192.0.2.1', port: 1 })
    relay.send(new Uint8Array(MAX_DATAGRAM_BYTES + 1), { host: '192.0.2.1', port: 1 })
    relay.send(new Uint8Array(1), { host: '192.0.2.1', port: 0 })
    relay.send(new Uint8Array(1), { host: '', port: 1 })
    relay.send(new Uint8Array(0), { host: '192.0.2.1', port: 1 })
    expect(udp.socket(0).sent.map(({ data }) => data.byteLength)).toEqual([MAX_DATAGRAM_BYTES, 0])
    expect(relay.dropped).toEqual({ oversize: 1, badDestination: 2 })
  })

  it('sends to other spellings of an address as to the address', async () => {
    const { send, reply, udp, received } = await setUp()
    send('q', '::ffff:192.0.2.1')
    expect(udp.socket(0).texts).toEqual(['q>192.0.2.1:53'])
    reply('a', '192.0.2.1')
    send('q6', '2001:DB8:0::0:1')
    await settle()
    reply('a6', '2001:db8::1', 53, 1)
    expect(received.texts).toEqual(['a<192.0.2.1:53', 'a6<2001:db8::1:53'])
  })

  describe('policy', () => {
    it('drops what it refuses, counts it and logs it once', async () => {
      const { send, udp, relay, log } = await setUp()
      for (const host of ['169.254.169.254', '::ffff:169.254.169.254', '255.255.255.255', 'ff02::1']) send('q', host)
      expect(udp.socket(0).sent).toEqual([])
      expect(relay.dropped).toEqual({ refused: 4 })
      expect(log.named('udp.refused')).toEqual([{ address: '169.254.169.254:53', reason: 'link-local address' }])
    })

    it('sees each resolved address; the first one allowed is used', async () => {
      const { send, resolver, udp, relay } = await setUp()
      send('q', 'rebind.example')
      resolver.at(0).resolve(['169.254.169.254', '192.0.2.1'])
      await settle()
      expect(udp.socket(0).texts).toEqual(['q>192.0.2.1:53'])
      send('q', 'metadata.example')
      resolver.at(1).resolve(['169.254.169.254'])
      await settle()
      expect(relay.dropped).toEqual({ refused: 1 })
    })

    it('judges an address once while it is in use', async () => {
      const seen: string[] = []
      const { send } = await setUp({
        policy: ({ host, port }, protocol) => {
          seen.push(`${host}:${port}/${protocol}`)
          return undefined
        },
      })
      send('q', '192.0.2.1')
      send('q', '192.0.2.1')
      send('q', '192.0.2.1', 54)
      expect(seen).toEqual(['192.0.2.1:53/udp', '192.0.2.1:54/udp'])
    })
  })

  describe('IPv6', () => {
    it('binds a second socket once it is needed and keeps the order meanwhile', async () => {
      const { send, udp, relay } = await setUp()
      send('1', '2001:db8::1')
      send('2', '2001:db8::1')
      await settle()
      send('3', '2001:db8::1')
      expect(udp.sockets.map(({ address }) => address.host)).toEqual(['0.0.0.0', '::'])
      expect(
        udp
          .socket(1)
          .sent.map(({ data }) => new TextDecoder().decode(data))
          .join(''),
      ).toBe('123')
      relay.close()
      expect(udp.sockets.every(({ closed }) => closed)).toBe(true)
    })

    it('is dropped and counted where there is none; IPv4 goes on', async () => {
      const { send, udp, relay, received } = await setUp()
      udp.failure = () => new Error('EAFNOSUPPORT')
      send('q', '2001:db8::1')
      await settle()
      send('q', '2001:db8::1')
      send('q', '192.0.2.1')
      expect(relay.dropped).toEqual({ noIpv6: 2 })
      expect(udp.socket(0).texts).toEqual(['q>192.0.2.1:53'])
      expect(received.closes).toBe(0)
    })

    it("yields to a name's IPv4 address where there is none", async () => {
      const { send, resolver, udp } = await setUp()
      udp.failure = () => new Error('EAFNOSUPPORT')
      send('1', 'dual.example')
      resolver.at(0).resolve(['2001:db8::1', '192.0.2.1'])
      await settle()
      send('2', 'dual.example')
      expect(udp.socket(0).texts).toEqual(['1>192.0.2.1:53', '2>192.0.2.1:53'])
    })

    it('comes after IPv4 for a name that means this machine', async () => {
      const { send, resolver, udp } = await setUp()
      send('q', 'localhost')
      resolver.at(0).resolve(['::1', '127.0.0.1'])
      await settle()
      expect(udp.socket(0).texts).toEqual(['q>127.0.0.1:53'])
    })

    it('closes the second socket when the relay closed while it was bound', async () => {
      const { send, udp, relay } = await setUp()
      send('q', '2001:db8::1')
      relay.close()
      await settle()
      expect(udp.socket(1).closed).toBe(true)
      expect(udp.socket(1).sent).toEqual([])
    })

    it('is given up when its socket fails, the relay goes on', async () => {
      const { send, udp, relay, received } = await setUp()
      send('q', '2001:db8::1')
      await settle()
      udp.socket(1).close()
      send('q', '2001:db8::1')
      expect(relay.dropped).toEqual({ noIpv6: 1 })
      expect(received.closes).toBe(0)
    })
  })

  describe('life', () => {
    it('fails with ERR_DIAL_FAILED when no socket can be bound', async () => {
      const udp = new FakeUdp()
      udp.failure = () => new LinkSocksError('ERR_LISTEN', 'no sockets left')
      const options = { bindDatagrams: udp.bind, resolve: async () => [], clock: new ManualClock() }
      expect((await failureOf(UdpRelay.open(options))).code).toBe('ERR_DIAL_FAILED')
    })

    it('binds nothing when cancelled before, closes what was bound when cancelled meanwhile', async () => {
      const udp = new FakeUdp()
      const clock = new ManualClock()
      const options = { bindDatagrams: udp.bind, resolve: async () => [], clock }
      expect((await failureOf(UdpRelay.open(options, { signal: AbortSignal.abort() }))).code).toBe('ERR_CANCELLED')
      expect(udp.sockets).toHaveLength(0)
      const controller = new AbortController()
      const failure = failureOf(UdpRelay.open(options, { signal: controller.signal }))
      controller.abort()
      expect((await failure).code).toBe('ERR_CANCELLED')
      expect(udp.socket(0).closed).toBe(true)
      expect(clock.pending).toBe(0)
    })

    it('closes when nothing was sent or delivered for the timeout', async () => {
      const { clock, send, reply, received, udp } = await setUp()
      send('q', '192.0.2.1')
      clock.advance(UDP_TIMEOUT_MS - 1)
      reply('a', '192.0.2.1')
      clock.advance(UDP_TIMEOUT_MS - 1)
      send('q', '192.0.2.1')
      clock.advance(UDP_TIMEOUT_MS - 1)
      expect(received.closes).toBe(0)
      clock.advance(1)
      expect(received.closes).toBe(1)
      expect(received.error).toBeUndefined()
      expect(udp.socket(0).closed).toBe(true)
      expect(clock.pending).toBe(0)
    })

    it('does not stay alive by datagrams nobody asked for', async () => {
      const { clock, reply, received } = await setUp({ timeoutMs: 1_000 })
      clock.advance(999)
      reply('spam', '198.51.100.1')
      clock.advance(1)
      expect(received.closes).toBe(1)
    })

    it('holds nothing after close, closes once and is silent from then on', async () => {
      const { relay, send, reply, resolver, udp, received, clock } = await setUp()
      send('q', '192.0.2.1')
      send('q', 'pending.example')
      expect(relay.held).toBe(3)
      relay.close()
      relay.close()
      expect(received.closes).toBe(1)
      expect(relay.held).toBe(0)
      expect(clock.pending).toBe(0)
      expect(resolver.at(0).aborted).toBe(true)
      send('q', '192.0.2.1')
      reply('a', '192.0.2.1')
      await settle()
      expect(udp.socket(0).sent).toHaveLength(1)
      expect(received.texts).toEqual([])
      expect(relay.held).toBe(0)
    })

    it('reports a close that came before start', async () => {
      const { relay, received } = await setUp({ started: false })
      relay.close()
      relay.start(received)
      expect(received.closes).toBe(1)
    })

    it('closes with the error of its IPv4 socket', async () => {
      const { udp, received, relay } = await setUp()
      const error = new LinkSocksError('ERR_STREAM_RESET', 'the interface is gone')
      udp.socket(0).handler?.close(error)
      relay.close()
      expect(received.closes).toBe(1)
      expect(received.error).toBe(error)
    })

    it('delivers what came for a relay that starts late only once it has started', async () => {
      const { relay, received, send, udp } = await setUp({ started: false })
      send('q', '192.0.2.1')
      send('q', '2001:db8::1')
      await settle()
      expect(udp.sockets.map(({ handler }) => handler)).toEqual([undefined, undefined])
      relay.start(received)
      udp.socket(1).handler?.datagram(bytes('a'), { host: '2001:db8::1', port: 53 })
      expect(received.texts).toEqual(['a<2001:db8::1:53'])
    })
  })
})
