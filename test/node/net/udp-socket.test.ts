import type { Socket } from 'node:dgram'
import { EventEmitter } from 'node:events'
import { networkInterfaces } from 'node:os'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MAX_QUEUED_DATAGRAMS } from '../../../src/node/net/datagram-queue.js'
import { bindDatagrams, MAX_IN_FLIGHT, UdpSocket } from '../../../src/node/net/udp-socket.js'
import { DatagramRecorder, type DatagramSetup, datagramSocketContract } from '../../contract/datagram-socket.js'
import { pattern } from '../../contract/pattern.js'
import { until, untilStill } from '../../support/wait.js'

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))

/** A socket of ours and one that echoes. */
async function open(host: string): Promise<DatagramSetup & { readonly socket: UdpSocket }> {
  const echo = await bindDatagrams(host)
  echo.start({ datagram: (data, source) => echo.send(data, source), close: () => {} })
  return { socket: await bindDatagrams(host), echo: echo.address, cleanup: () => echo.close() }
}

async function bind(): Promise<UdpSocket> {
  const socket = await bindDatagrams('127.0.0.1')
  onTestFinished(() => socket.close())
  return socket
}

datagramSocketContract('UdpSocket over IPv4', () => open('127.0.0.1'))
if (hasIpv6) datagramSocketContract('UdpSocket over IPv6', () => open('::1'))

describe('bindDatagrams', () => {
  it('reports the address it is bound to', async () => {
    const socket = await bind()
    expect(socket.address).toEqual({ host: '127.0.0.1', port: expect.any(Number) })
    expect(socket.address.port).toBeGreaterThan(0)
  })

  it('refuses names and addresses of other machines', async () => {
    await expect(bindDatagrams('localhost')).rejects.toMatchObject({ code: 'ERR_LISTEN' })
    await expect(bindDatagrams('192.0.2.1')).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: '192.0.2.1 is not an address of this machine',
    })
  })
})

