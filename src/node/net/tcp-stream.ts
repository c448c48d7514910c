import type { Socket } from 'node:net'
import { LinkSocksError } from '../../errors.js'
import type { ByteStream, ByteStreamHandler, Clock, Timer } from '../../ports.js'
import { KIB } from '../../protocol/limits.js'
import { ChunkQueue } from '../../streams/chunk-queue.js'
import { LentChunks } from '../../streams/lent-chunks.js'
import { nodeClock } from '../system/clock.js'
import { errorCode } from '../system/error-code.js'
import { blockPool } from './block-pool.js'
import { confirmEnd, keepAfterEnd } from './end-of-input.js'
import { SocketReader } from './socket-reader.js'

/** Bytes delivered and not consumed at which the socket stops being read; reading resumes below half of it. */
export const READ_AHEAD_BYTES = 256 * KIB
/** Given to the socket at a time. It tells of what it was given together only when all of it has left. */
const SOCKET_BYTES = 128 * KIB
/** After `close()` and its FIN: how long the peer's bytes are read and thrown away. Unread ones would make the kernel reset. */
export const LINGER_MS = 5_000
/** After `close()`: a peer that takes nothing of what is still queued for this long is reset. */
export const FLUSH_STALL_MS = 300_000

/**
 * A connected TCP socket as a ByteStream.
 *
 * open --end()--> ended: nothing more is written, what arrives is still delivered
 * open, ended --close()--> flushing --FIN sent--> closed (lingers until the peer ends, at most LINGER_MS)
 * open, ended, flushing --abort(), error--> closed
 */
