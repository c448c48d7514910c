import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ErrorCode, LinkSocksError } from '../../src/errors.js'
import type { ServeInboundOptions } from '../../src/inbound/serve-inbound.js'
import type { BindDatagrams, BoundDatagramSocket, SocketAddress } from '../../src/ports.js'
import { settle } from '../support/manual-clock.js'
import { bytesOf, concat, hex, toHex } from '../support/test-peer.js'
import { FakeSocket, Served, whenAborted } from './fixture.js'

const NO_AUTH = hex('05 01 00')
const ASSOCIATE = hex('05 03 00 01 00000000 0000')
const TO_DNS = hex('0000 00 01 c6336402 0035')
const DNS = { host: '198.51.100.2', port: 53 }
const OWNER = { host: '192.0.2.7', port: 4000 }
const reason = new LinkSocksError('ERR_CANCELLED', 'done')

function datagram(payload: string, header = TO_DNS): Uint8Array {
  return concat(header, bytesOf(payload))
}

/** A client whose UDP ASSOCIATE was sent; `local` is the socket that will be bound, on port 7000. */
class Associating {
  readonly bound: string[] = []
  readonly local = new FakeSocket({ host: '192.0.2.1', port: 7000 })
  readonly served: Served

  constructor(options: Partial<ServeInboundOptions> = {}, request = ASSOCIATE) {
    const bindDatagrams: BindDatagrams = async (host) => {
      this.bound.push(host)
      return this.local
    }
    this.served = new Served({ bindDatagrams, ...options })
    this.served.client.write(concat(NO_AUTH, request))
  }

  get far(): FakeSocket {
    const [socket] = this.served.dialer.associations
    if (socket === undefined) throw new Error('nothing was associated')
    return socket
  }

  /** Payloads that went to the far end. */
  get sent(): string[] {
    return this.far.sent.map(({ data }) => Buffer.from(data).toString())
  }

  get counters(): unknown {
    return this.served.log.entries.find(({ event }) => event === 'socks.association.closed')?.fields
  }

  async reply(): Promise<string> {
    return toHex((await this.served.client.read(12)).subarray(2))
  }

  async end(): Promise<void> {
    this.served.client.end()
    await this.served.done
  }
}

async function associated(options: Partial<ServeInboundOptions> = {}, request = ASSOCIATE): Promise<Associating> {
  const association = new Associating(options, request)
  await association.served.client.read(12)
  return association
}