describe('UdpSocket', () => {
  it('takes a burst of the largest datagrams', async () => {
    const [from, to] = [await bind(), await bind()]
    const told = new DatagramRecorder()
    told.start(to)
    for (let i = 0; i < 5; i++) from.send(pattern(65_507, i), to.address)
    await until(() => told.received.length === 5)
    told.received.forEach(({ data }, i) => {
      expect(Buffer.compare(data, pattern(65_507, i))).toBe(0)
    })
  })

  it('drops and counts what no socket could send, and goes on', async () => {
    const [from, to] = [await bind(), await bind()]
    const told = new DatagramRecorder()
    told.start(to)
    const { port } = to.address
    for (const destination of [
      { host: 'localhost', port },
      { host: '', port },
      { host: '::1', port },
      { host: '127.0.0.1', port: 0 },
      { host: '127.0.0.1', port: 65_536 },
    ]) {
      from.send(pattern(10), destination)
    }
    expect(from.dropped).toBe(5)
    from.send(pattern(10), to.address)
    await until(() => told.received.length === 1)
    expect(from.dropped).toBe(5)
  })

  it('survives what the network answers: refused ports and addresses without a route', async () => {
    const [from, to] = [await bind(), await bind()]
    const gone = await bindDatagrams('127.0.0.1')
    gone.close()
    const [sender, receiver] = [new DatagramRecorder(), new DatagramRecorder()]
    sender.start(from)
    receiver.start(to)
    for (let i = 0; i < 10; i++) {
      from.send(pattern(10), gone.address)
      from.send(pattern(10), { host: '255.255.255.255', port: 9 })
      await new Promise((resolve) => setImmediate(resolve))
    }
    from.send(pattern(20), to.address)
    await until(() => receiver.received.length === 1)
    expect(sender.closes).toEqual([])
    // a broadcast that nobody allowed
    expect(from.dropped).toBe(10)
  })

  it('keeps what arrives before start(), the newest when it is too much', async () => {
    const [from, to] = [await bind(), await bind()]
    for (let i = 0; i < MAX_QUEUED_DATAGRAMS + 50; i++) {
      from.send(Uint8Array.of(i >> 8, i & 255), to.address)
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await untilStill(() => to.dropped)
    expect(to.dropped).toBe(50)
    const told = new DatagramRecorder()
    told.start(to)
    from.send(Uint8Array.of(255, 255), to.address)
    await until(() => told.received.length === MAX_QUEUED_DATAGRAMS + 1)
    expect([...(told.received[0]?.data ?? [])]).toEqual([0, 50])
    expect([...(told.received.at(-1)?.data ?? [])]).toEqual([255, 255])
  })

  it('bounds what waits for a system that takes nothing, drops the oldest and empties on close()', async () => {
    const system = new StuckSocket()
    const socket = new UdpSocket(system as unknown as Socket, 4)
    const told = new DatagramRecorder()
    told.start(socket)
    const destination = { host: '192.0.2.1', port: 9 }
    for (let i = 0; i < MAX_IN_FLIGHT + MAX_QUEUED_DATAGRAMS + 7; i++) {
      socket.send(Uint8Array.of(i >> 8, i & 255), destination)
    }
    expect([system.sent.length, socket.dropped, socket.sentBytes]).toEqual([MAX_IN_FLIGHT, 7, 2 * MAX_IN_FLIGHT])
    system.finishOne()
    expect(system.sent.at(-1)).toEqual(Uint8Array.of(0, MAX_IN_FLIGHT + 7))
    socket.close()
    system.finishOne()
    expect([system.sent.length, socket.sentBytes]).toEqual([MAX_IN_FLIGHT + 1, 2 * MAX_IN_FLIGHT + 2])
    expect(told.closes).toEqual([undefined])
  })

  it('counts a datagram that the system refused', () => {
    const system = new StuckSocket()
    const socket = new UdpSocket(system as unknown as Socket, 4)
    socket.send(new Uint8Array(1), { host: '192.0.2.1', port: 9 })
    system.finishOne(new Error('EMSGSIZE'))
    expect(socket.dropped).toBe(1)
  })

  it('sends to link-local peers by the zone that it is bound in, and shows none', () => {
    const system = new StuckSocket('fe80::1%eth0')
    const socket = new UdpSocket(system as unknown as Socket, 6)
    const told = new DatagramRecorder()
    told.start(socket)
    for (const host of ['fe80::2', '2001:db8::1', 'fe80::3%eth1']) socket.send(new Uint8Array(1), { host, port: 9 })
    system.emit('message', Buffer.of(1), { address: 'fe80::2%eth0', port: 9 })
    expect(system.hosts).toEqual(['fe80::2%eth0', '2001:db8::1', 'fe80::3%eth1'])
    expect([socket.address.host, told.received[0]?.source.host]).toEqual(['fe80::1', 'fe80::2'])
  })

  it('closes with an error when the socket itself fails', () => {
    const system = new StuckSocket()
    const told = new DatagramRecorder()
    told.start(new UdpSocket(system as unknown as Socket, 4))
    system.emit('error', Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))
    expect(told.closes).toEqual([])
    system.emit('error', Object.assign(new Error('bad'), { code: 'EBADF' }))
    system.emit('error', Object.assign(new Error('bad'), { code: 'EBADF' }))
    expect(told.closes.map((error) => error?.code)).toEqual(['ERR_STREAM_RESET'])
  })
})

/** A system socket whose sends finish when told. */
class StuckSocket extends EventEmitter {
  readonly sent: Uint8Array[] = []
  readonly hosts: string[] = []
  readonly #address: string
  readonly #callbacks: ((error: Error | null) => void)[] = []

  constructor(address = '127.0.0.1') {
    super()
    this.#address = address
  }

  address(): { address: string; port: number } {
    return { address: this.#address, port: 1 }
  }

  send(data: Uint8Array, _port: number, host: string, callback: (error: Error | null) => void): void {
    this.sent.push(data)
    this.hosts.push(host)
    this.#callbacks.push(callback)
  }

  finishOne(error: Error | null = null): void {
    this.#callbacks.shift()?.(error)
  }

  close(): void {
    this.emit('close')
  }
}