export class TcpStream implements ByteStream {
  readonly #socket: Socket
  readonly #input: SocketReader
  readonly #clock: Clock
  #handler: ByteStreamHandler | undefined
  /** Was given to start(), and becomes the handler in a moment. */
  #starting: ByteStreamHandler | undefined
  #state: 'open' | 'ended' | 'flushing' | 'closed' = 'open'
  /** Why it is closed; `undefined` after an orderly end. */
  #error: LinkSocksError | undefined
  /** Delivered to an earlier handler or to none, to be delivered first. */
  #unread: Uint8Array[] | undefined
  /** After close() and abort(): nothing is delivered. */
  #muted = false
  /** Delivered, not consumed. */
  #unconsumed = 0
  #paused = false
  readonly #lent = new LentChunks((chunk) => blockPool.give(chunk))
  /** Given to write(), not given to the socket yet. */
  readonly #queue = new ChunkQueue()
  /** Given to write(), not reported by written(). */
  #unreported = 0
  /** Of these, what had not left when that was last looked at. */
  #leftToFlush = 0
  /** Of these, the first ones were written before handBack(), and are reported to no handler. */
  #disowned = 0
  #peerEnded = false
  /** Both directions had ended, and the socket was closed without a FIN before. */
  #overAtOnce = false
  #timer: Timer | undefined
  readonly #onWritten = (error?: Error | null): void => {
    if (error) return
    this.#feed()
    this.#reportWritten()
  }

  /** @param socket a plain TCP socket that is connected, was created with `allowHalfOpen` and has not been read yet. */
  constructor(socket: Socket, clock: Clock = nodeClock) {
    this.#socket = socket
    this.#clock = clock
    this.#input = new SocketReader(socket, (bytes) => this.#onData(bytes))
    socket.setNoDelay(true)
    keepAfterEnd(socket)
    socket.on('end', () => confirmEnd(socket, () => this.#onEnd()))
    socket.on('finish', () => this.#onFinish())
    socket.on('error', (error) => this.#settle(streamError(error)))
    socket.on('close', () => this.#onClose())
  }

  /** What arrives is still wanted. */
  get #delivering(): boolean {
    return this.#state === 'open' || this.#state === 'ended'
  }

  start(handler: ByteStreamHandler): void {
    if (this.#handler !== undefined || this.#starting !== undefined) throw new TypeError('start() was called before')
    const news = this.#unread !== undefined || this.#peerEnded || this.#state === 'closed' || this.#unreported > 0
    if (!news) return this.#begin(handler)
    this.#starting = handler
    // not from inside start(): a caller that joins two streams has yet to start the other one
    queueMicrotask(() => {
      if (this.#starting === handler) this.#catchUp(handler)
    })
  }

  handBack(unread: readonly Uint8Array[]): void {
    this.#handler = undefined
    this.#starting = undefined
    if (!this.#muted && unread.length > 0) this.#unread = [...unread, ...(this.#unread ?? [])]
    this.#disowned = this.#unreported
  }

  consume(bytes: number): void {
    this.#lent.use(bytes)
    this.#unconsumed = Math.max(0, this.#unconsumed - bytes)
    if (!this.#paused || this.#unconsumed >= READ_AHEAD_BYTES / 2 || !this.#delivering) return
    this.#paused = false
    this.#input.resume()
  }

  write(chunk: Uint8Array): void {
    if (this.#state !== 'open' || chunk.byteLength === 0) return
    this.#unreported += chunk.byteLength
    this.#queue.push(chunk)
    this.#feed()
  }

  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ended'
    this.#feed()
  }

  close(): void {
    if (!this.#delivering) return this.#mute()
    this.end()
    this.#mute()
    this.#state = 'flushing'
    this.#input.resume()
    if (this.#socket.writableFinished) this.#onFinish()
    else if (this.#unreported > 0) this.#watchFlush()
  }

  abort(reason: LinkSocksError): void {
    this.#mute()
    if (this.#state === 'closed') return
    this.#reset()
    this.#settle(reason)
  }

  /** abort(), and a socket that still lingers after close() is gone too. For whoever owns the socket. */
  terminate(reason: LinkSocksError): void {
    // what was flushed must reach the peer: no RST any more
    if (this.#state === 'closed') this.#socket.destroy()
    else this.abort(reason)
  }

  #feed(): void {
    if (this.#state === 'closed') return
    while (this.#queue.bytes > 0 && this.#socket.writableLength < SOCKET_BYTES) {
      this.#socket.write(this.#queue.take(Math.min(this.#queue.firstBytes, SOCKET_BYTES)), this.#onWritten)
    }
    if (this.#state !== 'open' && this.#queue.bytes === 0 && !this.#socket.writableEnded) this.#endSocket()
  }

  /** Where the peer has ended, closing says the same as a FIN of its own would, and is half the work. */
  #endSocket(): void {
    // a write that failed is told of a tick later, and not of a socket that was destroyed by then
    const failed = this.#socket.errored !== null
    this.#overAtOnce = this.#peerEnded && this.#socket.writableLength === 0 && !failed
    if (this.#overAtOnce) this.#socket.destroy()
    else this.#socket.end()
  }

  #onData(bytes: Uint8Array): void {
    if (!this.#delivering) return
    const chunk = blockPool.take(bytes.byteLength)
    chunk.set(bytes)
    this.#lent.lend(chunk)
    this.#unconsumed += chunk.byteLength
    if (this.#unconsumed > READ_AHEAD_BYTES && !this.#paused) {
      this.#paused = true
      this.#input.pause()
    }
    if (this.#handler !== undefined) this.#handler.data(chunk)
    else if (this.#unread === undefined) this.#unread = [chunk]
    else this.#unread.push(chunk)
  }

  #begin(handler: ByteStreamHandler): void {
    this.#handler = handler
    if (this.#delivering && !this.#paused) this.#input.resume()
  }

  /** Begins with what came before the handler did; it may end the stream or hand it back meanwhile. */
  #catchUp(handler: ByteStreamHandler): void {
    const over = this.#state === 'closed'
    this.#starting = undefined
    this.#begin(handler)
    while (this.#handler === handler && this.#unread !== undefined) handler.data(this.#nextUnread(this.#unread))
    if (this.#handler === handler && this.#peerEnded && !this.#muted) handler.end()
    if (this.#handler !== handler) return
    if (over) this.#reportEnd(handler)
    else this.#reportWritten()
  }

  #nextUnread(unread: Uint8Array[]): Uint8Array {
    if (unread.length === 1) this.#unread = undefined
    return unread.shift() as Uint8Array
  }

  #mute(): void {
    this.#muted = true
    this.#unread = undefined
  }

  #onEnd(): void {
    if (this.#socket.destroyed) return
    this.#peerEnded = true
    if (this.#delivering) this.#handler?.end()
    this.#destroyWhenDone()
  }

  #onFinish(): void {
    if (this.#state === 'flushing') {
      this.#settle(undefined)
      if (!this.#peerEnded) this.#timer = this.#clock.after(LINGER_MS, () => this.#socket.destroy())
    }
    this.#destroyWhenDone()
  }

  #destroyWhenDone(): void {
    if (this.#peerEnded && this.#socket.writableFinished) this.#socket.destroy()
  }

  #onClose(): void {
    this.#timer?.cancel()
    const { readableEnded, writableFinished } = this.#socket
    this.#settle(
      readableEnded && (writableFinished || this.#overAtOnce)
        ? undefined
        : new LinkSocksError('ERR_STREAM_RESET', 'the connection was cut'),
    )
  }

  /** Tells how many bytes left since last time: the socket's own count is exact, whichever write is reported. */
  #reportWritten(): void {
    if (this.#state === 'closed') return
    const left = this.#socket.writableLength + this.#queue.bytes
    const written = this.#unreported - left
    if (written > 0 && this.#state === 'flushing' && left !== this.#leftToFlush) this.#watchFlush()
    this.#leftToFlush = left
    // it is kept for the next handler
    if (this.#handler === undefined || written <= 0) return
    this.#unreported = left
    const disowned = Math.min(written, this.#disowned)
    this.#disowned -= disowned
    if (written > disowned) this.#handler.written(written - disowned)
  }

  /** For a stream that was over before start(). */
  #reportEnd(handler: ByteStreamHandler): void {
    const written = this.#unreported - this.#disowned
    if (this.#error === undefined && written > 0) handler.written(written)
    handler.close(this.#error)
  }

  #watchFlush(): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(FLUSH_STALL_MS, () =>
      this.abort(new LinkSocksError('ERR_STREAM_RESET', 'the other side stopped reading')),
    )
  }

  #reset(): void {
    const { writableEnded, writableFinished, writableLength } = this.#socket
    // libuv can't reset while a shutdown is under way; that takes one turn of the loop once nothing is queued
    const shuttingDown = writableEnded && !writableFinished && writableLength === 0
    if (shuttingDown) this.#socket.once('finish', () => this.#socket.resetAndDestroy())
    else this.#socket.resetAndDestroy()
  }

  #settle(error: LinkSocksError | undefined): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#error = error
    this.#queue.clear()
    this.#timer?.cancel()
    this.#handler?.close(error)
  }
}

function streamError(error: Error): LinkSocksError {
  return new LinkSocksError('ERR_STREAM_RESET', streamErrorText(errorCode(error)), { cause: error })
}

function streamErrorText(code: string): string {
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'the other side reset the connection'
  if (code === 'ETIMEDOUT') return 'the other side stopped answering'
  return `the connection failed${code === '' ? '' : `: ${code}`}`
}
