import { KIB } from '../../protocol/limits.js'
import { Fifo } from '../../streams/fifo.js'
import type { Flow } from './flow.js'
import type { Shaping } from './shaping.js'
import type { Direction } from './usage.js'

/** Datagrams of one direction of an association that wait for a rate; the oldest goes first. */
export const MAX_WAITING_DATAGRAMS = 64
/** The same in bytes. */
export const MAX_WAITING_BYTES = 128 * KIB

interface Waiting<T> {
  readonly datagram: T
  readonly bytes: number
}

/** One direction of a UDP association, as far as rates and quotas of tokens let it through. What waits too long gives way, and is counted. */
export class ShapedDatagrams<T> {
  readonly #shaping: Shaping
  readonly #direction: Direction
  readonly #pass: (datagram: T) => void
  readonly #flow: Flow
  readonly #queue = new Fifo<Waiting<T>>()
  #bytes = 0

  constructor(shaping: Shaping, direction: Direction, pass: (datagram: T) => void) {
    this.#shaping = shaping
    this.#direction = direction
    this.#pass = pass
    this.#flow = shaping.flow(direction, { ready: () => this.#drain(), refused: () => {} })
  }

  /** @param bytes of its payload @param keep copies what is not the queue's to keep */
  send(datagram: T, bytes: number, keep: (datagram: T) => T = (same) => same): void {
    if (this.#queue.length === 0 && this.#flow.admits(bytes)) {
      this.#flow.take(bytes)
      return this.#pass(datagram)
    }
    // it would never be let through
    if (!this.#flow.fits(bytes)) return this.#dropped()
    this.#queue.push({ datagram: keep(datagram), bytes })
    this.#bytes += bytes
    while (this.#queue.length > MAX_WAITING_DATAGRAMS || this.#bytes > MAX_WAITING_BYTES) {
      this.#bytes -= this.#queue.shift()?.bytes ?? 0
      this.#dropped()
    }
    this.#drain()
  }

  close(): void {
    this.#flow.close()
    this.#queue.clear()
    this.#bytes = 0
  }

  #drain(): void {
    for (let first = this.#queue.first; first !== undefined; first = this.#queue.first) {
      const fits = this.#flow.fits(first.bytes)
      if (fits && !this.#flow.admits(first.bytes)) return
      this.#queue.shift()
      this.#bytes -= first.bytes
      if (!fits) {
        this.#dropped()
        continue
      }
      this.#flow.take(first.bytes)
      this.#pass(first.datagram)
    }
  }

  #dropped(): void {
    this.#shaping.droppedDatagram(this.#direction)
  }
}
