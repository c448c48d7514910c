import { describe, expect, it, vi } from 'vitest'
import { AccessList } from '../../../src/exit/dial/access-rules.js'
import { DatagramGate } from '../../../src/exit/udp/datagram-gate.js'
import { GatedTotal, MAX_GATED_BYTES, MAX_GATED_BYTES_OF_SOURCE } from '../../../src/exit/udp/gated-total.js'
import { MAX_PENDING_NAMES, NAME_TTL_MS } from '../../../src/exit/udp/udp-names.js'
import { MAX_WAITING_BYTES, MAX_WAITING_DATAGRAMS } from '../../../src/exit/udp/waiting-datagrams.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { Calls, RecordingLog } from '../fakes.js'

function setUp(total = new GatedTotal(), source?: string) {
  const clock = new ManualClock()
  const resolver = new Calls<string, readonly string[]>()
  const log = new RecordingLog()
  const passed: string[] = []
  const current: { list: AccessList | undefined } = {
    list: new AccessList([{ addresses: ['192.0.2.0/24'], ports: [53] }]),
  }
  const gate = new DatagramGate({
    access: [() => current.list],
    resolve: resolver.call,
    clock,
    log,
    total,
    source,
    pass: (data, { host: name, port }, host) =>
      passed.push(`${new TextDecoder().decode(data)}>${name}=${host}:${port}`),
  })
  const send = (text: string, host: string, port = 53): void =>
    gate.send(new TextEncoder().encode(text), { host, port })
  return { clock, resolver, log, passed, current, gate, send, total }
}

