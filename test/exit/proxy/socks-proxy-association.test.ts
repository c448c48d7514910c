import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { defaultEgressPolicy } from '../../../src/exit/dial/policy.js'
import { SocksProxyDialer } from '../../../src/exit/proxy/socks-proxy-dialer.js'
import { UDP_TIMEOUT_MS } from '../../../src/exit/udp/udp-relay.js'
import type { AbortOptions } from '../../../src/ports.js'
import { CONNECT_TIMEOUT_MS, MAX_DATAGRAM_BYTES } from '../../../src/protocol/limits.js'
import { settle } from '../../support/manual-clock.js'
import { hex, toHex } from '../../support/test-peer.js'
import { bytes, FakeUdp, failureOf, Received, RecordingLog } from '../fakes.js'
import { FakeProxy } from './proxy-fixture.js'

const RELAY = '05 00 00 01 c0000209 1388'
const FROM_RELAY = { host: '192.0.2.9', port: 5_000 }

function setUp(url = 'socks5://192.0.2.7') {
  const proxy = new FakeProxy(url)
  const udp = new FakeUdp()
  const log = new RecordingLog()
  const names = new Map([
    ['proxy.example', ['2001:db8::7', '192.0.2.7']],
    ['relay.example', ['192.0.2.9']],
  ])
  const dialer = new SocksProxyDialer({
    proxy: proxy.url,
    inner: proxy,
    clock: proxy.clock,
    log,
    policy: defaultEgressPolicy,
    resolve: async (host) => {
      if (host === 'unknown') throw new LinkSocksError('ERR_DIAL_HOST_UNREACHABLE', 'name does not resolve')
      return names.get(host) ?? [host]
    },
    bindDatagrams: udp.bind,
  })
  return { proxy, udp, log, dialer }
}

/** An association whose proxy answered with `reply`. */
async function open(reply = RELAY, url?: string, abort?: AbortOptions) {
  const fixture = setUp(url)
  const opening = fixture.dialer.associate(abort)
  opening.catch(() => {})
  await settle()
  const peer = fixture.proxy.peer()
  peer.write(hex(`05 00 ${reply}`))
  return { ...fixture, peer, opening }
}

async function opened(reply?: string, url?: string) {
  const fixture = await open(reply, url)
  const association = await fixture.opening
  const received = new Received()
  association.start(received)
  const receive = (digits: string, source = FROM_RELAY): void =>
    fixture.udp.socket(0).handler?.datagram(hex(digits), source)
  return { ...fixture, association, received, receive, socket: fixture.udp.socket(0) }
}

