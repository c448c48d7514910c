import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { Departure } from '../../src/inbound/departure.js'
import { type AcceptedStream, InboundPort, type InboundPortOptions } from '../../src/inbound/inbound-port.js'
import { SOCKS_HANDSHAKE_TIMEOUT_MS } from '../../src/inbound/serve-inbound.js'
import { FakeDialer, FakeSocket, MemoryLog } from '../socks/fixture.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { memoryStreamPair, TestPeer } from '../support/memory-stream.js'
import { concat, hex, toHex } from '../support/test-peer.js'

const NO_AUTH = hex('05 01 00')
const CONNECT = concat(NO_AUTH, hex('05 01 00 01 c6336401 0050'))
const ASSOCIATE = concat(NO_AUTH, hex('05 03 00 01 00000000 0000'))
const LOCAL = { host: '192.0.2.1', port: 1080 }
const reason = new LinkSocksError('ERR_CANCELLED', 'done')

/** A port whose clients and far ends are the test's. */
class Port {
  readonly clock = new ManualClock()
  readonly log = new MemoryLog()
  readonly dialer = new FakeDialer()
  readonly sockets: FakeSocket[] = []
  /** Reasons of streams that had to go. */
  readonly terminated: string[] = []
  readonly inbound: InboundPort

  constructor(options: Partial<InboundPortOptions> = {}) {
    this.inbound = new InboundPort({
      credentials: () => undefined,
      dialer: this.dialer,
      clock: this.clock,
      log: this.log,
      bindDatagrams: async (host) => {
        const socket = new FakeSocket({ host, port: 7000 + this.sockets.length })
        this.sockets.push(socket)
        return socket
      },
      ...options,
    })
  }

  connect(host = '192.0.2.7'): TestPeer {
    const [near, far] = memoryStreamPair()
    const terminate = (error: LinkSocksError): void => {
      this.terminated.push(`${host} ${error.code}`)
      near.abort(error)
    }
    const accepted: AcceptedStream = Object.assign(near, { terminate })
    this.inbound.accept(accepted, () => LOCAL, { host, port: 50_000 })
    return new TestPeer(far)
  }

  crowded(): unknown[] {
    return this.log.entries.filter(({ event }) => event === 'socks.crowded').map(({ fields }) => fields.address)
  }
}

/** REP of the answer to a request that came with its greeting. */
async function repOf(client: TestPeer): Promise<string> {
  return toHex((await client.read(12)).subarray(3, 4))
}

describe('InboundPort', () => {
  it('closes the oldest client without a request of the busiest address when one more comes', async () => {
    const port = new Port({ maxPending: 2 })
    const [first, second] = [port.connect(), port.connect()]
    port.connect('198.51.100.1')
    expect(await first.untilClosed()).toMatchObject({ code: 'ERR_STREAM_RESET' })
    expect(second.closed).toBe(false)
    expect(port.terminated).toEqual(['192.0.2.7 ERR_LIMIT'])
    expect(port.crowded()).toEqual(['192.0.2.7'])
  })

  it('counts a client as pending until its request has come', async () => {
    const port = new Port({ maxPending: 1 })
    const client = port.connect()
    client.write(CONNECT)
    expect(await repOf(client)).toBe('00')
    port.connect()
    port.connect()
    await settle()
    expect(port.terminated).toEqual(['192.0.2.7 ERR_LIMIT'])
    expect(client.closed).toBe(false)
  })

  it.each([
    ['leaves', (client: TestPeer) => client.abort(reason)],
    ['was refused', (client: TestPeer) => client.write('GET / HTTP/1.1\r\n\r\n')],
  ])('gives the room of a client that %s to the next', async (_, end) => {
    const port = new Port({ maxPending: 1 })
    const client = port.connect()
    end(client)
    await settle()
    client.end()
    await settle()
    port.connect()
    expect(port.terminated).toEqual([])
  })

  it('gives the room of a client that was too slow to the next', async () => {
    const port = new Port({ maxPending: 1 })
    port.connect()
    await port.clock.advanceAsync(SOCKS_HANDSHAKE_TIMEOUT_MS)
    port.connect()
    expect(port.terminated).toEqual([])
  })

  it('refuses one UDP association more than its limit, and takes the next when one has ended', async () => {
    const port = new Port({ maxAssociations: 1 })
    const associate = (): TestPeer => {
      const client = port.connect()
      client.write(ASSOCIATE)
      return client
    }
    const first = associate()
    expect(await repOf(first)).toBe('00')
    expect(await repOf(associate())).toBe('01')
    expect(port.sockets.map(({ address }) => address)).toEqual([{ host: '192.0.2.1', port: 7000 }])
    first.end()
    await first.untilClosed()
    expect(await repOf(associate())).toBe('00')
  })

  it('asks for the credentials at each connection', async () => {
    let asked = 0
    const port = new Port({
      credentials: () => {
        asked++
        return asked === 1 ? undefined : { username: 'user', password: 'secret' }
      },
    })
    const answers = [port.connect(), port.connect()].map((client) => {
      client.write(NO_AUTH)
      return client.read(2)
    })
    expect((await Promise.all(answers)).map(toHex)).toEqual(['0500', '05ff'])
  })

  it('expects a request of each client until it has come, or the client is gone', async () => {
    const departure = new Departure(new ManualClock())
    const port = new Port({ departure })
    const [asking, leaving] = [port.connect(), port.connect()]
    expect(departure.expected.some).toBe(true)
    leaving.abort(reason)
    await leaving.untilClosed()
    await settle()
    expect(departure.expected.some).toBe(true)
    asking.write(CONNECT)
    await settle()
    expect([departure.expected.some, port.dialer.dialled.length]).toEqual([false, 1])
  })
})
