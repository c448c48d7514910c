import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import {
  FAILED_NAME_TTL_MS,
  MAX_NAMES,
  MAX_PENDING_NAMES,
  NAME_TTL_MS,
  UdpNames,
} from '../../../src/exit/udp/udp-names.js'
import { UdpRelay } from '../../../src/exit/udp/udp-relay.js'
import { MAX_WAITING_BYTES, MAX_WAITING_DATAGRAMS, WaitingDatagrams } from '../../../src/exit/udp/waiting-datagrams.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { bytes, Calls, FakeUdp, Received } from '../fakes.js'

async function setUp() {
  const clock = new ManualClock()
  const resolver = new Calls<string, readonly string[]>()
  const udp = new FakeUdp()
  const relay = await UdpRelay.open({ bindDatagrams: udp.bind, resolve: resolver.call, clock })
  relay.start(new Received())
  const send = (text: string, host: string): void => relay.send(bytes(text), { host, port: 53 })
  return { clock, resolver, relay, send, socket: udp.socket(0) }
}

describe('UdpRelay and names', () => {
  it('keeps datagrams to a name in order while it is looked up, others do not wait', async () => {
    const { send, resolver, socket } = await setUp()
    send('1', 'a.example')
    send('2', 'A.example')
    send('x', 'b.example')
    send('now', '192.0.2.9')
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    send('3', 'a.example')
    resolver.at(1).resolve(['192.0.2.2'])
    await settle()
    expect(socket.texts).toEqual([
      'now>192.0.2.9:53',
      '1>192.0.2.1:53',
      '2>192.0.2.1:53',
      '3>192.0.2.1:53',
      'x>192.0.2.2:53',
    ])
    expect(resolver.asked).toEqual(['a.example', 'b.example'])
  })

  it('keeps what was to be sent although the sender uses its memory again', async () => {
    const { relay, resolver, socket } = await setUp()
    const data = bytes('first')
    relay.send(data, { host: 'a.example', port: 53 })
    data.fill(0)
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    expect(socket.texts).toEqual(['first>192.0.2.1:53'])
  })

  it('asks again when the answer is too old', async () => {
    const { send, resolver, clock } = await setUp()
    send('q', 'a.example')
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    clock.advance(NAME_TTL_MS - 1)
    send('q', 'a.example')
    expect(resolver.asked).toHaveLength(1)
    clock.advance(1)
    send('q', 'a.example')
    expect(resolver.asked).toHaveLength(2)
  })

  it('drops and counts what goes to a name that does not resolve, and soon asks again', async () => {
    const { send, resolver, relay, clock } = await setUp()
    send('1', 'nowhere.example')
    resolver.at(0).reject(new LinkSocksError('ERR_DIAL_HOST_UNREACHABLE', 'no such name'))
    await settle()
    send('2', 'nowhere.example')
    expect(relay.dropped).toEqual({ unresolved: 2 })
    clock.advance(FAILED_NAME_TTL_MS)
    send('3', 'nowhere.example')
    expect(resolver.asked).toHaveLength(2)
  })

  it(`looks up ${MAX_PENDING_NAMES} names at a time and drops what goes to more`, async () => {
    const { send, resolver, relay } = await setUp()
    for (let at = 0; at < MAX_PENDING_NAMES; at += 1) send('q', `n${at}.example`)
    send('q', 'more.example')
    send('q', 'n0.example')
    expect(resolver.asked).toHaveLength(MAX_PENDING_NAMES)
    expect(relay.dropped).toEqual({ tooManyNames: 1 })
    resolver.at(0).resolve([])
    await settle()
    send('q', 'more.example')
    expect(resolver.asked).toHaveLength(MAX_PENDING_NAMES + 1)
  })

  it('drops the oldest waiting datagrams and counts them', async () => {
    const { send, resolver, relay, socket } = await setUp()
    for (let at = 0; at < MAX_WAITING_DATAGRAMS + 2; at += 1) send(`${at}`, 'a.example')
    expect(relay.dropped).toEqual({ queueFull: 2 })
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    expect(socket.texts).toHaveLength(MAX_WAITING_DATAGRAMS)
    expect(socket.texts[0]).toBe('2>192.0.2.1:53')
  })
})

describe('UdpNames', () => {
  it(`remembers ${MAX_NAMES} names, the most recently used`, async () => {
    const names = new UdpNames(async () => ['192.0.2.1'], new ManualClock())
    for (let at = 0; at < MAX_NAMES; at += 1) {
      names.ask(`n${at}`, () => {})
      await settle()
    }
    names.known('n0')
    names.ask('more', () => {})
    await settle()
    expect(names.size).toBe(MAX_NAMES)
    expect([names.known('n0'), names.known('n1')]).toEqual([['192.0.2.1'], undefined])
  })

  it('tells nobody after close', async () => {
    const resolver = new Calls<string, readonly string[]>({ heedSignal: false })
    const names = new UdpNames(resolver.call, new ManualClock())
    let told = false
    names.ask('a', () => {
      told = true
    })
    names.close()
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    expect(told).toBe(false)
    expect(names.size).toBe(0)
  })
})

describe('WaitingDatagrams', () => {
  it('is bounded in bytes too, and has its room back after take() and clear()', () => {
    const waiting = new WaitingDatagrams()
    const large = new Uint8Array(MAX_WAITING_BYTES / 8)
    const destination = { host: 'a', port: 1 }
    for (let at = 0; at < 8; at += 1) expect(waiting.push(at < 4 ? 'a' : 'b', large, destination)).toBe(0)
    expect(waiting.push('b', Uint8Array.of(1), destination)).toBe(1)
    expect(waiting.take('a')).toHaveLength(3)
    for (let at = 0; at < 3; at += 1) expect(waiting.push('c', large, destination)).toBe(0)
    expect(waiting.push('c', large, destination)).toBe(1)
    waiting.clear()
    expect(waiting.size).toBe(0)
    for (let at = 0; at < 8; at += 1) expect(waiting.push('d', large, destination)).toBe(0)
  })
})