describe('SocksProxyDialer.associate', () => {
  it('asks for UDP ASSOCIATE and sends wrapped datagrams to BND.ADDR', async () => {
    const { peer, proxy, association, socket, receive, received } = await opened()
    expect(toHex(await peer.read(13))).toBe('05010005030001000000000000')
    association.send(bytes('q'), { host: '198.51.100.1', port: 53 })
    association.send(bytes('n'), { host: 'a.example', port: 53 })
    expect(socket.address.host).toBe('0.0.0.0')
    expect(socket.sent.map(({ data, to }) => [toHex(data), to])).toEqual([
      ['00000001c6336401003571', FROM_RELAY],
      ['0000000309612e6578616d706c6500356e', FROM_RELAY],
    ])
    receive('000000 01 c6336401 0035 61')
    receive(`000000 04 20010db8${'00'.repeat(11)}01 0035 62`)
    expect(received.texts).toEqual(['a<198.51.100.1:53', 'b<2001:db8::1:53'])
    association.close()
    await settle()
    expect(proxy.clock.pending).toBe(0)
  })

  it.each([
    ['05 00 00 01 00000000 1388', 'socks5://192.0.2.7', '192.0.2.7'],
    ['05 00 00 01 00000000 1388', 'socks5://proxy.example', '2001:db8::7'],
    [`05 00 00 04 ${'00'.repeat(16)} 1388`, 'socks5://192.0.2.7', '192.0.2.7'],
    [`05 00 00 04 ${'00'.repeat(10)}ffffc0000209 1388`, 'socks5://192.0.2.7', '192.0.2.9'],
    ['05 00 00 03 0d 72656c61792e6578616d706c65 1388', 'socks5://192.0.2.7', '192.0.2.9'],
    ['05 00 00 03 00 1388', 'socks5://192.0.2.7', '192.0.2.7'],
    ['05 00 00 03 03 612062 1388', 'socks5://192.0.2.7', '192.0.2.7'],
    ['05 00 00 03 07 756e6b6e6f776e 1388', 'socks5://192.0.2.7', '192.0.2.7'],
  ])('takes BND.ADDR %s of %s for %s', async (reply, url, host) => {
    const { association, socket } = await opened(reply, url)
    association.send(bytes('q'), { host: '198.51.100.1', port: 53 })
    expect(socket.sent[0]?.to).toEqual({ host, port: 5_000 })
    expect(socket.address.host).toBe(host.includes(':') ? '::' : '0.0.0.0')
  })

  it('delivers what is headed by a name', async () => {
    const { receive, received } = await opened()
    receive('000000 03 09 612e6578616d706c65 0035 61')
    expect(received.texts).toEqual(['a<a.example:53'])
  })

  it('drops what does not come from the relay, is a fragment or makes no sense', async () => {
    const { receive, received, association, socket } = await opened()
    receive('000000 01 c6336401 0035 61', { host: '192.0.2.9', port: 5_001 })
    receive('000000 01 c6336401 0035 61', { host: '192.0.2.8', port: 5_000 })
    receive('000001 01 c6336401 0035 61')
    receive('000000 03 00 0035 61')
    receive('000000 09 c6336401 0035 61')
    for (let length = 0; length < 10; length += 1) {
      socket.handler?.datagram(hex('00000001c63364010035').subarray(0, length), FROM_RELAY)
    }
    expect(received.texts).toEqual([])
    expect(association).toMatchObject({ dropped: { unsolicited: 2, fragment: 1, malformed: 12 } })
  })

  it('drops what is too large with its header, and what has no destination', async () => {
    const { association, socket } = await opened()
    const destination = { host: '198.51.100.1', port: 53 }
    association.send(new Uint8Array(MAX_DATAGRAM_BYTES - 10), destination)
    association.send(new Uint8Array(MAX_DATAGRAM_BYTES - 9), destination)
    association.send(new Uint8Array(MAX_DATAGRAM_BYTES + 1), destination)
    association.send(bytes('q'), { host: 'ü'.repeat(128), port: 53 })
    association.send(bytes('q'), { host: 'a', port: 0 })
    expect(socket.sent.map(({ data }) => data.byteLength)).toEqual([MAX_DATAGRAM_BYTES])
    expect(association).toMatchObject({
      dropped: { oversize: 2, badDestination: 2 },
      sentBytes: MAX_DATAGRAM_BYTES - 10,
    })
  })

  it('drops what the policy refuses, and logs it once', async () => {
    const { association, socket, log } = await opened()
    for (const host of ['169.254.169.254', '0xa9fea9fe', 'ff02::1']) association.send(bytes('q'), { host, port: 53 })
    expect(socket.sent).toEqual([])
    expect(association).toMatchObject({ dropped: { refused: 3 } })
    expect(log.named('udp.refused')).toHaveLength(1)
  })

  it('ignores bytes on the control connection and ends with it', async () => {
    const { peer, received, socket, proxy } = await opened()
    peer.write(bytes('x'.repeat(1_000_000)))
    await settle()
    expect(peer.writtenBytes).toBe(1_000_012)
    expect(received.closes).toBe(0)
    peer.end()
    await settle()
    expect(received.closes).toBe(1)
    expect(socket.closed).toBe(true)
    expect(proxy.streams[0]?.closed).toBe(true)
    expect(proxy.clock.pending).toBe(0)
  })

  it('ends with the error of the control connection', async () => {
    const { peer, received } = await opened()
    peer.abort(new LinkSocksError('ERR_CANCELLED', 'gone'))
    await settle()
    expect(received.closes).toBe(1)
    expect(received.error?.code).toBe('ERR_STREAM_RESET')
  })

  it('ends the control connection when it is closed, once, and is silent from then on', async () => {
    const { association, peer, received, receive, socket } = await opened()
    association.close()
    association.close()
    association.send(bytes('q'), { host: '198.51.100.1', port: 53 })
    receive('000000 01 c6336401 0035 61')
    await settle()
    expect(peer.ended).toBe(true)
    expect(received).toMatchObject({ closes: 1, texts: [] })
    expect(socket.sent).toEqual([])
  })

  it('closes when idle', async () => {
    const { proxy, association, receive, received } = await opened()
    proxy.clock.advance(UDP_TIMEOUT_MS - 1)
    association.send(bytes('q'), { host: '198.51.100.1', port: 53 })
    proxy.clock.advance(UDP_TIMEOUT_MS - 1)
    receive('000000 01 c6336401 0035 61')
    proxy.clock.advance(UDP_TIMEOUT_MS - 1)
    expect(received.closes).toBe(0)
    proxy.clock.advance(1)
    expect(received.closes).toBe(1)
  })

  it('reports an end that came before start', async () => {
    const { peer, opening } = await open()
    const association = await opening
    peer.end()
    await settle()
    const received = new Received()
    association.start(received)
    expect(received.closes).toBe(1)
  })

  it('passes on that the proxy carries no UDP', async () => {
    const { opening, proxy } = await open('05 07 00 01 00000000 0000')
    expect((await failureOf(opening)).code).toBe('ERR_DIAL_UNSUPPORTED')
    expect(proxy.streams[0]?.closed).toBe(true)
  })

  it('fails when the proxy names port 0', async () => {
    const { opening } = await open('05 00 00 01 c0000209 0000')
    expect((await failureOf(opening)).code).toBe('ERR_PROXY_FAILED')
  })

  it('fails when the proxy names a link-local IPv6 address, which leads nowhere without a zone', async () => {
    const { opening, proxy } = await open(`05 00 00 04 fe80${'00'.repeat(13)}01 1388`)
    const { code, message } = await failureOf(opening)
    expect([code, message]).toEqual([
      'ERR_PROXY_FAILED',
      expect.stringContaining('the proxy named a link-local IPv6 address for UDP'),
    ])
    expect(proxy.streams[0]?.closed).toBe(true)
  })

  it('fails when no socket can be bound, and ends the connection', async () => {
    const { dialer, udp, proxy } = setUp()
    udp.failure = () => new Error('no sockets left')
    const failure = failureOf(dialer.associate())
    await settle()
    proxy.peer().write(hex(`05 00 ${RELAY}`))
    expect((await failure).code).toBe('ERR_DIAL_FAILED')
    expect(proxy.streams[0]?.closed).toBe(true)
  })

  it('has a deadline and can be cancelled', async () => {
    const late = setUp()
    const timedOut = failureOf(late.dialer.associate())
    await late.proxy.clock.advanceAsync(CONNECT_TIMEOUT_MS)
    expect((await timedOut).code).toBe('ERR_DIAL_TIMEOUT')
    const controller = new AbortController()
    const { opening, udp } = await open('', undefined, { signal: controller.signal })
    controller.abort()
    expect((await failureOf(opening)).code).toBe('ERR_CANCELLED')
    expect(udp.sockets).toEqual([])
  })
})
