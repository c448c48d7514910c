import { describe, expect, it } from 'vitest'
import { type ErrorCode, LinkSocksError } from '../../../src/errors.js'
import { defaultEgressPolicy } from '../../../src/exit/dial/policy.js'
import { SocksProxyDialer } from '../../../src/exit/proxy/socks-proxy-dialer.js'
import type { AbortOptions } from '../../../src/ports.js'
import { CONNECT_TIMEOUT_MS } from '../../../src/protocol/limits.js'
import { repOf } from '../../../src/protocol/rep.js'
import { settle } from '../../support/manual-clock.js'
import { type MemoryStreamOptions, TestPeer } from '../../support/memory-stream.js'
import { hex, toHex } from '../../support/test-peer.js'
import { bytes, failureOf } from '../fakes.js'
import { FakeProxy } from './proxy-fixture.js'

const TARGET = { host: 'example.com', port: 443 }
const CONNECT = '05 01 00 03 0b 6578616d706c652e636f6d 01bb'
const SUCCESS = '05 00 00 01 00000000 0000'

function setUp(url = 'socks5://proxy.example', options?: MemoryStreamOptions) {
  const proxy = new FakeProxy(url, options)
  const dialer = new SocksProxyDialer({
    proxy: proxy.url,
    inner: proxy,
    clock: proxy.clock,
    policy: defaultEgressPolicy,
  })
  const dial = async (target = TARGET, abort?: AbortOptions) => {
    const dialled = dialer.dial(target, abort)
    dialled.catch(() => {})
    await settle()
    return { dialled, peer: proxy.peers.length > 0 ? proxy.peer(proxy.peers.length - 1) : new TestPeer(idle()) }
  }
  return { proxy, dialer, dial }
}

function idle() {
  return { start() {}, handBack() {}, consume() {}, write() {}, end() {}, close() {}, abort() {} }
}

async function expectHex(peer: TestPeer, expected: string): Promise<void> {
  const digits = expected.replaceAll(' ', '')
  expect(toHex(await peer.read(digits.length / 2))).toBe(digits)
}

