import { addressText } from '../../../src/address.js'
import { LinkSocksError } from '../../../src/errors.js'
import { type ServeInboundOptions, serveInbound } from '../../../src/inbound/serve-inbound.js'
import { httpProxy } from '../../../src/node/http-proxy/http-proxy.js'
import type { ByteStream, DialOptions, Target } from '../../../src/ports.js'
import { FakeDialer, MemoryLog } from '../../socks/fixture.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { type MemoryStream, memoryStreamPair, TestPeer } from '../../support/memory-stream.js'

/** Turns of the event loop without any event after which nothing more is going to happen: all is in memory. */
const QUIET_TURNS = 12

export interface MemoryProxyOptions extends Partial<Omit<ServeInboundOptions, 'clock'>> {
  /** One that several share. @default its own */
  readonly clock?: ManualClock
  /** Longest piece that is delivered at once, to everybody; 1 splits all at every byte. @default unlimited */
  readonly chunkSize?: number
  /** Names by which the pages may be asked for. @default none */
  readonly names?: readonly string[]
  /** Gives back no credit for what the client gets. @default false */
  readonly stalledClient?: boolean
  /** Gives back no credit for what origins get. @default false */
  readonly stalledOrigins?: boolean
}

/** One end of a connection that tells of itself in latin1, so that each byte is one character. */
export class Peer extends TestPeer {
  get latin1(): string {
    return Buffer.from(this.buffered).toString('latin1')
  }

  /** How it stands with the other side. */
  get state(): 'open' | 'ended' | 'reset' {
    if (this.error !== undefined) return 'reset'
    return this.ended || this.closed ? 'ended' : 'open'
  }

  send(text: string): void {
    if (text.length > 0) this.write(Buffer.from(text, 'latin1'))
  }
}

/** A connection that was dialled, seen from its origin. */
export class Origin extends Peer {
  readonly address: string

  constructor(stream: ByteStream, target: Target, consume: boolean) {
    super(stream, { consume })
    this.address = addressText(target)
  }
}

/** A client of a proxy port and the origins it reaches, all in memory; the time stands still until the test moves it. */
export class MemoryProxy {
  readonly clock: ManualClock
  readonly log = new MemoryLog()
  readonly dialer = new FakeDialer()
  readonly client: Peer
  /** In the order in which they were dialled. */
  readonly origins: Origin[] = []
  /** Settles when the port is done with the connection, or has joined it. */
  readonly done: Promise<void>
  finished = false
  /** Each dial waits for it. */
  dialling: Promise<unknown> = Promise.resolve()
  readonly #near: MemoryStream
  readonly #options: MemoryProxyOptions
  readonly #signals: AbortSignal[] = []
  /** Called for each new connection to an origin. */
  onOrigin: (origin: Origin) => void = () => {}

  constructor(options: MemoryProxyOptions = {}) {
    const { chunkSize, names = [], stalledClient, stalledOrigins, clock = new ManualClock(), ...rest } = options
    this.clock = clock
    this.#options = options
    const [near, far] = memoryStreamPair(this.#streamOptions)
    this.#near = near
    this.client = new Peer(far, { consume: stalledClient !== true })
    this.dialer.onDial = (target, dialOptions) => this.#dial(target, dialOptions)
    this.done = serveInbound(near, {
      dialer: this.dialer,
      clock,
      log: this.log,
      localAddress: () => ({ host: '192.0.2.1', port: 1080 }),
      remoteAddress: { host: '192.0.2.7', port: 50_000 },
      serveHttp: httpProxy(names),
      ...rest,
    }).then(() => {
      this.finished = true
    })
  }

  /** Bytes of the client that have come and that nobody has read. */
  get unread(): number {
    return this.#near.unconsumed
  }

  get dialled(): string[] {
    return this.dialer.dialled.map(addressText)
  }

  /** Whether each dial was called off. */
  get calledOff(): boolean[] {
    return this.#signals.map(({ aborted }) => aborted)
  }

  get logged(): unknown[] {
    return this.log.entries.map(({ fields }) => fields.status ?? fields.code)
  }

  get answer(): string {
    return this.client.latin1
  }

  /** Until nothing happens any more, as long as the time stands still. */
  async quiet(): Promise<void> {
    let last = ''
    for (let turns = 0; turns < QUIET_TURNS; turns += 1) {
      await settle()
      const now = this.#fingerprint()
      if (now !== last) turns = 0
      last = now
    }
  }

  /** Sends bytes of a client, and waits for all that comes of it. */
  async send(text: string): Promise<void> {
    this.client.send(text)
    await this.quiet()
  }

  /** The origin that was dialled `index`th. @throws when there is none */
  origin(index = 0): Origin {
    const origin = this.origins[index]
    if (origin === undefined) throw new Error(`only ${this.origins.length} were dialled`)
    return origin
  }

  /** A client that did not read takes all that is there for it, until nothing more comes. */
  async readAllAsItComes(): Promise<void> {
    let taken = 0
    for (; taken < this.client.receivedBytes; await this.quiet()) {
      const came = this.client.receivedBytes - taken
      taken += came
      this.client.stream.consume(came)
    }
  }

  /** The client is gone, in whatever state it is. */
  async end(): Promise<void> {
    this.client.abort(new LinkSocksError('ERR_CANCELLED', 'the test is over'))
    await this.quiet()
  }

  get #streamOptions() {
    const { chunkSize } = this.#options
    return chunkSize === undefined ? {} : { chunkSize }
  }

  async #dial(target: Target, { signal }: DialOptions = {}): Promise<ByteStream> {
    if (signal !== undefined) this.#signals.push(signal)
    await this.dialling
    const [near, far] = memoryStreamPair(this.#streamOptions)
    const origin = new Origin(far, target, this.#options.stalledOrigins !== true)
    this.origins.push(origin)
    this.onOrigin(origin)
    return near
  }

  #fingerprint(): string {
    const peers = [this.client, ...this.origins].map(({ events, writtenBytes }) => `${events.length}/${writtenBytes}`)
    return [...peers, this.finished, this.log.entries.length, this.dialer.dialled.length].join()
  }
}
