import type { Socket } from 'node:net'
import { LinkSocksError } from '../../errors.js'
import type { MessageTransport, TransportClose, TransportHandler } from '../../ports.js'
import { blockPool } from '../net/block-pool.js'
import { SocketReader } from '../net/socket-reader.js'
import { nodeClock } from '../system/clock.js'
import { CloseCode, FrameViolation, MAX_CONTROL_BYTES, Opcode } from './frame-format.js'
import { FrameReader } from './frame-reader.js'
import { type FrameStyle, FrameWriter } from './frame-writer.js'
import type { Upgraded } from './ws-handshake.js'

/**
 * After close(), and after the peer's close frame: the connection ends when for this long nothing more has left and
 * the closing handshake is not done.
 */
export const CLOSE_GRACE_MS = 5_000
/** However fast the queue shrinks, a closing connection is gone after this time. */
const CLOSE_LIMIT_MS = 30_000
/** Pongs wait behind so many bytes at most: a peer that pings and does not read gets no more of them (RFC 6455 5.5.3). */
const PONG_HIGH_WATER_BYTES = 1024 * 1024
/** Longest reason of a close frame in bytes (RFC 6455 5.5: 125 less the code). */
const MAX_CLOSE_REASON_BYTES = MAX_CONTROL_BYTES - 2

/** Which end of the WebSocket this is: a client masks what it sends (RFC 6455 section 5.1). */
export type WsRole = 'client' | 'server'

/** Once a close frame was sent or the peer ended the connection: nothing more is sent, and the end is awaited. */
interface Closing {
  readonly name: 'closing'
  closeSent: boolean
  /** What the peer's close frame said. */
  peerClose: { readonly code: number; readonly reason: string } | undefined
  /** Ends the connection when nothing leaves any more. */
  grace: NodeJS.Timeout | undefined
}

type State = { readonly name: 'open' } | Closing | { readonly name: 'closed'; readonly info: TransportClose }

/**
 * One WebSocket on a connection whose handshake is done, as a MessageTransport.
 *
 * open --close(), close frame, violation, end of the peer--> closing --end of the connection, CLOSE_GRACE_MS--> closed
 * open, closing --abort(), error--> closed
 */
export class WsTransport implements MessageTransport {
  /** The connection below, for its addresses and for counting what arrives. */
  readonly socket: Socket
  readonly #input: SocketReader
  readonly #reader: FrameReader
  readonly #writer: FrameWriter
  #watch: ((bytes: number) => void) | undefined
  #handler: TransportHandler | undefined
  /** Delivered to an earlier handler or to none, to be delivered first. */
  #unread: Uint8Array[] = []
  #paused = false
  #state: State = { name: 'open' }
  /** Sent so far: each ping carries its number. */
  #pings = 0
  /** Why it fails, known before it is closed. */
  #error: LinkSocksError | undefined

