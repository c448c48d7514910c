import type {
  ByteStream,
  DatagramHandler,
  DatagramSocket,
  Dialer,
  DialOptions,
  SocketAddress,
  Target,
} from '../../ports.js'
import { ShapedDatagrams } from './shaped-datagrams.js'
import { ShapedStream } from './shaped-stream.js'
import type { Shaping } from './shaping.js'

/** Counts what goes through what another dialer opens, and holds it to the rates and quotas of tokens. */
export class ShapingDialer implements Dialer {
  readonly #dialer: Dialer
  readonly #shaping: Shaping

  constructor(dialer: Dialer, shaping: Shaping) {
    this.#dialer = dialer
    this.#shaping = shaping
  }

  async dial(target: Target, options?: DialOptions): Promise<ByteStream> {
    return new ShapedStream(await this.#dialer.dial(target, options), this.#shaping)
  }

  async associate(options?: DialOptions): Promise<DatagramSocket> {
    return new ShapedSocket(await this.#dialer.associate(options), this.#shaping)
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

  constructor(inner: DatagramSocket, shaping: Shaping) {
    this.#inner = inner
    this.#up = new ShapedDatagrams(shaping, 'up', ({ data, destination }) => inner.send(data, destination))
    this.#down = new ShapedDatagrams(shaping, 'down', ({ data, source }) => this.#handler?.datagram(data, source))
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