describe('serveAssociation', () => {
  it('binds to the address the control connection came in on and reports it', async () => {
    const association = new Associating()
    expect(await association.reply()).toBe('05000001c00002011b58')
    expect(association.bound).toEqual(['192.0.2.1'])
    await association.end()
  })

  it('shows a dual-stack listener address as the IPv4 address it is', async () => {
    const association = new Associating({ localAddress: () => ({ host: '::ffff:192.0.2.1', port: 1080 }) })
    expect(await association.reply()).toBe('05000001c00002011b58')
    expect(association.bound).toEqual(['192.0.2.1'])
    await association.end()
  })

  it('reports an IPv6 address as such', async () => {
    const association = new Associating({ localAddress: () => ({ host: '2001:db8::1', port: 1080 }) })
    const reply = await association.served.client.read(24)
    expect(toHex(reply.subarray(2))).toBe('0500000420010db80000000000000000000000011b58')
    await association.end()
  })

  it('binds to a link-local address with its zone and reports it without', async () => {
    const association = new Associating({ localAddress: () => ({ host: 'fe80::1', port: 1080, zone: 'eth0' }) })
    const reply = await association.served.client.read(24)
    expect(toHex(reply.subarray(2))).toBe('05000004fe8000000000000000000000000000011b58')
    expect(association.bound).toEqual(['fe80::1%eth0'])
    await association.end()
  })

  it('relays both ways, to addresses and names', async () => {
    const association = await associated()
    association.local.receive(datagram('by address'), OWNER)
    association.local.receive(datagram('by name', concat(hex('0000 00 03 07'), bytesOf('example'), hex('0035'))), OWNER)
    association.local.receive(TO_DNS, OWNER)
    expect(association.sent).toEqual(['by address', 'by name', ''])
    expect(association.far.sent.map(({ destination }) => destination)).toEqual([
      DNS,
      { host: 'example', port: 53 },
      DNS,
    ])
    association.far.receive(bytesOf('v4'), DNS)
    association.far.receive(bytesOf('v6'), { host: '2001:db8::2', port: 53 })
    expect(association.local.sent).toEqual([
      { data: datagram('v4'), destination: OWNER },
      { data: datagram('v6', hex('0000 00 04 20010db8000000000000000000000002 0035')), destination: OWNER },
    ])
    await association.end()
    expect(association.counters).toMatchObject({ sent: 3, received: 2, foreign: 0, malformed: 0 })
  })

  it('survives datagrams of every length below a header, and ignores them', async () => {
    const association = await associated()
    for (const whole of [
      datagram(''),
      hex('0000 00 04 20010db8000000000000000000000002 0035'),
      hex('0000 00 03 03 616263 0035'),
    ]) {
      for (let cut = 0; cut < whole.length; cut++) association.local.receive(whole.subarray(0, cut), OWNER)
    }
    association.local.receive(datagram('alive'), OWNER)
    expect(association.sent).toEqual(['alive'])
    await association.end()
    expect(association.counters).toMatchObject({ sent: 1, malformed: 10 + 22 + 10 })
  })

  it('survives any datagram', async () => {
    const association = await associated()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (bytes, plausible) => {
        association.local.receive(plausible ? concat(hex('000000'), bytes) : bytes, OWNER)
      }),
    )
    association.local.receive(datagram('alive'), OWNER)
    expect(association.sent.at(-1)).toBe('alive')
    await association.end()
  })

  it('drops fragments', async () => {
    const association = await associated()
    association.local.receive(datagram('first', hex('0000 01 01 c6336402 0035')), OWNER)
    association.local.receive(datagram('last', hex('0000 81 01 c6336402 0035')), OWNER)
    association.local.receive(datagram('whole'), OWNER)
    expect(association.sent).toEqual(['whole'])
    await association.end()
    expect(association.counters).toMatchObject({ sent: 1, fragments: 2 })
  })

  it('belongs to the host of the control connection, and answers the port that was used last', async () => {
    const association = await associated()
    const next = { host: '192.0.2.7', port: 4001 }
    association.local.receive(datagram('stranger'), { host: '192.0.2.8', port: 4000 })
    association.local.receive(hex('0000'), { host: '192.0.2.7', port: 3999 })
    association.local.receive(datagram('owner'), OWNER)
    association.far.receive(bytesOf('answer'), DNS)
    association.local.receive(datagram('other host'), { host: '192.0.2.8', port: 4000 })
    association.local.receive(datagram('other port'), next)
    association.local.receive(hex('0000'), { host: '192.0.2.7', port: 4002 })
    association.far.receive(bytesOf('answer'), DNS)
    expect(association.sent).toEqual(['owner', 'other port'])
    expect(association.local.sent.map(({ destination }) => destination)).toEqual([OWNER, next])
    await association.end()
    expect(association.counters).toMatchObject({ foreign: 2, malformed: 2 })
  })

  it.each([
    ['its own address and port', '05 03 00 01 c0000207 0fa0'],
    ['the target', '05 03 00 01 c6336402 0035'],
    ['the target by name', '05 03 00 03 07 6578616d706c65 0035'],
    ['a port alone', '05 03 00 01 00000000 0035'],
  ])('takes datagrams from any port of a client that named %s', async (_, request) => {
    const association = await associated({}, hex(request))
    association.local.receive(datagram('one'), { host: '192.0.2.7', port: 4001 })
    association.local.receive(datagram('other'), OWNER)
    expect(association.sent).toEqual(['one', 'other'])
    await association.end()
  })

  it.each([
    ['its own address and port', '05 03 00 01 c0000207 0fa0', ['owner', 'again']],
    ['a port alone', '05 03 00 01 00000000 0fa0', ['owner', 'again']],
    ['a port alone, by IPv6', '05 03 00 04 00000000000000000000000000000000 0fa0', ['owner', 'again']],
    ['the target', '05 03 00 01 c6336402 0035', ['other port']],
    ['the target by name', '05 03 00 03 07 6578616d706c65 0035', ['other port']],
    ['nothing', '05 03 00 01 00000000 0000', ['other port']],
  ])('has one port where that is strict, for a client that named %s', async (_, request, sent) => {
    const association = await associated({ udpStrictPort: true }, hex(request))
    association.local.receive(hex('0000'), { host: '192.0.2.7', port: 3999 })
    association.local.receive(datagram('other port'), { host: '192.0.2.7', port: 4001 })
    association.local.receive(datagram('owner'), OWNER)
    association.local.receive(datagram('again'), OWNER)
    expect(association.sent).toEqual(sent)
    await association.end()
  })

  it.each([
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['192.0.2.7', '::ffff:192.0.2.7'],
    ['192.0.2.7', '::FFFF:c000:207'],
    ['2001:db8::7', '2001:DB8:0::7'],
  ])('takes %s and %s for one address', async (control, source) => {
    const association = await associated({ remoteAddress: { host: control, port: 50_000 } })
    association.local.receive(datagram('mine'), { host: source, port: 4000 })
    association.local.receive(datagram('mine too'), { host: control, port: 4000 })
    expect(association.sent).toEqual(['mine', 'mine too'])
    await association.end()
  })

  it('says what the client counts for', async () => {
    const association = await associated({ remoteAddress: { host: '2001:db8::7', port: 50_000 } })
    expect(association.served.dialer.source).toBe('2001:db8:0:0')
    await association.end()
  })

  it('drops what comes back before the client sent anything, or with an address nobody can write', async () => {
    const association = await associated()
    association.far.receive(bytesOf('early'), DNS)
    association.local.receive(datagram('hello'), OWNER)
    association.far.receive(bytesOf('nowhere'), { host: '', port: 53 })
    association.far.receive(bytesOf('answer'), DNS)
    expect(association.local.sent).toHaveLength(1)
    await association.end()
    expect(association.counters).toMatchObject({ unowned: 1, malformed: 1, received: 1 })
  })

  it('drops what no longer fits into a datagram with its header', async () => {
    const association = await associated()
    association.local.receive(datagram('hello'), OWNER)
    association.far.receive(new Uint8Array(65_507 - 10), DNS)
    association.far.receive(new Uint8Array(65_507 - 9), DNS)
    expect(association.local.sent.map(({ data }) => data.length)).toEqual([65_507])
    await association.end()
    expect(association.counters).toMatchObject({ received: 1, oversized: 1 })
  })
})