describe('DatagramGate', () => {
  it('passes what goes to an allowed address, at once and in its one spelling', () => {
    const { passed, send, resolver } = setUp()
    send('a', '192.0.2.1')
    send('b', '::ffff:192.0.2.2')
    expect(passed).toEqual(['a>192.0.2.1=192.0.2.1:53', 'b>::ffff:192.0.2.2=192.0.2.2:53'])
    expect(resolver.asked).toEqual([])
  })

  it('drops what is refused, counts it, and logs the first', () => {
    const { gate, passed, send, log, resolver } = setUp()
    send('a', '192.0.2.1', 54)
    send('b', '198.51.100.1')
    send('c', 'fe80::1%eth0')
    send('d', '', 53)
    send('e', '192.0.2.1', 0)
    expect(passed).toEqual([])
    expect(gate.dropped).toBe(5)
    expect(resolver.asked).toEqual([])
    expect(log.named('udp.refused')).toEqual([{ address: '192.0.2.1:54', reason: 'blocked by access control' }])
  })

  it('judges by the rules there are at each datagram, and passes all without rules', () => {
    const { gate, passed, send, current } = setUp()
    send('a', '192.0.2.1')
    current.list = new AccessList([{ addresses: ['198.51.100.0/24'] }])
    send('b', '192.0.2.1')
    send('c', '198.51.100.1')
    current.list = undefined
    send('d', 'name.example')
    expect(passed).toEqual([
      'a>192.0.2.1=192.0.2.1:53',
      'c>198.51.100.1=198.51.100.1:53',
      'd>name.example=name.example:53',
    ])
    expect(gate.dropped).toBe(1)
  })

  it('goes through the rules once for each refused address and port, until the rules are others', async () => {
    const { gate, send, current, passed, resolver } = setUp()
    const list = new AccessList([{ ports: [53] }])
    const allows = vi.spyOn(list, 'allows')
    current.list = list
    for (const text of ['a', 'b', 'c']) send(text, '198.51.100.1', 54)
    send('d', '198.51.100.1', 55)
    send('1', 'two.example', 54)
    resolver.at(0).resolve(['198.51.100.1', '198.51.100.2'])
    await settle()
    send('2', 'two.example', 54)
    expect(allows.mock.calls.map(([{ host, port }]) => `${host}:${port}`)).toEqual([
      '198.51.100.1:54',
      '198.51.100.1:55',
      '198.51.100.2:54',
    ])
    expect([passed, gate.dropped]).toEqual([[], 6])
    current.list = new AccessList([{ ports: [54] }])
    send('e', '198.51.100.1', 54)
    expect(passed).toEqual(['e>198.51.100.1=198.51.100.1:54'])
  })

  it('lets the datagrams of a name wait for one look-up, in order, while others pass', async () => {
    const { passed, send, resolver } = setUp()
    send('1', 'DNS.example')
    send('2', 'dns.example')
    send('x', '192.0.2.9')
    expect(passed).toEqual(['x>192.0.2.9=192.0.2.9:53'])
    resolver.at(0).resolve(['10.0.0.1', '192.0.2.1'])
    await settle()
    expect(passed.slice(1)).toEqual(['1>DNS.example=192.0.2.1:53', '2>dns.example=192.0.2.1:53'])
    expect(resolver.asked).toEqual(['dns.example'])
  })

  it('judges a name again when its answer is old, and stays with an address that was allowed meanwhile', async () => {
    const { clock, passed, send, resolver } = setUp()
    send('1', 'rebind.example')
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    send('2', 'rebind.example')
    clock.advance(NAME_TTL_MS)
    send('3', 'rebind.example')
    resolver.at(1).resolve(['10.0.0.1'])
    await settle()
    expect(passed).toEqual(['1>rebind.example=192.0.2.1:53', '2>rebind.example=192.0.2.1:53'])
  })

  it('drops what goes to a name that does not resolve', async () => {
    const { gate, passed, send, resolver } = setUp()
    send('1', 'gone.example')
    resolver.at(0).reject(new Error('no such name'))
    await settle()
    send('2', 'gone.example')
    expect([passed, gate.dropped]).toEqual([[], 2])
  })

  it('holds back so many datagrams and names, and drops the oldest and the latest', async () => {
    const { gate, passed, send, resolver } = setUp()
    for (let index = 0; index <= MAX_WAITING_DATAGRAMS; index += 1) send(`${index}`, 'one.example')
    expect(gate.dropped).toBe(1)
    for (let index = 1; index < MAX_PENDING_NAMES; index += 1) send('n', `n${index}.example`)
    send('n', 'more.example')
    expect(resolver.asked).toHaveLength(MAX_PENDING_NAMES)
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    expect(passed[0]).toBe(`${MAX_PENDING_NAMES}>one.example=192.0.2.1:53`)
  })

  it('holds back no more bytes than all gates of a link may', async () => {
    const total = new GatedTotal()
    total.add(MAX_GATED_BYTES - 3)
    const { gate, passed, send, resolver } = setUp(total)
    send('abc', 'a.example')
    send('d', 'a.example')
    expect([total.bytes, gate.dropped]).toEqual([MAX_GATED_BYTES, 1])
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    expect(total.bytes).toBe(MAX_GATED_BYTES - 3)
    expect(passed).toEqual(['abc>a.example=192.0.2.1:53'])
  })

  it('lets one association hold no more than its share of them', async () => {
    const { gate, send, resolver, total } = setUp()
    const datagram = 'x'.repeat(60_000)
    for (let sent = 0; sent <= MAX_GATED_BYTES; sent += datagram.length) send(datagram, 'slow.example')
    expect(total.bytes).toBe(Math.floor(MAX_WAITING_BYTES / datagram.length) * datagram.length)
    const other = setUp(total)
    other.send('mine', 'b.example')
    expect(other.gate.dropped).toBe(0)
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    expect([total.bytes, gate.held]).toEqual([4, 2])
  })

  it('holds back no more bytes than one source may, in all of its associations, and takes those of others', async () => {
    const total = new GatedTotal()
    total.add(MAX_GATED_BYTES_OF_SOURCE - 6, 'noisy')
    const [first, second, other] = [setUp(total, 'noisy'), setUp(total, 'noisy'), setUp(total, 'quiet')]
    first.send('abc', 'a.example')
    second.send('def', 'a.example')
    second.send('g', 'a.example')
    other.send('h', 'a.example')
    expect([total.bytesOf('noisy'), total.bytesOf('quiet')]).toEqual([MAX_GATED_BYTES_OF_SOURCE, 1])
    expect([first, second, other].map(({ gate }) => gate.dropped)).toEqual([0, 1, 0])
    first.gate.close()
    second.send('i', 'a.example')
    second.send('jkl', 'a.example')
    expect(second.gate.dropped).toBe(2)
    for (const { resolver } of [second, other]) resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    expect(second.passed).toEqual(['def>a.example=192.0.2.1:53', 'i>a.example=192.0.2.1:53'])
    expect([total.bytes, total.bytesOf('quiet')]).toEqual([MAX_GATED_BYTES_OF_SOURCE - 6, 0])
  })

  it('forgets what waits when it is closed, ends its look-ups, and takes nothing more', async () => {
    const { gate, passed, send, resolver, total } = setUp()
    send('1', 'slow.example')
    gate.close()
    gate.close()
    expect([resolver.at(0).aborted, gate.held, total.bytes]).toEqual([true, 0, 0])
    resolver.at(0).resolve(['192.0.2.1'])
    send('2', '192.0.2.1')
    await settle()
    expect(passed).toEqual([])
  })
})