describe('SocksProxyDialer', () => {
  it('asks for the domain without resolving it and gives a stream to it', async () => {
    const { proxy, dial } = setUp()
    const { dialled, peer } = await dial()
    expect(proxy.dialled).toEqual([{ host: 'proxy.example', port: 1080, protocol: 'socks5' }])
    await expectHex(peer, '05 01 00')
    peer.write(hex('05 00'))
    await expectHex(peer, CONNECT)
    peer.write(hex(SUCCESS))
    const far = new TestPeer(await dialled)
    far.write('to the target')
    peer.write('from the target')
    expect(new TextDecoder().decode(await peer.read(13))).toBe('to the target')
    expect(new TextDecoder().decode(await far.read(15))).toBe('from the target')
    peer.end()
    far.end()
    await Promise.all([far.untilClosed(), peer.untilClosed()])
    expect(far.writtenBytes).toBe(13)
    expect(proxy.clock.pending).toBe(0)
  })

  it('asks for IP text as an address', async () => {
    const { dial } = setUp()
    const { peer } = await dial({ host: '2001:db8::1', port: 80 })
    peer.write(hex('05 00'))
    await expectHex(peer, '05 01 00 05 01 00 04 20010db8000000000000000000000001 0050')
  })

  it('authenticates when the proxy asks for it, and not when it does not', async () => {
    const { dial } = setUp('socks5://us%C3%A9r:secret@proxy.example')
    const first = await dial()
    await expectHex(first.peer, '05 02 00 02')
    first.peer.write(hex('05 02'))
    await expectHex(first.peer, '01 05 7573c3a972 06 736563726574')
    first.peer.write(hex('01 00'))
    await expectHex(first.peer, CONNECT)
    first.peer.write(hex(SUCCESS))
    await first.dialled
    const second = await dial()
    await expectHex(second.peer, '05 02 00 02')
    second.peer.write(hex('05 00'))
    await expectHex(second.peer, CONNECT)
    second.peer.write(hex(SUCCESS))
    await second.dialled
  })

  it('keeps bytes that share a segment with the reply', async () => {
    const { dial } = setUp()
    const { dialled, peer } = await dial()
    peer.write(hex('05 00'))
    peer.write(new Uint8Array([...hex(SUCCESS), ...bytes('220 early bird\r\n')]))
    peer.end()
    expect(new TextDecoder().decode(await new TestPeer(await dialled).readAll())).toBe('220 early bird\r\n')
  })

  it.each(['01 00000000 0000', `04 ${'00'.repeat(16)} 0000`, '03 01 78 0000', '03 00 0000', '03 03 612062 0000'])(
    'reads every reply split at every byte, bound to %s',
    async (bound) => {
      const { dial } = setUp('socks5://u:p@h', { chunkSize: 1 })
      const { dialled, peer } = await dial()
      peer.write(hex(`05 02 01 00 05 00 00 ${bound} 41 42 43`))
      const far = new TestPeer(await dialled)
      expect(toHex(await far.read(3))).toBe('414243')
    },
  )

  it.each<[number, ErrorCode]>([
    [1, 'ERR_DIAL_FAILED'],
    [2, 'ERR_DIAL_NOT_ALLOWED'],
    [3, 'ERR_DIAL_NETWORK_UNREACHABLE'],
    [4, 'ERR_DIAL_HOST_UNREACHABLE'],
    [5, 'ERR_DIAL_REFUSED'],
    [6, 'ERR_DIAL_TIMEOUT'],
    [7, 'ERR_DIAL_UNSUPPORTED'],
    [8, 'ERR_DIAL_ADDRESS'],
    [0x5b, 'ERR_DIAL_FAILED'],
  ])('passes REP %d on as %s and ends the connection', async (rep, code) => {
    const { dial, proxy } = setUp()
    const { dialled, peer } = await dial()
    peer.write(Uint8Array.of(5, 0, 5, rep, 0, 1, 0, 0, 0, 0, 0, 0))
    const error = await failureOf(dialled)
    expect(error.code).toBe(code)
    expect(repOf(error)).toBe(rep <= 8 ? rep : 1)
    expect(proxy.streams[0]?.closed).toBe(true)
    expect(proxy.clock.pending).toBe(0)
  })

  it.each([
    ['no method in common', 'socks5://h', '05 ff'],
    ['a method that was not offered', 'socks5://h', '05 02'],
    ['an unknown method', 'socks5://u:p@h', '05 03'],
    ['a refused password', 'socks5://u:hunter2@h', '05 02 01 01'],
    ['another protocol', 'socks5://h', '48 54 54 50'],
    ['another version in the reply', 'socks5://h', '05 00 04 00 00 01'],
    ['an unknown address type', 'socks5://h', '05 00 05 00 00 09 00 00'],
  ])('fails with ERR_PROXY_FAILED at %s', async (_, url, answer) => {
    const { dial, proxy } = setUp(url)
    const { dialled, peer } = await dial()
    peer.write(hex(answer))
    const error = await failureOf(dialled)
    expect(error.code).toBe('ERR_PROXY_FAILED')
    expect(error.message).toContain('proxy')
    expect(error.message).not.toContain('hunter2')
    expect(proxy.streams[0]?.closed).toBe(true)
  })

  it.each(['', '05', '05 00', '05 00 05 00 00 01 00'])('fails when the proxy hangs up after "%s"', async (answer) => {
    const { dial } = setUp()
    const { dialled, peer } = await dial()
    peer.write(hex(answer))
    peer.end()
    expect((await failureOf(dialled)).code).toBe('ERR_PROXY_FAILED')
  })

  it.each(['', '05', '05 00', '05 00 05 00 00 01 00'])(
    'has a deadline for a proxy silent after "%s"',
    async (answer) => {
      const { dial, proxy } = setUp()
      const { dialled, peer } = await dial()
      peer.write(hex(answer))
      await proxy.clock.advanceAsync(CONNECT_TIMEOUT_MS - 1)
      expect(proxy.streams[0]?.closed).toBe(false)
      await proxy.clock.advanceAsync(1)
      expect((await failureOf(dialled)).code).toBe('ERR_DIAL_TIMEOUT')
      expect(proxy.streams[0]?.closed).toBe(true)
    },
  )

  it('is cancelled while it waits for the proxy', async () => {
    const { dial, proxy } = setUp()
    const controller = new AbortController()
    const { dialled, peer } = await dial(TARGET, { signal: controller.signal })
    peer.write(hex('05 00'))
    await settle()
    controller.abort()
    expect((await failureOf(dialled)).code).toBe('ERR_CANCELLED')
    expect(proxy.streams[0]?.closed).toBe(true)
    expect(proxy.clock.pending).toBe(0)
  })

  it('does not blame the destination when the proxy itself is not there', async () => {
    const { dialer, proxy } = setUp()
    proxy.failure = new LinkSocksError('ERR_DIAL_REFUSED', 'proxy.example:1080 refused the connection')
    expect(await failureOf(dialer.dial(TARGET))).toMatchObject({
      code: 'ERR_PROXY_FAILED',
      message: 'cannot reach the proxy: proxy.example:1080 refused the connection',
    })
  })

  it.each(['169.254.169.254', '0xa9fea9fe', '169.254.169.254.', '::ffff:169.254.169.254', 'fe80::1%eth0'])(
    'does not ask the proxy for %s',
    async (host) => {
      const { dialer, proxy } = setUp()
      expect((await failureOf(dialer.dial({ host, port: 80 }))).code).toBe('ERR_DIAL_NOT_ALLOWED')
      expect(proxy.dialled).toEqual([])
    },
  )

  it.each([
    { host: 'a', port: 0, code: 'ERR_DIAL_FAILED' },
    { host: 'ü'.repeat(128), port: 80, code: 'ERR_DIAL_FAILED' },
    { host: 'a b', port: 80, code: 'ERR_DIAL_HOST_UNREACHABLE' },
  ])('does not ask the proxy for a target no one can reach', async ({ code, ...target }) => {
    const { dialer, proxy } = setUp()
    expect((await failureOf(dialer.dial(target))).code).toBe(code)
    expect(proxy.dialled).toEqual([])
  })

  it('carries no UDP without sockets for it', async () => {
    const { dialer } = setUp()
    expect(repOf(await failureOf(dialer.associate()))).toBe(7)
  })
})
