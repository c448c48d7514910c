import type {
  ByteStream,
  Clock,
  DatagramHandler,
  DatagramSocket,
  Dialer,
  DialOptions,
  SocketAddress,
  Target,
} from '../../ports.js'
import { ShapedDatagrams } from './shaped-datagrams.js'
import { ShapedStream, type ShapedStreamOptions } from './shaped-stream.js'
import type { TokenTraffic } from './token-traffic.js'

export interface ShapingDialerOptions {
  readonly dialer: Dialer
  readonly clock: Clock
  /** Whose limits hold, the closest first. */
  readonly tokens: readonly TokenTraffic[]
}

/** Counts what goes through what another dialer opens, and holds it to the rates and quotas of tokens. */
export class ShapingDialer implements Dialer {
  readonly #dialer: Dialer
  readonly #shape: ShapedStreamOptions

  constructor({ dialer, ...shape }: ShapingDialerOptions) {
    this.#dialer = dialer
    this.#shape = shape
  }

  async dial(target: Target, options?: DialOptions): Promise<ByteStream> {
    return new ShapedStream(await this.#dialer.dial(target, options), this.#shape)
  }

  async associate(options?: DialOptions): Promise<DatagramSocket> {
    return new ShapedSocket(await this.#dialer.associate(options), this.#shape)
  }
}

interface Outgoing {
  readonly data: Uint8Array
  readonly destination: Target
}

interface Incoming {
  readonly data: Uint8Array
  readonly source: SocketAddress
}

/** A UDP socket with rates and quotas. */
class ShapedSocket implements DatagramSocket {
  readonly #inner: DatagramSocket
  readonly #up: ShapedDatagrams<Outgoing>
  readonly #down: ShapedDatagrams<Incoming>
  #handler: DatagramHandler | undefined

  constructor(inner: DatagramSocket, { clock, tokens }: ShapedStreamOptions) {
    this.#inner = inner
    this.#up = new ShapedDatagrams({ clock, tokens, direction: 'up' }, ({ data, destination }) =>
      inner.send(data, destination),
    )
    this.#down = new ShapedDatagrams({ clock, tokens, direction: 'down' }, ({ data, source }) =>
      this.#handler?.datagram(data, source),
    )
  }

  get sentBytes(): number | undefined {
    return this.#inner.sentBytes
  }

  start(handler: DatagramHandler): void {
    this.#handler = handler
    this.#inner.start({
      get passedBytes() {
        return handler.passedBytes
      },
      datagram: (data, source) => this.#down.send({ data, source }, data.byteLength),
      close: (error) => {
        this.#up.close()
        this.#down.close()
        handler.close(error)
      },
    })
  }

  send(data: Uint8Array, destination: Target): void {
    // it may be a view of memory that is used again
    this.#up.send({ data, destination }, data.byteLength, (sent) => ({ ...sent, data: sent.data.slice() }))
  }

  close(): void {
    this.#inner.close()
  }
}
