import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { AccessDialer } from '../../src/exit/access-dialer.js'
import { accessList } from '../../src/exit/dial/access-rules.js'
import { MAX_RUNNING_LOOKUPS, MAX_RUNNING_LOOKUPS_OF_SOURCE, MAX_WAITING_LOOKUPS } from '../../src/exit/dial/lookups.js'
import { MAX_GATED_BYTES_OF_SOURCE } from '../../src/exit/udp/gated-total.js'
import { MAX_WAITING_BYTES } from '../../src/exit/udp/waiting-datagrams.js'
import type { AccessRule, ByteStream, DatagramSocket, Target } from '../../src/ports.js'
import { CONNECT_TIMEOUT_MS } from '../../src/protocol/limits.js'
import { Rep, repOf } from '../../src/protocol/rep.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { Calls, FakeSocket, failureOf, IdleStream } from './fakes.js'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function setUp(...rules: readonly AccessRule[]) {
  const clock = new ManualClock()
  const resolver = new Calls<string, readonly string[]>()
  const dials = new Calls<Target, ByteStream>()
  const associations = new Calls<undefined, DatagramSocket>()
  const current = { list: accessList(rules) }
  const dialer = new AccessDialer({
    dialer: { dial: dials.call, associate: (options) => associations.call(undefined, options) },
    access: [() => current.list],
    resolve: resolver.call,
    clock,
  })
  const associate = async (source?: string) => {
    const opening = dialer.associate({ source })
    const far = new FakeSocket('0.0.0.0')
    associations.pending.at(-1)?.resolve(far)
    return { socket: await opening, far }
  }
  return { clock, resolver, dials, current, dialer, associate }
}

const NETWORK = { addresses: ['192.0.2.0/24'] }