  /**
   * Takes over a connection in the tick of its handshake; nothing is read until start().
   * @param sharesTls whether both ends found that they are the ends of one TLS connection
   */
  constructor({ socket, head }: Upgraded, role: WsRole, sharesTls = false) {
    this.socket = socket
    this.#reader = new FrameReader(role === 'server', {
      message: (data) => this.#message(data),
      ping: (payload) => this.#pong(payload),
      pong: (payload) => this.#onPong(payload),
      close: (code, reason) => this.#onClose(code, reason),
    })
    this.#writer = new FrameWriter(socket, styleOf(socket, role, sharesTls), () => this.#drained())
    socket.setTimeout(0)
    socket.setNoDelay()
    this.#input = new SocketReader(socket, (bytes) => this.#read(bytes), { early: head })
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => this.#failed(connectionError(error)))
    socket.on('close', () => this.#end())
  }

  get bufferedAmount(): number {
    return this.#over ? 0 : this.#writer.bufferedAmount
  }

  start(handler: TransportHandler): void {
    if (this.#handler !== undefined) throw new TypeError('start() was called before')
    this.#handler = handler
    const state = this.#state
    // the handler may end the transport meanwhile, or hand it back
    while (this.#handler === handler && this.#unread.length > 0) handler.message(this.#unread.shift() as Uint8Array)
    if (state.name === 'closed') queueMicrotask(() => this.#handler === handler && handler.close(state.info))
    else if (this.#handler === handler && !this.#paused) this.#input.resume()
  }

  handBack(unread: readonly Uint8Array[]): void {
    this.#handler = undefined
    this.#unread = [...unread, ...this.#unread]
    if (this.#open) this.#input.pause()
  }

  send(head: Uint8Array, body?: Uint8Array, sent?: () => void): void {
    if (!this.#open) {
      if (sent !== undefined) this.#writer.skip(sent)
      return
    }
    this.#writer.frame(Opcode.Binary, body === undefined ? [head] : [head, body], sent)
  }

  ping(): void {
    if (!this.#open) return
    this.#pings += 1
    this.#writer.frame(Opcode.Ping, [Buffer.from(`${this.#pings}`)])
  }

  pong(): void {
    if (this.#open) this.#writer.frame(Opcode.Pong, [])
  }

  pause(): void {
    this.#paused = true
    if (this.#open) this.#input.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#handler !== undefined) this.#input.resume()
  }

  recycle(data: Uint8Array): void {
    blockPool.give(data)
  }

  close(code: number = CloseCode.Normal, reason = ''): void {
    if (!this.#open) return
    this.#sendClose(code, reason)
    // what comes before the peer's close frame has to be read, or that is never seen
    if (this.#paused) this.resume()
    this.#awaitEnd()
  }

  retain(data: Uint8Array): boolean {
    return blockPool.retain(data)
  }

  release(data: Uint8Array): void {
    blockPool.release(data)
  }

  abort(reason?: LinkSocksError): void {
    this.#error ??= reason
    this.#unread = []
    this.socket.destroy()
    this.#end()
  }

  lose(reason: LinkSocksError): void {
    this.abort(reason)
  }

  /** Calls `watch` with the size of whatever is read, before anything of it is delivered. One at a time. */
  watchInbound(watch: ((bytes: number) => void) | undefined): void {
    this.#watch = watch
  }

  get #open(): boolean {
    return this.#state.name === 'open'
  }

  get #over(): boolean {
    return this.#state.name === 'closed'
  }

  get #peerClose(): Closing['peerClose'] {
    return this.#state.name === 'closing' ? this.#state.peerClose : undefined
  }

  #read(chunk: Uint8Array): void {
    if (this.#over) return
    this.#watch?.(chunk.byteLength)
    // whoever watches may have ended it
    if (this.#over) return
    this.#handler?.activity()
    // behind a close frame or a violation nothing counts; it is read so that the end of the connection is seen
    if (this.#peerClose !== undefined || this.#error !== undefined) return
    try {
      this.#reader.push(chunk)
    } catch (thrown) {
      this.#violated(thrown)
    }
  }

  #message(data: Uint8Array): void {
    if (this.#over) return this.#reader.stop()
    if (this.#handler === undefined) this.#unread.push(data)
    else this.#handler.message(data)
  }

  #pong(payload: Uint8Array): void {
    if (this.#open && this.bufferedAmount < PONG_HIGH_WATER_BYTES) this.#writer.frame(Opcode.Pong, [payload])
  }

  /** Peers send pongs on their own as well, at the times of our pings even: those are no answers. */
  #onPong(payload: Uint8Array): void {
    if (this.#pings > 0 && Buffer.from(payload).toString('latin1') === `${this.#pings}`) this.#handler?.pong?.()
  }

  #onClose(code: number, reason: string): void {
    const closing = this.#beginClosing()
    if (closing === undefined) return
    closing.peerClose = { code, reason }
    this.#sendClose(code === CloseCode.NoStatus ? undefined : code, '')
    this.socket.end()
    this.#awaitEnd()
  }

  /** The peer ends the connection: without a close frame it has broken off. */
  #onEnd(): void {
    if (this.#beginClosing() === undefined) return
    this.#writer.flush()
    this.socket.end()
    this.#awaitEnd()
  }

  #violated(thrown: unknown): void {
    if (this.#beginClosing() === undefined) return
    const violation = thrown instanceof FrameViolation ? thrown : undefined
    this.#error = LinkSocksError.from(thrown, 'ERR_MESSAGE_INVALID')
    this.#sendClose(violation?.status ?? CloseCode.ProtocolError, violation?.message ?? '')
    this.socket.end()
    this.#input.resume()
    this.#awaitEnd()
  }

  #failed(error: LinkSocksError): void {
    this.#error ??= error
  }

  /** @returns `undefined` when it is closed. */
  #beginClosing(): Closing | undefined {
    const state = this.#state
    if (state.name === 'closed') return undefined
    if (state.name === 'closing') return state
    const closing: Closing = { name: 'closing', closeSent: false, peerClose: undefined, grace: undefined }
    this.#state = closing
    return closing
  }

  /** Once. */
  #sendClose(code: number | undefined, reason: string): void {
    const closing = this.#beginClosing()
    if (closing === undefined || closing.closeSent) return
    closing.closeSent = true
    const text = new TextEncoder().encode(cutToBytes(reason, MAX_CLOSE_REASON_BYTES))
    this.#writer.frame(Opcode.Close, code === undefined ? [] : [Uint8Array.of(code >> 8, code & 255), text])
    this.#writer.flush()
  }

  #drained(): void {
    if (!this.#over) this.#handler?.drain()
  }

  #awaitEnd(): void {
    const closing = this.#beginClosing()
    if (closing === undefined || closing.grace !== undefined) return
    let left = this.bufferedAmount
    const limit = nodeClock.now() + CLOSE_LIMIT_MS
    closing.grace = setInterval(() => {
      const waiting = this.bufferedAmount
      if (waiting === 0 || waiting >= left || nodeClock.now() >= limit) this.socket.destroy()
      left = waiting
    }, CLOSE_GRACE_MS)
    closing.grace.unref()
  }

  #end(): void {
    const state = this.#state
    if (state.name === 'closed') return
    if (state.name === 'closing') clearInterval(state.grace)
    const { code, reason } = this.#peerClose ?? { code: CloseCode.Abnormal, reason: '' }
    const info: TransportClose = { code, reason, error: this.#error }
    this.#state = { name: 'closed', info }
    // what had not left is dropped, and its senders hear of it
    this.#writer.flush()
    this.#handler?.close(info)
  }
}

function styleOf(socket: Socket, role: WsRole, sharesTls: boolean): FrameStyle {
  return { masked: role === 'client', zeroKey: sharesTls, joined: 'encrypted' in socket }
}

function connectionError(error: Error): LinkSocksError {
  return new LinkSocksError('ERR_LINK_LOST', `connection failed: ${error.message}`, { cause: error })
}

/** Cuts `text` to at most `limit` bytes of UTF-8 at a character boundary. */
function cutToBytes(text: string, limit: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(limit))
  return text.slice(0, read)
}
