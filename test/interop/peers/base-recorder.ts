import type { Socket } from 'node:net'
import { within } from '../../support/wait.js'
import { Bell } from './base-bell.js'

/** Reads a connection from the start and remembers all of it. */
export class Recorder {
  readonly #socket: Socket
  readonly #chunks: Buffer[] = []
  readonly #changed = new Bell()
  length = 0
  /** How reading ended: `end` for a FIN, else the error's code. */
  how: string | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.length += chunk.length
      this.#changed.ring()
    })
    socket.on('end', () => this.#over('end'))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#over(error.code ?? error.message))
    socket.on('close', () => this.#over('close'))
    // what ended before anybody looked
    if (socket.readableEnded) this.#over('end')
    else if (socket.destroyed) this.#over('close')
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get text(): string {
    return this.bytes.toString('latin1')
  }

  /** Waits for so many bytes in all. */
  async until(length: number): Promise<Buffer> {
    const what = (): string => `${length} bytes (came: ${this.length})`
    await this.#changed.until(what, () => this.how ?? (this.length >= length || undefined))
    return this.bytes
  }

  /** Waits for the end; `end` when it was a FIN and the other direction still stands. */
  async ended(): Promise<string> {
    return await this.#changed.until('end of the connection', () => this.how)
  }

  /**
   * Waits for a reset. One right behind the last bytes reaches Node as an end, but whoever writes is told the truth.
   * @throws when it ended in order
   */
  async reset(): Promise<void> {
    if ((await this.ended()) !== 'end') return
    const { destroyed, writableEnded } = this.#socket
    const failed = !writableEnded && (destroyed || (await this.#writeFails()))
    if (!failed) throw new Error(`ended in order behind ${this.length} bytes`)
  }

  async #writeFails(): Promise<boolean> {
    const written = new Promise<boolean>((resolve) => {
      this.#socket.write('?', (error) => resolve(error !== null && error !== undefined))
    })
    return await within(written, 'write behind the end')
  }

  #over(how: string): void {
    this.how ??= how
    this.#changed.ring()
  }
}
