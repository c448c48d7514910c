import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LinkSocksError } from '../../src/errors.js'
import type { DatagramSocket, SocketAddress, Target } from '../../src/ports.js'
import { until, untilStill } from '../support/wait.js'
import { pattern } from './pattern.js'

export interface DatagramSetup {
  /** Not started. */
  readonly socket: DatagramSocket
  /** Sends each datagram back to where it came from. */
  readonly echo: Target
  /** Ends whatever is left. */
  cleanup?(): Promise<void> | void
}

/** What a socket's handler was told. */
export class DatagramRecorder {
  readonly received: { data: Uint8Array; source: SocketAddress }[] = []
  readonly closes: (LinkSocksError | undefined)[] = []
  /** Datagrams that came after close(): there must be none. */
  late = 0

  start(socket: DatagramSocket): void {
    socket.start({
      datagram: (data, source) => {
        if (this.closes.length > 0) this.late++
        this.received.push({ data, source })
      },
      close: (error) => this.closes.push(error),
    })
  }
}

/** Over loopback or memory, where a single datagram does arrive. */
export function datagramSocketContract(name: string, open: () => Promise<DatagramSetup>): void {
  describe(`${name} as a DatagramSocket`, () => {
    let setup: DatagramSetup
    let told: DatagramRecorder
    beforeEach(async () => {
      setup = await open()
      told = new DatagramRecorder()
    })
    afterEach(async () => {
      setup.socket.close()
      await setup.cleanup?.()
      expect(told.closes.length).toBeLessThanOrEqual(1)
      expect(told.late).toBe(0)
    })

    it('sends a datagram and delivers the answer with its source', async () => {
      told.start(setup.socket)
      setup.socket.send(pattern(100), setup.echo)
      await until(() => told.received.length === 1)
      expect(told.received[0]?.source.port).toBe(setup.echo.port)
      expect(told.received[0]?.source.host).toMatch(/^[\d.]+$|^[\da-f:]+$/)
      expect(Buffer.compare(told.received[0]?.data ?? new Uint8Array(), pattern(100))).toBe(0)
    })

    it('keeps the bounds of datagrams, from none to 65,507 bytes', async () => {
      told.start(setup.socket)
      for (const size of [0, 1, 1_472, 65_507]) {
        const before = told.received.length
        setup.socket.send(pattern(size), setup.echo)
        await until(() => told.received.length > before)
      }
      expect(told.received.map(({ data }) => data.byteLength)).toEqual([0, 1, 1_472, 65_507])
      expect(Buffer.compare(told.received[3]?.data ?? new Uint8Array(), pattern(65_507))).toBe(0)
    })

    it('leaves datagrams to the handler: later ones do not change them', async () => {
      told.start(setup.socket)
      for (let seed = 0; seed < 20; seed++) {
        setup.socket.send(pattern(500, seed), setup.echo)
        await until(() => told.received.length === seed + 1)
      }
      told.received.forEach(({ data }, seed) => {
        expect(Buffer.compare(data, pattern(500, seed))).toBe(0)
      })
    })

    it('survives a datagram that is too large', async () => {
      told.start(setup.socket)
      setup.socket.send(pattern(65_508), setup.echo)
      setup.socket.send(pattern(10), setup.echo)
      await until(() => told.received.length === 1)
      expect([told.received[0]?.data.byteLength, told.closes]).toEqual([10, []])
      expect(setup.socket.sentBytes).toBe(10)
    })

    it('reports close() once and sends or delivers nothing after it', async () => {
      told.start(setup.socket)
      setup.socket.close()
      setup.socket.close()
      setup.socket.send(pattern(10), setup.echo)
      await until(() => told.closes.length > 0)
      await untilStill(() => told.received.length)
      expect([told.closes, told.received]).toEqual([[undefined], []])
    })

    it('delivers nothing that arrives after close()', async () => {
      told.start(setup.socket)
      setup.socket.send(pattern(10), setup.echo)
      setup.socket.close()
      await until(() => told.closes.length > 0)
      await untilStill(() => told.received.length)
      expect(told.received).toEqual([])
    })

    it('remembers a close() made before start()', async () => {
      setup.socket.close()
      await new Promise((resolve) => setImmediate(resolve))
      told.start(setup.socket)
      await until(() => told.closes.length > 0)
      expect(told.closes).toEqual([undefined])
    })
  })
}
