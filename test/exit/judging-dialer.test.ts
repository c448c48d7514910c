import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { JudgedSocket, JudgingDialer } from '../../src/exit/judging-dialer.js'
import type { ByteStream, DatagramSocket, DialOptions, SocketAddress, Target, TargetJudge } from '../../src/ports.js'
import { CONNECT_TIMEOUT_MS } from '../../src/protocol/limits.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { bytes, Calls, FakeSocket, failureOf, IdleStream, Received } from './fakes.js'

const NAME: Target = { host: 'a.example', port: 443 }

/** Says of names what it is given, and denies addresses of 10.0.0.0/8. */
const judgeOf = (asked: string | undefined): TargetJudge & { said: string | undefined } => {
  const judge = {
    said: asked,
    asked: () => judge.said,
    address: (_asked: string, { host }: SocketAddress) => (host.startsWith('10.') ? 'denied by rule 7' : undefined),
  }
  return judge
}

function setUp() {
  const clock = new ManualClock()
  const resolver = new Calls<string, readonly string[]>()
  const dials = new Calls<Target, ByteStream>()
  const given: (DialOptions | undefined)[] = []
  const associations = new Calls<undefined, DatagramSocket>()
  const dialer = new JudgingDialer({
    dialer: {
      dial: (target, options) => {
        given.push(options)
        return dials.call(target, options)
      },
      associate: (options) => associations.call(undefined, options),
    },
    resolve: resolver.call,
    clock,
  })
  return { clock, resolver, dials, given, associations, dialer }
}

describe('JudgingDialer', () => {
  it.each([
    ['nobody judges', undefined],
    ['the name decides', judgeOf(undefined)],
  ])('passes a name as it is where %s, and looks nothing up', async (_name, judge) => {
    const { dialer, dials, resolver, given } = setUp()
    const opened = dialer.dial(NAME, { judge })
    dials.at(0).resolve(new IdleStream())
    await opened
    expect([dials.asked, resolver.asked, given[0]?.judge]).toEqual([[NAME], [], undefined])
  })

  it('dials and looks up nothing that is denied', async () => {
    const { dialer, dials, resolver } = setUp()
    const { code, message } = await failureOf(dialer.dial(NAME, { judge: judgeOf('denied by rule 3') }))
    expect([code, message]).toEqual(['ERR_DIAL_NOT_ALLOWED', 'a.example:443 is not allowed: denied by rule 3'])
    expect([dials.asked, resolver.asked]).toEqual([[], []])
  })

  it('sends an allowed address on, IPv4 first, and tells that it was reached', async () => {
    const { dialer, dials, resolver } = setUp()
    const reached: SocketAddress[] = []
    const opened = dialer.dial(NAME, { judge: judgeOf('depends'), reached: (address) => reached.push(address) })
    resolver.at(0).resolve(['2001:db8::1', '10.0.0.1', '203.0.113.1'])
    await settle()
    expect([dials.asked, reached]).toEqual([[{ host: '203.0.113.1', port: 443 }], []])
    dials.at(0).resolve(new IdleStream())
    await opened
    expect(reached).toEqual([{ host: '203.0.113.1', port: 443 }])
  })

  it.each([
    ['every address is denied', ['10.0.0.1', '10.0.0.2'], 'denied by rule 7'],
    ['there is no address', [], 'its name has no address'],
  ])('dials nothing where %s', async (_name, addresses, why) => {
    const { dialer, dials, resolver } = setUp()
    const failure = failureOf(dialer.dial(NAME, { judge: judgeOf('depends') }))
    resolver.at(0).resolve(addresses)
    expect((await failure).message).toContain(why)
    expect(dials.asked).toEqual([])
  })

  it('gives up a look-up that is cancelled, and dials nothing when it ends', async () => {
    const { clock, dialer, dials, resolver } = setUp()
    const asker = new AbortController()
    const failure = failureOf(dialer.dial(NAME, { judge: judgeOf('depends'), signal: asker.signal }))
    await settle()
    asker.abort(new LinkSocksError('ERR_CANCELLED', 'gone'))
    expect((await failure).code).toBe('ERR_CANCELLED')
    resolver.at(0).resolve(['203.0.113.1'])
    await settle()
    expect(dials.asked).toEqual([])
    await clock.advanceAsync(60_000)
    expect(clock.pending).toBe(0)
  })

  it('waits for a look-up no longer than for a connection', async () => {
    const { clock, dialer, dials } = setUp()
    const failure = failureOf(dialer.dial(NAME, { judge: judgeOf('depends') }))
    await clock.advanceAsync(CONNECT_TIMEOUT_MS)
    expect((await failure).code).toBe('ERR_DIAL_TIMEOUT')
    expect(dials.asked).toEqual([])
  })

  it('says what a look-up failed by', async () => {
    const { dialer, resolver } = setUp()
    const failure = failureOf(dialer.dial(NAME, { judge: judgeOf('depends') }))
    resolver.at(0).reject(new LinkSocksError('ERR_DIAL_HOST_UNREACHABLE', 'no such name'))
    expect((await failure).code).toBe('ERR_DIAL_HOST_UNREACHABLE')
  })

  it('asks about each datagram what holds then, and drops names that depend on their addresses', async () => {
    const { dialer, associations } = setUp()
    const judge = judgeOf(undefined)
    const opening = dialer.associate({ judge })
    const far = new FakeSocket('0.0.0.0')
    associations.at(0).resolve(far)
    const socket = await opening
    for (const [said, word] of [
      [undefined, 'one'],
      ['denied', 'two'],
      ['depends', 'three'],
      [undefined, 'four'],
    ] as const) {
      judge.said = said
      socket.send(bytes(word), NAME)
    }
    expect(far.texts).toEqual(['one>a.example:443', 'four>a.example:443'])
    expect(socket.sentBytes).toBe(7)
  })

  it('gives out a socket as it is where nobody judges', async () => {
    const { dialer, associations } = setUp()
    const opening = dialer.associate()
    const far = new FakeSocket('0.0.0.0')
    associations.at(0).resolve(far)
    expect(await opening).toBe(far)
  })
})

describe('JudgedSocket', () => {
  it('delivers what comes, and closes with the socket that it judges for', () => {
    const far = new FakeSocket('0.0.0.0')
    const socket = new JudgedSocket(far, () => false)
    const received = new Received()
    socket.start(received)
    far.handler?.datagram(bytes('in'), { host: '10.0.0.1', port: 53 })
    socket.send(bytes('out'), NAME)
    socket.close()
    socket.close()
    expect([received.texts, far.sent, received.closes]).toEqual([['in<10.0.0.1:53'], [], 1])
  })
})