describe('serveAssociation life', () => {
  it('goes on whatever is sent on the control connection', async () => {
    const association = await associated({}, concat(ASSOCIATE, bytesOf('early')))
    for (let i = 0; i < 10; i++) {
      association.served.client.write(new Uint8Array(100_000))
      await settle()
    }
    expect(association.served.stream.unconsumed).toBe(0)
    association.local.receive(datagram('alive'), OWNER)
    expect(association.sent).toEqual(['alive'])
    expect([association.local.closed, association.far.closed]).toEqual([false, false])
    await association.end()
  })

  const ENDS: readonly (readonly [string, (association: Associating, controller: AbortController) => void])[] = [
    ['the end of the control connection', ({ served }) => served.client.end()],
    ['its close', ({ served }) => served.client.close()],
    ['its reset', ({ served }) => served.client.abort(reason)],
    ['the close of the far end', ({ far }) => far.close()],
    ['the failure of the far end', ({ far }) => far.close(new LinkSocksError('ERR_LINK_LOST', 'gone'))],
    ['the failure of the bound socket', ({ local }) => local.close(new LinkSocksError('ERR_DIAL_FAILED', 'gone'))],
    ['the caller', (_, controller) => controller.abort()],
  ]

  it.each(ENDS)('is ended by %s, with everything closed', async (_, end) => {
    const controller = new AbortController()
    const association = await associated({ signal: controller.signal })
    end(association, controller)
    await settle()
    expect([association.local.closed, association.far.closed]).toEqual([true, true])
    association.served.client.end()
    await association.served.done
    expect(association.served.client.closed).toBe(true)
    expect(association.served.clock.pending).toBe(0)
  })

  it('ignores datagrams that arrive after its end', async () => {
    const association = await associated()
    await association.end()
    association.local.receive(datagram('late'), OWNER)
    expect(association.sent).toEqual([])
  })
})

describe('serveAssociation that cannot begin', () => {
  it.each<[ErrorCode, string]>([
    ['ERR_DIAL_UNSUPPORTED', '07'],
    ['ERR_DIAL_NETWORK_UNREACHABLE', '03'],
    ['ERR_DIAL_NOT_ALLOWED', '02'],
  ])('answers %s of the far end with REP %s and binds nothing', async (code, rep) => {
    const association = new Associating()
    association.served.dialer.onAssociate = () => Promise.reject(new LinkSocksError(code, 'no way'))
    expect(await association.reply()).toBe(`05${rep}0001000000000000`)
    await association.end()
    expect(association.bound).toEqual([])
    expect(association.served.failure).toBe(code)
  })

  it('answers a failed bind with REP 01 and closes the far end', async () => {
    const bindDatagrams = () => Promise.reject(new LinkSocksError('ERR_LISTEN', 'no'))
    const association = new Associating({ bindDatagrams })
    expect(await association.reply()).toBe('05010001000000000000')
    await association.end()
    expect(association.far.closed).toBe(true)
  })

  it('ends when the client goes away while the far end is being opened', async () => {
    const association = new Associating()
    association.served.dialer.onAssociate = (options) => whenAborted(options)
    await settle()
    association.served.client.abort(reason)
    await association.served.done
    expect(association.bound).toEqual([])
  })

  it('closes what was opened for a client that went away meanwhile', async () => {
    let open: (socket: FakeSocket) => void = () => {}
    const association = new Associating()
    association.served.dialer.onAssociate = () =>
      new Promise((resolve) => {
        open = resolve
      })
    await settle()
    association.served.client.abort(reason)
    await settle()
    open(new FakeSocket())
    await association.served.done
    expect(association.far.closed).toBe(true)
    expect(association.bound).toEqual([])
  })

  it('closes the bound socket too', async () => {
    let bound: (socket: BoundDatagramSocket) => void = () => {}
    const association = new Associating({
      bindDatagrams: () =>
        new Promise((resolve) => {
          bound = resolve
        }),
    })
    await settle()
    association.served.client.abort(reason)
    await settle()
    const address: SocketAddress = { host: '192.0.2.1', port: 1 }
    const local = new FakeSocket(address)
    bound(local)
    await association.served.done
    expect([local.closed, association.far.closed]).toEqual([true, true])
  })
})
