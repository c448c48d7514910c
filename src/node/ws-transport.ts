import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import { LinkSocksError } from '../errors.js'
import type { MessageTransport, TransportClose, TransportHandler } from '../ports.js'
import { MAX_MESSAGE_BYTES } from '../protocol/limits.js'

/**
 * After close(), and after the peer's close frame: the connection ends when for this long nothing more has left and
 * the closing handshake is not done.
 */
export const CLOSE_GRACE_MS = 5_000
/** However fast the queue shrinks, a closing connection is gone after this time. */
const CLOSE_LIMIT_MS = 30_000
/** Fragments one message may come in; a message of 32 MiB in frames of 4 KiB has 8,192. */
const MAX_FRAGMENTS = 16_384
/** Longest reason of a close frame in bytes (RFC 6455 5.5: 125 less the code). */
const MAX_CLOSE_REASON_BYTES = 123

/** Options for both ends of `ws`: no compression, our message limit, bounded closing, pings answered by us. */
export const WS_OPTIONS = {
  // by itself `ws` ends the connection when 60 pings come in one piece
  autoPong: false,
  perMessageDeflate: false,
  maxPayload: MAX_MESSAGE_BYTES,
  maxFragments: MAX_FRAGMENTS,
  closeTimeout: CLOSE_LIMIT_MS,
}

/** One WebSocket of the `ws` package, server or client end, as a MessageTransport. */
export class WsTransport implements MessageTransport {
  /** The connection below, for its addresses and for counting what arrives. */
  readonly socket: Socket
  readonly #ws: WebSocket
  #handler: TransportHandler | undefined
  #bufferedAmount = 0
  #paused = false
  /** close() was called, or the peer's close frame came. */
  #closing = false
  #graceTimer: NodeJS.Timeout | undefined
  /** A pong is on its way out. */
  #answering = false
  /** The latest ping that came meanwhile. */
  #unanswered: Buffer | undefined
  #error: LinkSocksError | undefined
  #ended: TransportClose | undefined

  /** Takes over an open WebSocket in the tick that opened it; nothing is read until start(). */
  constructor(ws: WebSocket, socket: Socket) {
    this.#ws = ws
    this.socket = socket
    ws.pause()
    ws.on('message', (data) => this.#message(data as Buffer))
    ws.on('ping', (data) => this.#answer(data))
    ws.on('error', (error) => this.#failed(error))
    ws.on('close', (code, reason) => this.#end(code, reason.toString()))
    socket.on('data', () => this.#read())
    socket.on('error', (error) => this.#failed(error))
  }

  get bufferedAmount(): number {
    return this.#bufferedAmount
  }

  start(handler: TransportHandler): void {
    if (this.#handler !== undefined) throw new TypeError('start() was called before')
    this.#handler = handler
    if (this.#ended === undefined) {
      if (!this.#paused) this.#ws.resume()
      return
    }
    const info = this.#ended
    queueMicrotask(() => handler.close(info))
  }

  send(head: Uint8Array, body?: Uint8Array, sent?: () => void): void {
    if (this.#ws.readyState !== WebSocket.OPEN || this.#ended !== undefined) {
      sent?.()
      return
    }
    const data = body === undefined || body.byteLength === 0 ? head : Buffer.concat([head, body])
    const bytes = data.byteLength
    this.#bufferedAmount += bytes
    // called with an error too, when the connection ends first
    this.#ws.send(data, () => {
      this.#bufferedAmount -= bytes
      sent?.()
      if (this.#ended === undefined) this.#handler?.drain()
    })
  }

  ping(): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.ping()
  }

  pong(): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.pong()
  }

  pause(): void {
    this.#paused = true
    this.#ws.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#handler !== undefined) this.#ws.resume()
  }

  close(code = 1000, reason = ''): void {
    if (this.#closing || this.#ended !== undefined) return
    this.#ws.close(code, cutToBytes(reason, MAX_CLOSE_REASON_BYTES))
    this.#awaitClose()
  }

  abort(): void {
    this.#ws.terminate()
    this.#end(1006, '')
  }

  /** Ends the connection at once for a reason that `close()` of the handler will carry. */
  fail(error: LinkSocksError): void {
    this.#error ??= error
    this.abort()
  }

  #message(data: Buffer): void {
    if (this.#ended !== undefined) return
    this.#handler?.activity()
    this.#handler?.message(owned(data))
  }

  /** Behind a pong that has not left yet only the latest ping is answered (RFC 6455 section 5.5.3): a flood costs nothing. */
  #answer(ping: Buffer): void {
    if (this.#answering) {
      this.#unanswered = Buffer.from(ping)
      return
    }
    if (this.#ws.readyState !== WebSocket.OPEN) return
    this.#answering = true
    this.#ws.pong(ping, undefined, () => {
      this.#answering = false
      const next = this.#unanswered
      this.#unanswered = undefined
      if (next !== undefined) this.#answer(next)
    })
  }

  /** After `ws` has seen the bytes: pings, pongs and parts of a long message count as activity too. */
  #read(): void {
    if (this.#ended !== undefined) return
    this.#handler?.activity()
    if (this.#ws.readyState === WebSocket.CLOSING && !this.#closing) this.#awaitClose()
  }

  #failed(error: Error): void {
    this.#error ??= transportError(error)
    if (!this.#closing && this.#ended === undefined) this.#awaitClose()
  }

  #awaitClose(): void {
    this.#closing = true
    let left = this.#bufferedAmount
    this.#graceTimer = setInterval(() => {
      if (this.#bufferedAmount >= left) this.#ws.terminate()
      left = this.#bufferedAmount
    }, CLOSE_GRACE_MS)
    this.#graceTimer.unref()
  }

  #end(code: number, reason: string): void {
    if (this.#ended !== undefined) return
    clearInterval(this.#graceTimer)
    this.#ended = { code, reason, error: this.#error }
    this.#handler?.close(this.#ended)
  }
}

function transportError(error: Error): LinkSocksError {
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' || code === 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH') {
    return new LinkSocksError('ERR_MESSAGE_TOO_LARGE', `message larger than ${MAX_MESSAGE_BYTES} bytes`, {
      cause: error,
    })
  }
  if (code.startsWith('WS_ERR_')) return new LinkSocksError('ERR_MESSAGE_INVALID', error.message, { cause: error })
  return new LinkSocksError('ERR_LINK_LOST', `connection failed: ${error.message}`, { cause: error })
}

/** Cuts `text` to at most `limit` bytes of UTF-8 at a character boundary. */
function cutToBytes(text: string, limit: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(limit))
  return text.slice(0, read)
}

/**
 * `ws` gives small messages out as views of the larger piece they came in: a few bytes that wait for a slow reader would
 * keep 64 KiB alive, which no limit counts.
 */
function owned(data: Buffer): Uint8Array {
  return data.byteLength * 2 < data.buffer.byteLength ? new Uint8Array(data) : data
}
