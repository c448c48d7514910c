import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { MAX_RUNNING_LOOKUPS } from '../../src/exit/dial/lookups.js'
import { ATTEMPT_DELAY_MS } from '../../src/exit/dial/race.js'
import { DirectDialer } from '../../src/exit/direct-dialer.js'
import { UDP_TIMEOUT_MS } from '../../src/exit/udp/udp-relay.js'
import type { ByteStream, EgressPolicy, SocketAddress } from '../../src/ports.js'
import { CONNECT_TIMEOUT_MS } from '../../src/protocol/limits.js'
import { Rep, repOf } from '../../src/protocol/rep.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { Calls, FakeUdp, failureOf, IdleStream, Received, RecordingLog } from './fakes.js'

function setUp(options: { policy?: EgressPolicy; heedSignal?: boolean } = {}) {
  const clock = new ManualClock()
  const resolver = new Calls<string, readonly string[]>({ heedSignal: false })
  const connects = new Calls<SocketAddress, ByteStream>(options)
  const udp = new FakeUdp()
  const log = new RecordingLog()
  const dialer = new DirectDialer({
    resolve: resolver.call,
    connectTcp: connects.call,
    bindDatagrams: udp.bind,
    clock,
    log,
    policy: options.policy,
  })
  return { clock, resolver, connects, udp, log, dialer }
}