describe('AccessDialer', () => {
  it('passes names and addresses as they are without rules', async () => {
    const { dialer, dials, resolver, associate } = setUp()
    const dialled = dialer.dial({ host: 'a.example', port: 80 })
    const stream = new IdleStream()
    dials.at(0).resolve(stream)
    expect(await dialled).toBe(stream)
    expect(dials.asked).toEqual([{ host: 'a.example', port: 80 }])
    const { socket, far } = await associate()
    socket.send(bytes('x'), { host: 'a.example', port: 53 })
    expect(far.texts).toEqual(['x>a.example:53'])
    expect(resolver.asked).toEqual([])
  })

  it('sends on one allowed address in place of a name, looked up once', async () => {
    const { dialer, dials, resolver } = setUp(NETWORK)
    void dialer.dial({ host: 'a.example', port: 80 })
    resolver.at(0).resolve(['198.51.100.1', '192.0.2.1', '192.0.2.2'])
    await settle()
    expect(dials.asked).toEqual([{ host: '192.0.2.1', port: 80 }])
    expect(resolver.asked).toEqual(['a.example'])
  })

  it('looks up anew for each request, so that a name that moved is judged again', async () => {
    const { dialer, dials, resolver } = setUp(NETWORK)
    void dialer.dial({ host: 'rebind.example', port: 80 })
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    const second = failureOf(dialer.dial({ host: 'rebind.example', port: 80 }))
    resolver.at(1).resolve(['10.0.0.1'])
    expect((await second).code).toBe('ERR_DIAL_NOT_ALLOWED')
    expect(dials.asked).toEqual([{ host: '192.0.2.1', port: 80 }])
  })

  it('prefers IPv4 where both families are allowed', async () => {
    const { dialer, dials, resolver } = setUp({ addresses: ['::/0'] })
    void dialer.dial({ host: 'localhost', port: 80 })
    resolver.at(0).resolve(['::1', '127.0.0.1'])
    await settle()
    expect(dials.asked).toEqual([{ host: '127.0.0.1', port: 80 }])
  })

  it.each([
    ['10.0.0.1', []],
    ['::ffff:10.0.0.1', []],
    ['fe80::1%eth0', []],
    ['a.example', ['10.0.0.1', '10.0.0.2']],
    ['empty.example', []],
  ])('refuses %s that resolves to %j with REP 02', async (host, addresses) => {
    const { dialer, dials, resolver } = setUp(NETWORK)
    const failure = failureOf(dialer.dial({ host, port: 80 }))
    for (const lookup of resolver.pending) lookup.resolve(addresses)
    const error = await failure
    expect([repOf(error), error.code]).toEqual([Rep.NotAllowed, 'ERR_DIAL_NOT_ALLOWED'])
    expect(error.message).toMatch(/is not allowed: blocked by access control$/)
    expect(dials.asked).toEqual([])
  })

  it('refuses a name that does not resolve with REP 02, and says so', async () => {
    const { dialer, resolver } = setUp(NETWORK)
    const failure = failureOf(dialer.dial({ host: 'gone.example', port: 80 }))
    resolver.at(0).reject(new LinkSocksError('ERR_DIAL_HOST_UNREACHABLE', 'no such name'))
    expect(await failure).toMatchObject({
      code: 'ERR_DIAL_NOT_ALLOWED',
      message: "gone.example:80 is not allowed: its name can't be looked up where access is judged (no such name)",
    })
  })

  it('gives up a look-up after CONNECT_TIMEOUT_MS', async () => {
    const { dialer, clock } = setUp(NETWORK)
    const failure = failureOf(dialer.dial({ host: 'silent.example', port: 80 }))
    await clock.advanceAsync(CONNECT_TIMEOUT_MS - 1)
    await clock.advanceAsync(1)
    expect((await failure).code).toBe('ERR_DIAL_NOT_ALLOWED')
  })

  it('is cancelled while it looks up', async () => {
    const { dialer, dials, resolver } = setUp(NETWORK)
    const controller = new AbortController()
    const failure = failureOf(dialer.dial({ host: 'slow.example', port: 80 }, { signal: controller.signal }))
    controller.abort(new LinkSocksError('ERR_STREAM_RESET', 'the client went away'))
    expect((await failure).code).toBe('ERR_STREAM_RESET')
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    expect(dials.asked).toEqual([])
  })

  it('refuses one name more than may wait for a look-up', async () => {
    const { dialer } = setUp(NETWORK)
    const dial = (index: number) => dialer.dial({ host: `n${index}.example`, port: 80 })
    for (let index = 0; index < MAX_RUNNING_LOOKUPS + MAX_WAITING_LOOKUPS; index += 1) dial(index).catch(() => {})
    expect(await failureOf(dial(-1))).toMatchObject({ message: expect.stringContaining('too many names') })
  })

  it('leaves room for others beside one source, whose requests and datagrams count together', async () => {
    const { dialer, resolver, associate } = setUp(NETWORK)
    const { socket } = await associate('noisy')
    for (let index = 0; index < MAX_RUNNING_LOOKUPS_OF_SOURCE; index += 1) {
      socket.send(bytes('x'), { host: `u${index}.example`, port: 53 })
      dialer.dial({ host: `t${index}.example`, port: 80 }, { source: 'noisy' }).catch(() => {})
    }
    expect(resolver.asked).toEqual(['u0.example', 't0.example', 'u1.example', 't1.example'])
    dialer.dial({ host: 'quiet.example', port: 80 }, { source: 'quiet' }).catch(() => {})
    expect(resolver.asked.slice(MAX_RUNNING_LOOKUPS_OF_SOURCE)).toEqual(['quiet.example'])
  })

  it("bounds what one source's associations hold back together", async () => {
    const { associate, resolver } = setUp(NETWORK)
    const datagram = new Uint8Array(MAX_WAITING_BYTES / 8)
    const held = MAX_GATED_BYTES_OF_SOURCE / datagram.byteLength
    const noisy = [await associate('noisy'), await associate('noisy'), await associate('noisy')]
    noisy.push(await associate('noisy'), await associate('noisy'))
    for (const { socket } of noisy) {
      for (let sent = 0; sent < 8; sent += 1) socket.send(datagram, { host: 'slow.example', port: 53 })
    }
    const quiet = await associate('quiet')
    quiet.socket.send(datagram, { host: 'slow.example', port: 53 })
    expect(resolver.asked).toEqual(['slow.example'])
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    expect(noisy.reduce((sum, { far }) => sum + far.sent.length, 0)).toBe(held)
    expect(quiet.far.sent).toHaveLength(1)
  })

  it.each([0, -1, 65_536])('asks nobody about port %d', async (port) => {
    const { dialer, resolver } = setUp(NETWORK)
    expect((await failureOf(dialer.dial({ host: 'a.example', port }))).code).toBe('ERR_DIAL_FAILED')
    expect(resolver.asked).toEqual([])
  })

  it('judges by the rules there are when a request or a datagram comes', async () => {
    const { dialer, dials, current, associate } = setUp(NETWORK)
    const { socket, far } = await associate()
    current.list = accessList([{ addresses: ['10.0.0.1'] }])
    void dialer.dial({ host: '10.0.0.1', port: 80 })
    await settle()
    expect(dials.asked).toHaveLength(1)
    socket.send(bytes('old'), { host: '192.0.2.1', port: 53 })
    socket.send(bytes('new'), { host: '10.0.0.1', port: 53 })
    expect(far.texts).toEqual(['new>10.0.0.1:53'])
  })

  it('judges each datagram, and passes answers and the end back', async () => {
    const { resolver, associate } = setUp({ ...NETWORK, ports: [53] })
    const { socket, far } = await associate()
    const got: string[] = []
    socket.start({ datagram: (data) => got.push(new TextDecoder().decode(data)), close: () => got.push('closed') })
    socket.send(bytes('a'), { host: '192.0.2.1', port: 53 })
    socket.send(bytes('b'), { host: '192.0.2.1', port: 54 })
    socket.send(bytes('c'), { host: 'dns.example', port: 53 })
    resolver.at(0).resolve(['10.0.0.1', '192.0.2.2'])
    await settle()
    expect([far.texts, socket.sentBytes]).toEqual([['a>192.0.2.1:53', 'c>192.0.2.2:53'], 2])
    far.handler?.datagram(bytes('answer'), { host: '192.0.2.1', port: 53 })
    far.close()
    expect(got).toEqual(['answer', 'closed'])
    socket.send(bytes('late'), { host: '192.0.2.1', port: 53 })
    socket.close()
    expect(far.sent).toHaveLength(2)
  })
})
