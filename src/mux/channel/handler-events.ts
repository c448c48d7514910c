import type { LinkSocksError } from '../../errors.js'
import type { ByteStreamHandler } from '../../ports.js'

/** What a channel tells its owner besides the data; before `start()` it is kept. */
export class HandlerEvents {
  #handler: ByteStreamHandler | undefined
  #writtenEarly = 0
  #over: { readonly error: LinkSocksError | undefined } | undefined

  get closed(): boolean {
    return this.#over !== undefined
  }

  /** @param deliver delivers what was received so far. */
  start(handler: ByteStreamHandler, deliver: () => void): void {
    const over = this.#over
    this.#handler = handler
    if (this.#writtenEarly > 0 && over?.error === undefined) handler.written(this.#writtenEarly)
    deliver()
    // an end that comes meanwhile is told by close()
    if (over !== undefined) handler.close(over.error)
  }

  written(bytes: number): void {
    if (this.#handler === undefined) this.#writtenEarly += bytes
    else if (this.#over === undefined) this.#handler.written(bytes)
  }

  /** Marks the end; `emitClose()` reports it. @returns false when it had come before. */
  close(error: LinkSocksError | undefined): boolean {
    if (this.#over !== undefined) return false
    this.#over = { error }
    return true
  }

  /** After `close()`, once. */
  emitClose(): void {
    if (this.#over !== undefined) this.#handler?.close(this.#over.error)
  }
}
