import type { Target } from '../../ports.js'

/** Datagrams an association holds back until their name is resolved or their socket bound; the oldest goes first. */
export const MAX_WAITING_DATAGRAMS = 64
/** The same in bytes. */
export const MAX_WAITING_BYTES = 512 * 1024

export interface WaitingDatagram {
  /** What it waits for. */
  readonly key: string
  readonly data: Uint8Array
  readonly destination: Target
}

/** A queue of datagrams that wait for different things; each thing's datagrams stay in order. */
export class WaitingDatagrams {
  #queue: WaitingDatagram[] = []
  #bytes = 0

  get size(): number {
    return this.#queue.length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Keeps a copy of `data`. Gives the number of older datagrams that had to go. */
  push(key: string, data: Uint8Array, destination: Target): number {
    this.#queue.push({ key, data: data.slice(), destination })
    this.#bytes += data.byteLength
    let dropped = 0
    while (this.#queue.length > MAX_WAITING_DATAGRAMS || this.#bytes > MAX_WAITING_BYTES) {
      this.#bytes -= this.#queue.shift()?.data.byteLength ?? 0
      dropped += 1
    }
    return dropped
  }

  /** Takes out what waits for `key`, in order. */
  take(key: string): readonly WaitingDatagram[] {
    const taken = this.#queue.filter((waiting) => waiting.key === key)
    this.#queue = this.#queue.filter((waiting) => waiting.key !== key)
    for (const { data } of taken) this.#bytes -= data.byteLength
    return taken
  }

  clear(): void {
    this.#queue = []
    this.#bytes = 0
  }
}
