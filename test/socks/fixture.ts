import { expect } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { type ServeInboundOptions, serveInbound } from '../../src/inbound/serve-inbound.js'
import type { LogFields, Logger } from '../../src/log.js'
import type {
  AbortOptions,
  BoundDatagramSocket,
  ByteStream,
  DatagramHandler,
  DatagramSocket,
  Dialer,
  DialOptions,
  SocketAddress,
  Target,
} from '../../src/ports.js'
import { ManualClock } from '../support/manual-clock.js'
import { type MemoryStream, type MemoryStreamOptions, memoryStreamPair, TestPeer } from '../support/memory-stream.js'
import { bytesOf, concat, toHex } from '../support/test-peer.js'

/** Rejects when `signal` aborts, as a dialer must; never settles otherwise. */
export function whenAborted({ signal }: AbortOptions = {}): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(LinkSocksError.cancelled(signal)))
  })
}

/** Dials to whatever the test says; by default to one end of a memory stream whose other end is `target`. */
export class FakeDialer implements Dialer {
  readonly dialled: Target[] = []
  readonly associations: FakeSocket[] = []
  signal: AbortSignal | undefined
  source: string | undefined
  near: MemoryStream
  target: MemoryStream
  onDial: (target: Target, options?: AbortOptions) => Promise<ByteStream> = async () => this.near
  onAssociate: (options?: AbortOptions) => Promise<DatagramSocket> = async () => new FakeSocket()

  constructor(options?: MemoryStreamOptions) {
    ;[this.near, this.target] = memoryStreamPair(options)
  }

  dial(target: Target, options?: DialOptions): Promise<ByteStream> {
    this.dialled.push(target)
    this.source = options?.source
    this.signal = options?.signal
    return this.onDial(target, options)
  }

  async associate(options?: DialOptions): Promise<DatagramSocket> {
    this.source = options?.source
    this.signal = options?.signal
    const socket = await this.onAssociate(options)
    if (socket instanceof FakeSocket) this.associations.push(socket)
    return socket
  }
}

/** A UDP socket whose network is the test. */
export class FakeSocket implements BoundDatagramSocket {
  readonly address: SocketAddress
  readonly sent: { readonly data: Uint8Array; readonly destination: Target }[] = []
  closed = false
  #handler: DatagramHandler | undefined

  constructor(address: SocketAddress = { host: '0.0.0.0', port: 0 }) {
    this.address = address
  }

  get sentBytes(): number {
    return this.sent.reduce((sum, { data }) => sum + data.byteLength, 0)
  }

  start(handler: DatagramHandler): void {
    if (this.#handler !== undefined) throw new Error('start() called twice')
    this.#handler = handler
  }

  send(data: Uint8Array, destination: Target): void {
    this.sent.push({ data, destination })
  }

  close(error?: LinkSocksError): void {
    if (this.closed) return
    this.closed = true
    queueMicrotask(() => this.#handler?.close(error))
  }

  /** A datagram arrives. */
  receive(data: Uint8Array, source: SocketAddress): void {
    if (!this.closed) this.#handler?.datagram(data, source)
  }
}

/** Keeps what was logged. */
export class MemoryLog implements Logger {
  readonly entries: { readonly level: string; readonly event: string; readonly fields: LogFields }[] = []
  debug = (event: string, fields: LogFields = {}) => void this.entries.push({ level: 'debug', event, fields })
  info = (event: string, fields: LogFields = {}) => void this.entries.push({ level: 'info', event, fields })
  warn = (event: string, fields: LogFields = {}) => void this.entries.push({ level: 'warn', event, fields })
  error = (event: string, fields: LogFields = {}) => void this.entries.push({ level: 'error', event, fields })
}

/** A client of a port, connected to serveInbound(). */
export class Served {
  readonly clock = new ManualClock()
  readonly log = new MemoryLog()
  readonly dialer: FakeDialer
  readonly client: TestPeer
  readonly stream: MemoryStream
  readonly done: Promise<void>
  finished = false

  constructor(options: Partial<ServeInboundOptions> = {}, streamOptions?: MemoryStreamOptions) {
    const [near, far] = memoryStreamPair(streamOptions)
    this.stream = near
    this.client = new TestPeer(far)
    this.dialer = new FakeDialer(streamOptions)
    this.done = serveInbound(near, {
      dialer: this.dialer,
      clock: this.clock,
      log: this.log,
      localAddress: () => ({ host: '192.0.2.1', port: 1080 }),
      remoteAddress: { host: '192.0.2.7', port: 50_000 },
      ...options,
    }).then(() => {
      this.finished = true
    })
  }

  /** The error code that was logged. */
  get failure(): unknown {
    return this.log.entries.find(({ event }) => event === 'socks.failed')?.fields.code
  }
}

/** What the client hears until the server closes, as hex. */
export async function answerTo(served: Served, ...input: readonly Uint8Array[]): Promise<string> {
  served.client.write(concat(...input))
  const answer = toHex(await served.client.readAll())
  served.client.end()
  await served.done
  expect(await served.client.untilClosed()).toBeUndefined()
  expect(served.clock.pending).toBe(0)
  return answer
}

/** VER ULEN UNAME PLEN PASSWD (RFC 1929). */
export function login(username: string, password: string): Uint8Array {
  const [user, pass] = [bytesOf(username), bytesOf(password)]
  return Uint8Array.of(1, user.length, ...user, pass.length, ...pass)
}
