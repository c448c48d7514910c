import type { LinkSocksError } from '../../errors.js'
import type { ByteStreamHandler } from '../../ports.js'

/** What a channel tells its owner besides the data; before `start()` it is kept. */
export class HandlerEvents {
  #handler: ByteStreamHandler | undefined
  #writtenEarly = 0
  /** Bytes that were written before handBack() and have not left. */
  #disowned = 0
  #over: { readonly error: LinkSocksError | undefined } | undefined

  get closed(): boolean {
    return this.#over !== undefined
  }

  /**
   * @param deliver delivers what was received so far.
   * @throws {TypeError} when there is a handler
   */
  start(handler: ByteStreamHandler, deliver: () => void): void {
    if (this.#handler !== undefined) throw new TypeError('start() was called before')
    const over = this.#over
    const writtenEarly = this.#writtenEarly
    this.#handler = handler
    this.#writtenEarly = 0
    if (writtenEarly > 0 && over?.error === undefined) handler.written(writtenEarly)
    // the handler may hand the channel back meanwhile
    if (this.#handler !== handler) return
    deliver()
    // an end that comes meanwhile is reported by emitClose()
    if (over !== undefined && this.#handler === handler) handler.close(over.error)
  }

  /** @param unreported bytes that were written by now and have not left */
  handBack(unreported: number): void {
    this.#handler = undefined
    this.#writtenEarly = 0
    this.#disowned = unreported
  }

  written(bytes: number): void {
    const disowned = Math.min(bytes, this.#disowned)
    this.#disowned -= disowned
    if (disowned === bytes) return
    if (this.#handler === undefined) this.#writtenEarly += bytes - disowned
    else if (this.#over === undefined) this.#handler.written(bytes - disowned)
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
