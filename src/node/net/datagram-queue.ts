import type { SocketAddress } from '../../ports.js'
import { MIB } from '../../protocol/limits.js'
import { Fifo } from '../../streams/fifo.js'

/** Datagrams that may wait in one queue; one more drops the oldest. */
export const MAX_QUEUED_DATAGRAMS = 1_024
/** The same in bytes. */
export const MAX_QUEUED_BYTES = 4 * MIB

export interface QueuedDatagram {
  readonly data: Uint8Array
  /** Where to or where from. */
  readonly address: SocketAddress
}

/** First in, first out; what exceeds a limit drops from the front and is counted. */
export class DatagramQueue {
  readonly #waiting = new Fifo<QueuedDatagram>()
  #bytes = 0
  #dropped = 0

  get length(): number {
    return this.#waiting.length
  }

  get dropped(): number {
    return this.#dropped
  }

  push(data: Uint8Array, address: SocketAddress): void {
    this.#waiting.push({ data, address })
    this.#bytes += data.byteLength
    while (this.length > MAX_QUEUED_DATAGRAMS || this.#bytes > MAX_QUEUED_BYTES) {
      this.shift()
      this.#dropped++
    }
  }

  shift(): QueuedDatagram | undefined {
    const first = this.#waiting.shift()
    if (first !== undefined) this.#bytes -= first.data.byteLength
    return first
  }

  clear(): void {
    this.#waiting.clear()
    this.#bytes = 0
  }
}
