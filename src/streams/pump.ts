import type { LinkSocksError } from '../errors.js'
import type { ByteStream, ByteStreamHandler, DatagramHandler, DatagramSocket } from '../ports.js'

/**
 * Joins two streams until both are gone: data, half-close, orderly end and reset pass in both directions, and each
 * side is read only as fast as the other takes the bytes.
 * @param closed called once, when `a` has closed
 */
export function pump(a: ByteStream, b: ByteStream, closed?: () => void): void {
  a.start(new Forward(b, closed))
  b.start(new Forward(a))
}

/** Passes on to one stream what the other one tells. */
class Forward implements ByteStreamHandler {
  readonly #to: ByteStream
  readonly #closed: (() => void) | undefined

  constructor(to: ByteStream, closed?: () => void) {
    this.#to = to
    this.#closed = closed
  }

  data(chunk: Uint8Array): void {
    this.#to.write(chunk)
  }

  end(): void {
    this.#to.end()
  }

  /** What left the one stream had been delivered by the other. */
  written(bytes: number): void {
    this.#to.consume(bytes)
  }

  close(error?: LinkSocksError): void {
    if (error === undefined) this.#to.close()
    else this.#to.abort(error)
    this.#closed?.()
  }
}

/** Joins two datagram sockets until one is gone. */
export function pumpDatagrams(a: DatagramSocket, b: DatagramSocket): void {
  const forward = (to: DatagramSocket): DatagramHandler => ({
    get passedBytes() {
      return to.sentBytes
    },
    datagram: (data, source) => to.send(data, source),
    close: () => to.close(),
  })
  a.start(forward(b))
  b.start(forward(a))
}