describe('DirectDialer', () => {
  it('resolves, races the families and gives the stream that answered first', async () => {
    const { dialer, resolver, connects, clock } = setUp()
    const dialled = dialer.dial({ host: 'example.com', port: 443 })
    resolver.at(0).resolve(['2001:db8::1', '2001:db8::2', '192.0.2.1'])
    await settle()
    clock.advance(ATTEMPT_DELAY_MS)
    expect(connects.asked).toEqual([
      { host: '2001:db8::1', port: 443 },
      { host: '192.0.2.1', port: 443 },
    ])
    const stream = new IdleStream()
    connects.at(1).resolve(stream)
    expect(await dialled).toBe(stream)
    expect(clock.pending).toBe(0)
  })

  it('dials IP text without asking the resolver, an IPv4-mapped address as IPv4', async () => {
    const { dialer, resolver, connects } = setUp()
    const dialled = dialer.dial({ host: '::ffff:127.0.0.1', port: 80 })
    await settle()
    connects.at(0).resolve(new IdleStream())
    await dialled
    expect(connects.asked).toEqual([{ host: '127.0.0.1', port: 80 }])
    expect(resolver.asked).toEqual([])
  })

  it.each(['169.254.169.254', '::ffff:169.254.169.254', '0.0.0.0', 'fe80::1', 'fe80::1%eth0'])(
    'does not connect to %s',
    async (host) => {
      const { dialer, connects } = setUp()
      const error = await failureOf(dialer.dial({ host, port: 80 }))
      expect(repOf(error)).toBe(Rep.NotAllowed)
      expect(connects.asked).toEqual([])
    },
  )

  it('shows the policy each address after resolution and dials those it allows', async () => {
    const { dialer, resolver, connects, log } = setUp()
    const dialled = dialer.dial({ host: 'rebind.example', port: 80 })
    resolver.at(0).resolve(['169.254.169.254', '10.0.0.1'])
    await settle()
    connects.at(0).resolve(new IdleStream())
    await dialled
    expect(connects.asked).toEqual([{ host: '10.0.0.1', port: 80 }])
    expect(log.named('dial.refused')).toEqual([
      { target: 'rebind.example:80', address: '169.254.169.254:80', reason: 'link-local address' },
    ])
  })

  it('says why when the policy refuses every address', async () => {
    const seen: SocketAddress[] = []
    const policy: EgressPolicy = (address, protocol) => {
      seen.push(address)
      return `no ${protocol} today`
    }
    const { dialer, resolver } = setUp({ policy })
    const failure = failureOf(dialer.dial({ host: 'a.example', port: 80 }))
    resolver.at(0).resolve(['1.1.1.1', '1.1.1.2'])
    expect(await failure).toMatchObject({
      code: 'ERR_DIAL_NOT_ALLOWED',
      message: 'a.example:80 is not allowed: no tcp today',
    })
    expect(seen.map(({ host }) => host)).toEqual(['1.1.1.1', '1.1.1.2'])
  })

  it.each([
    { host: 'example.com', port: 0, code: 'ERR_DIAL_FAILED' },
    { host: '', port: 80, code: 'ERR_DIAL_HOST_UNREACHABLE' },
    { host: 'a\u0000.example', port: 80, code: 'ERR_DIAL_HOST_UNREACHABLE' },
    { host: 'localhost:80', port: 80, code: 'ERR_DIAL_HOST_UNREACHABLE' },
  ])('refuses $host:$port without asking anyone', async ({ code, ...target }) => {
    const { dialer, resolver, clock } = setUp()
    expect((await failureOf(dialer.dial(target))).code).toBe(code)
    expect(resolver.asked).toEqual([])
    expect(clock.pending).toBe(0)
  })

  it('reports a name that does not resolve as an unreachable host', async () => {
    const { dialer, resolver } = setUp()
    const failures = ['a', 'b'].map((host) => failureOf(dialer.dial({ host, port: 80 })))
    resolver.at(0).reject(new LinkSocksError('ERR_DIAL_HOST_UNREACHABLE', 'a does not resolve'))
    resolver.at(1).resolve([])
    for (const error of await Promise.all(failures)) expect(repOf(error)).toBe(Rep.HostUnreachable)
  })

  it('counts resolution and connecting against one deadline', async () => {
    const { dialer, resolver, connects, clock } = setUp()
    const failure = failureOf(dialer.dial({ host: 'slow.example', port: 80 }))
    await clock.advanceAsync(CONNECT_TIMEOUT_MS - 1)
    resolver.at(0).resolve(['192.0.2.1'])
    await settle()
    expect(connects.asked).toHaveLength(1)
    await clock.advanceAsync(1)
    expect((await failure).code).toBe('ERR_DIAL_TIMEOUT')
    expect(connects.at(0).aborted).toBe(true)
    expect(clock.pending).toBe(0)
  })

  it('times out while the resolver is silent', async () => {
    const { dialer, clock } = setUp()
    const failure = failureOf(dialer.dial({ host: 'silent.example', port: 80 }))
    await clock.advanceAsync(CONNECT_TIMEOUT_MS)
    expect((await failure).code).toBe('ERR_DIAL_TIMEOUT')
  })

  it('is cancelled while it resolves and while it connects', async () => {
    const { dialer, resolver, connects } = setUp()
    const controllers = [new AbortController(), new AbortController()]
    const failures = controllers.map(({ signal }, at) =>
      failureOf(dialer.dial({ host: `n${at}.example`, port: 80 }, { signal })),
    )
    resolver.at(1).resolve(['192.0.2.1'])
    await settle()
    controllers[0]?.abort()
    controllers[1]?.abort(new LinkSocksError('ERR_SESSION_CLOSED', 'session is over'))
    const codes = (await Promise.all(failures)).map(({ code }) => code)
    expect(codes).toEqual(['ERR_CANCELLED', 'ERR_SESSION_CLOSED'])
    expect(connects.at(0).aborted).toBe(true)
  })

  it('leaves no stream behind that connects after the cancel', async () => {
    const { dialer, connects } = setUp({ heedSignal: false })
    const controller = new AbortController()
    const failure = failureOf(dialer.dial({ host: '192.0.2.1', port: 80 }, { signal: controller.signal }))
    await settle()
    controller.abort()
    expect((await failure).code).toBe('ERR_CANCELLED')
    const late = new IdleStream()
    connects.at(0).resolve(late)
    await settle()
    expect(late.aborted?.code).toBe('ERR_CANCELLED')
  })

  it('leaves no stream behind when the cancel comes right after the connect', async () => {
    const { dialer, connects } = setUp()
    const controller = new AbortController()
    const failure = failureOf(dialer.dial({ host: '192.0.2.1', port: 80 }, { signal: controller.signal }))
    await settle()
    const stream = new IdleStream()
    connects.at(0).resolve(stream)
    await Promise.resolve()
    controller.abort()
    expect((await failure).code).toBe('ERR_CANCELLED')
    expect(stream.aborted?.code).toBe('ERR_CANCELLED')
  })

  it('bounds the look-ups of all its dials together', async () => {
    const { dialer, resolver } = setUp()
    for (let at = 0; at < MAX_RUNNING_LOOKUPS * 3; at += 1) {
      dialer.dial({ host: `n${at}.example`, port: 80 }).catch(() => {})
    }
    await settle()
    expect(resolver.asked).toHaveLength(MAX_RUNNING_LOOKUPS)
  })

  it('opens UDP relays with its policy and timeout', async () => {
    const { dialer, udp, clock } = setUp()
    const relay = await dialer.associate()
    const received = new Received()
    relay.start(received)
    relay.send(new Uint8Array(1), { host: '169.254.169.254', port: 53 })
    expect(udp.socket(0).sent).toEqual([])
    clock.advance(UDP_TIMEOUT_MS)
    expect(received.closes).toBe(1)
    expect((await failureOf(dialer.associate({ signal: AbortSignal.abort() }))).code).toBe('ERR_CANCELLED')
  })
})
