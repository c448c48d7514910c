import { describe, expect, it } from 'vitest'
import { createExitDialer, type ExitDialerOptions, parseProxyUrl } from '../../src/exit/create-exit-dialer.js'
import { AccessList } from '../../src/exit/dial/access-rules.js'
import type { ByteStream, SocketAddress } from '../../src/ports.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { memoryStreamPair, TestPeer } from '../support/memory-stream.js'
import { hex } from '../support/test-peer.js'
import { Calls, FakeUdp, failureOf } from './fakes.js'

const ACCESS = { access: [() => new AccessList([{ addresses: ['192.0.2.0/31'], ports: [443] }])] }

function setUp(proxy?: string, more: Partial<ExitDialerOptions> = {}) {
  const connects = new Calls<SocketAddress, ByteStream>()
  const udp = new FakeUdp()
  const dialer = createExitDialer({
    resolve: async () => ['192.0.2.1'],
    connectTcp: connects.call,
    bindDatagrams: udp.bind,
    clock: new ManualClock(),
    proxy: proxy === undefined ? undefined : parseProxyUrl(proxy),
    ...more,
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

  it('dials of the addresses of a name those alone that the rules allow, after one look-up', async () => {
    const asked: string[] = []
    const resolve = async (host: string): Promise<readonly string[]> => {
      asked.push(host)
      return asked.length === 1 ? ['198.51.100.1', '192.0.2.1'] : ['198.51.100.1']
    }
    const { dialer, connects, accept } = setUp(undefined, { ...ACCESS, resolve })
    const dialled = dialer.dial({ host: 'rebind.example', port: 443 })
    await accept()
    await dialled
    expect(connects.asked).toEqual([{ host: '192.0.2.1', port: 443 }])
    expect(asked).toEqual(['rebind.example'])
    expect(await failureOf(dialer.dial({ host: 'rebind.example', port: 443 }))).toMatchObject({
      code: 'ERR_DIAL_NOT_ALLOWED',
      message: 'rebind.example:443 is not allowed: blocked by access control',
    })
    expect(connects.asked).toHaveLength(1)
  })

  it('holds each datagram to the rules', async () => {
    const { dialer, udp } = setUp(undefined, ACCESS)
    const association = await dialer.associate()
    for (const port of [443, 444]) association.send(Uint8Array.of(1), { host: '192.0.2.1', port })
    association.send(Uint8Array.of(1), { host: '192.0.2.2', port: 443 })
    expect(udp.socket(0).sent.map(({ to }) => to)).toEqual([{ host: '192.0.2.1', port: 443 }])
    association.close()
  })

  it.each(['http://proxy.example', 'socks5://proxy.example'])(
    'looks names up itself where rules have to judge them, and asks %s for an address',
    async (url) => {
      const { dialer, accept, connects } = setUp(url, ACCESS)
      void dialer.dial({ host: 'example.com', port: 443 }).catch(() => {})
      const proxy = await accept()
      if (url.startsWith('http')) {
        await settle()
        expect(proxy.text).toContain('CONNECT 192.0.2.1:443 ')
      } else {
        proxy.write(hex('05 00'))
        await settle()
        expect(proxy.buffered.subarray(-10)).toEqual(hex('05 01 00 01 c0000201 01bb'))
      }
      expect((await failureOf(dialer.dial({ host: '198.51.100.1', port: 443 }))).code).toBe('ERR_DIAL_NOT_ALLOWED')
      expect(connects.asked).toHaveLength(1)
    },
  )

  it('holds datagrams to the rules on their way through a SOCKS5 proxy, too', async () => {
    const { dialer, udp, accept } = setUp('socks5://proxy.example', ACCESS)
    const opening = dialer.associate()
    const proxy = await accept()
    proxy.write(hex('05 00 05 00 00 01 00000000 1388'))
    const association = await opening
    for (const port of [443, 444]) association.send(Uint8Array.of(7), { host: 'example.com', port })
    await settle()
    expect(udp.socket(0).sent.map(({ data }) => data)).toEqual([hex('000000 01 c0000201 01bb 07')])
    association.close()
  })
})
