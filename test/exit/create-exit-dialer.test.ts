import { describe, expect, it } from 'vitest'
import { createExitDialer, parseProxyUrl } from '../../src/exit/create-exit-dialer.js'
import type { ByteStream, SocketAddress } from '../../src/ports.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { memoryStreamPair, TestPeer } from '../support/memory-stream.js'
import { hex } from '../support/test-peer.js'
import { Calls, FakeUdp, failureOf } from './fakes.js'

function setUp(proxy?: string) {
  const connects = new Calls<SocketAddress, ByteStream>()
  const udp = new FakeUdp()
  const dialer = createExitDialer({
    resolve: async () => ['192.0.2.1'],
    connectTcp: connects.call,
    bindDatagrams: udp.bind,
    clock: new ManualClock(),
    proxy: proxy === undefined ? undefined : parseProxyUrl(proxy),
  })
  /** Accepts connection `index`. */
  const accept = async (index = 0): Promise<TestPeer> => {
    await settle()
    const [near, far] = memoryStreamPair()
    connects.at(index).resolve(near)
    return new TestPeer(far)
  }
  return { connects, udp, dialer, accept }
}

describe('createExitDialer', () => {
  it('dials directly without a proxy', async () => {
    const { dialer, connects, accept } = setUp()
    const dialled = dialer.dial({ host: 'example.com', port: 443 })
    await accept()
    await dialled
    expect(connects.asked).toEqual([{ host: '192.0.2.1', port: 443 }])
  })

  it('goes through an HTTP proxy, and refuses UDP there', async () => {
    const { dialer, connects, accept } = setUp('http://proxy.example')
    const dialled = dialer.dial({ host: 'example.com', port: 443 })
    const proxy = await accept()
    proxy.write('HTTP/1.1 200 OK\r\n\r\n')
    await dialled
    expect(connects.asked).toEqual([{ host: '192.0.2.1', port: 8080 }])
    expect(proxy.text).toContain('CONNECT example.com:443 ')
    expect((await failureOf(dialer.associate())).code).toBe('ERR_DIAL_UNSUPPORTED')
  })

  it('goes through a SOCKS5 proxy for UDP as well, with no socket of its own to a destination', async () => {
    const { dialer, udp, accept } = setUp('socks5://proxy.example')
    const opening = dialer.associate()
    const proxy = await accept()
    proxy.write(hex('05 00 05 00 00 01 00000000 1388'))
    const association = await opening
    association.send(Uint8Array.of(1), { host: '198.51.100.1', port: 53 })
    expect(udp.sockets).toHaveLength(1)
    expect(udp.socket(0).sent.map(({ to }) => to)).toEqual([{ host: '192.0.2.1', port: 5_000 }])
    association.close()
  })

  it.each(['http://169.254.1.1', 'socks5://[fe80::1]'])(
    'reaches the proxy %s whatever the policy says about its address, and judges destinations',
    async (url) => {
      const { dialer, connects } = setUp(url)
      dialer.dial({ host: 'example.com', port: 443 }).catch(() => {})
      await settle()
      expect(connects.asked).toHaveLength(1)
      expect((await failureOf(dialer.dial({ host: '169.254.169.254', port: 80 }))).code).toBe('ERR_DIAL_NOT_ALLOWED')
      await settle()
      expect(connects.asked).toHaveLength(1)
    },
  )
})
