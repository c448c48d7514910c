import type { Socket } from 'node:net'
import { Writable } from 'node:stream'

type Done = (error?: Error | null) => void

/** A socket whose writes stay under way until they are let go. */
export class HeldSocket extends Writable {
  /** What each write brought; the views, not copies: as with a socket, they must not change before they are let go. */
  readonly writes: Uint8Array[][] = []
  /** Copies of what has left. */
  readonly #left: Buffer[] = []
  #done: Done | undefined
  held: boolean

  /** @param held whether writes wait for `letGo()` */
  constructor(held = false) {
    super({ highWaterMark: 1 })
    this.held = held
  }

  get asSocket(): Socket {
    return this as unknown as Socket
  }

  /** All that has left. */
  get bytes(): Buffer {
    return Buffer.concat(this.#left)
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: Done): void {
    this.#take([chunk], done)
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: Done): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  /** As a socket does: the write under way is cancelled. */
  override _destroy(error: Error | null, done: Done): void {
    const cancelled = this.#done
    this.#done = undefined
    done(error)
    cancelled?.(error ?? new Error('cancelled'))
  }

  /** The write under way leaves, and what waits behind it follows. */
  async letGo(): Promise<void> {
    const done = this.#done
    this.#done = undefined
    for (const chunk of this.writes.at(-1) ?? []) this.#left.push(Buffer.from(chunk))
    done?.()
    await new Promise((resolve) => setImmediate(resolve))
  }

  #take(chunks: Uint8Array[], done: Done): void {
    this.writes.push(chunks)
    this.#done = done
    if (!this.held) void this.letGo()
  }
}
