import { LinkSocksError } from '../../errors.js'
import type { DatagramSocket } from '../../ports.js'

/** UDP associations of one SOCKS port or of one session at a time. */
const MAX_ASSOCIATIONS = 1_024

/** Bounds the UDP sockets that one port or session has open: each is a file descriptor. */
export class AssociationLimit {
  readonly #max: number
  #open = 0

  constructor(max: number = MAX_ASSOCIATIONS) {
    this.#max = max
  }

  get open(): number {
    return this.#open
  }

  /**
   * Opens one more, unless there are too many.
   * @throws {LinkSocksError} ERR_LIMIT, and what `open` throws
   */
  async take<S extends DatagramSocket>(open: () => Promise<S>): Promise<Counted<S>> {
    if (this.#open >= this.#max) {
      throw new LinkSocksError('ERR_LIMIT', `more than ${this.#max} UDP associations at a time`)
    }
    this.#open += 1
    let counted = true
    const left = (): void => {
      if (counted) this.#open -= 1
      counted = false
    }
    try {
      return new Counted(await open(), left)
    } catch (thrown) {
      left()
      throw thrown
    }
  }
}

/** A socket that says when it is closed. */
class Counted<S extends DatagramSocket> implements DatagramSocket {
  readonly socket: S
  readonly #left: () => void

  constructor(socket: S, left: () => void) {
    this.socket = socket
    this.#left = left
  }

  get sentBytes(): S['sentBytes'] {
    return this.socket.sentBytes
  }

  start(handler: Parameters<DatagramSocket['start']>[0]): void {
    this.socket.start({
      datagram: (data, source) => handler.datagram(data, source),
      close: (error) => {
        this.#left()
        handler.close(error)
      },
    })
  }

  send(...args: Parameters<DatagramSocket['send']>): void {
    this.socket.send(...args)
  }

  close(): void {
    // who closes it may never have started it
    this.#left()
    this.socket.close()
  }
}
