import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { type AcceptedStream, InboundPort } from '../../../src/inbound/inbound-port.js'
import { httpProxy } from '../../../src/node/http-proxy/http-proxy.js'
import { FakeDialer, MemoryLog } from '../../socks/fixture.js'
import { ManualClock } from '../../support/manual-clock.js'
import { memoryStreamPair, TestPeer } from '../../support/memory-stream.js'
import { bytesOf, hex } from '../../support/test-peer.js'
import { until } from '../../support/wait.js'

const SLOW = 10_000
/** Clients of one port that have asked for nothing yet. */
const MAX_PENDING = 1_024
const HALF_A_HEAD = bytesOf(`GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nX: ${'x'.repeat(200)}`)
const CONNECT = hex('05 01 00 05 01 00 01 c6336401 0050')

/** A port, and how many of its connections are there. */
function port() {
  const clock = new ManualClock()
  const dialer = new FakeDialer()
  const bindDatagrams = () => Promise.reject(new LinkSocksError('ERR_DIAL_UNSUPPORTED', 'no UDP here'))
  const options = { credentials: () => undefined, dialer, bindDatagrams, clock, log: new MemoryLog() }
  const inbound = new InboundPort({ ...options, serveHttp: httpProxy([]) })
  const clients: TestPeer[] = []
  const connect = (host: string): TestPeer => {
    const [near, far] = memoryStreamPair()
    const accepted: AcceptedStream = Object.assign(near, { terminate: (error: LinkSocksError) => near.abort(error) })
    inbound.accept(accepted, () => ({ host: '192.0.2.1', port: 1080 }), { host, port: 50_000 })
    const client = new TestPeer(far)
    clients.push(client)
    return client
  }
  return { clock, dialer, connect, open: () => clients.filter(({ closed }) => !closed).length }
}

describe(`${SLOW} clients of a port that send half a head of HTTP`, () => {
  it('leave one of SOCKS5 served at once, and are never more than the port bears', async () => {
    const { clock, dialer, connect, open } = port()
    for (let i = 0; i < SLOW; i += 1) {
      connect(`10.0.${i >> 8}.${i & 255}`).write(HALF_A_HEAD)
      if (i % 500 === 499) await until(() => open() <= MAX_PENDING)
    }
    const client = connect('192.0.2.7')
    client.write(CONNECT)
    expect((await client.read(4)).subarray(2)).toEqual(hex('05 00'))
    expect(dialer.dialled).toEqual([{ host: '198.51.100.1', port: 80 }])
    expect(open()).toBe(MAX_PENDING)
    // one each that is still to come to the point
    await until(() => clock.pending === MAX_PENDING - 1)
    await clock.advanceAsync(10_000)
    await until(() => open() === 1)
    expect(clock.pending).toBe(0)
  })

  it('that come from one address cost nobody else a place', async () => {
    const { connect, open } = port()
    const other = connect('192.0.2.8')
    other.write(HALF_A_HEAD)
    for (let i = 0; i < SLOW; i += 1) connect('192.0.2.9').write(HALF_A_HEAD)
    await until(() => open() <= MAX_PENDING)
    expect(other.closed).toBe(false)
  })
})
