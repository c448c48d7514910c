import { LinkSocksError } from '../../src/errors.js'
import type { Clock, MessageTransport, Timer, TransportClose, TransportHandler } from '../../src/ports.js'
import { concat } from './test-peer.js'

/** As the real transport: how long a close frame may stay unanswered. */
const CLOSE_GRACE_MS = 5_000

export interface MemoryTransportOptions {
  /** Frames of both sides wait until `flush()` or `letGo()`. @default false */
  readonly hold?: boolean
  /** With a clock, a close frame that stays unanswered for 5 s ends the connection. @default it waits for ever */
  readonly clock?: Clock
}

type Frame =
  | { readonly kind: 'message'; readonly data: Uint8Array; readonly sent: (() => void) | undefined }
  | { readonly kind: 'ping' | 'pong' | 'answer' }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }

/** Messages that were delivered: the transport's memory until they are recycled. */
const deliveredMemory = new WeakSet<ArrayBufferLike>()
const retainedMemory = new WeakMap<ArrayBufferLike, { times: number; given: boolean }>()

/**
 * Two ends of one WebSocket without a network. Frames arrive in order, one per microtask; they wait at the sender
 * (and count in its `bufferedAmount`) while the receiver is paused or not started, or while the sender is held.
 * A paused end does not notice that the other one aborted until it resumes, as with a socket.
 */
export function memoryTransportPair(options: MemoryTransportOptions = {}): [MemoryTransport, MemoryTransport] {
  const a = new MemoryTransport(options)
  const b = new MemoryTransport(options)
  a.join(b)
  b.join(a)
  return [a, b]
}

export class MemoryTransport implements MessageTransport {
  #peer: MemoryTransport | undefined
  #handler: TransportHandler | undefined
  #unread: Uint8Array[] = []
  #outgoing: Frame[] = []
  #sentMessages: Uint8Array[] | undefined
  #bufferedAmount = 0
  #paused = false
  #held: boolean
  #allowance = 0
  #scheduled = false
  /** Our close frame is queued: nothing may follow it. */
  #closing = false
  /** The peer's close frame has arrived. */
  #closeReceived: TransportClose | undefined
  /** The connection is gone; the handler may not know yet. */
  #ended: TransportClose | undefined
  #reported = false
  #graceTimer: Timer | undefined
  readonly #clock: Clock | undefined

  constructor(options: MemoryTransportOptions) {
    this.#held = options.hold ?? false
    this.#clock = options.clock
  }

  /** For `memoryTransportPair` alone. */
  join(peer: MemoryTransport): void {
    this.#peer = peer
  }

  /** From now on `sentMessages` grows; most tests never look, and it keeps all that was sent. */
  record(): void {
    this.#sentMessages ??= []
  }

  /** Every message given to `send()` since `record()` that was not ignored, as the peer will see it. */
  get sentMessages(): readonly Uint8Array[] {
    if (this.#sentMessages === undefined) throw new Error('nothing is recorded')
    return this.#sentMessages
  }

  get bufferedAmount(): number {
    return this.#bufferedAmount
  }

  /** Frames that wait at this end. */
  get queuedFrames(): number {
    return this.#outgoing.length
  }

  get paused(): boolean {
    return this.#paused
  }

  /** The handler has been told that nothing follows. */
  get closed(): boolean {
    return this.#reported
  }

  start(handler: TransportHandler): void {
    if (this.#handler !== undefined) throw new TypeError('start() was called before')
    this.#handler = handler
    while (this.#handler === handler && this.#unread.length > 0) handler.message(this.#unread.shift() as Uint8Array)
    this.#peer?.wake()
    this.wake()
  }

  handBack(unread: readonly Uint8Array[]): void {
    this.#handler = undefined
    this.#unread = [...unread, ...this.#unread]
    this.#reported = false
  }

  send(head: Uint8Array, body?: Uint8Array, sent?: () => void): void {
    if (this.#closing || this.#ended !== undefined) {
      sent?.()
      return
    }
    const data = body === undefined ? new Uint8Array(head) : concat(head, body)
    // the peer spoils its own when it has read it
    this.#sentMessages?.push(data.slice())
    this.#bufferedAmount += data.byteLength
    this.#queue({ kind: 'message', data, sent })
  }

  /** Spoils the message: whoever still looks at it sees that it should not. */
  recycle(data: Uint8Array): void {
    const retained = retainedMemory.get(data.buffer)
    if (retained === undefined) new Uint8Array(data.buffer).fill(0xee)
    else retained.given = true
  }

  retain(data: Uint8Array): boolean {
    if (!deliveredMemory.has(data.buffer)) return false
    const retained = retainedMemory.get(data.buffer)
    if (retained === undefined) retainedMemory.set(data.buffer, { times: 1, given: false })
    else retained.times += 1
    return true
  }

  release(data: Uint8Array): void {
    const retained = retainedMemory.get(data.buffer)
    if (retained === undefined) throw new Error('release() without retain()')
    retained.times -= 1
    if (retained.times > 0) return
    retainedMemory.delete(data.buffer)
    if (retained.given) this.recycle(data)
  }

  ping(): void {
    if (!this.#closing) this.#queue({ kind: 'ping' })
  }

  pong(): void {
    if (!this.#closing) this.#queue({ kind: 'pong' })
  }

  #answer(): void {
    if (!this.#closing) this.#queue({ kind: 'answer' })
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#peer?.wake()
    this.wake()
  }

  close(code = 1000, reason = ''): void {
    if (this.#closing || this.#ended !== undefined) return
    this.#queue({ kind: 'close', code, reason })
    this.#closing = true
    this.resume()
    this.#graceTimer = this.#clock?.after(CLOSE_GRACE_MS, () => this.abort())
  }

  abort(error?: LinkSocksError): void {
    this.#unread = []
    if (this.#ended !== undefined) return
    this.end({ code: 1006, reason: '', ...(error && { error }) })
    this.#report()
    this.#peer?.end({ code: 1006, reason: '' })
  }

  lose(reason: LinkSocksError): void {
    this.abort(reason)
  }

  /** The network fails: both ends lose the connection without a close frame. */
  cut(error = new LinkSocksError('ERR_LINK_LOST', 'the connection was cut')): void {
    this.end({ code: 1006, reason: '', error })
    this.#peer?.end({ code: 1006, reason: '', error })
  }

  /** From now on frames of this end wait for `flush()` or `letGo()`. */
  hold(): void {
    this.#held = true
  }

  /** Lets up to `frames` held frames of this end go. */
  flush(frames = this.#outgoing.length): void {
    this.#allowance += frames
    this.wake()
  }

  /** Frames of this end flow freely again. */
  letGo(): void {
    this.#held = false
    this.#allowance = 0
    this.wake()
  }

  /** For the peer: something changed, look again in a microtask. */
  wake(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#step()
    })
  }

  /** For the peer: the connection is gone. */
  end(info: TransportClose): void {
    if (this.#ended !== undefined) return
    this.#ended = info
    this.#graceTimer?.cancel()
    const dropped = this.#outgoing
    this.#outgoing = []
    this.#bufferedAmount = 0
    for (const frame of dropped) if (frame.kind === 'message') frame.sent?.()
    this.wake()
  }

  /** For the peer: one frame arrives. */
  receive(frame: Frame): void {
    this.#handler?.activity()
    if (this.#ended !== undefined) return
    if (frame.kind === 'message') {
      deliveredMemory.add(frame.data.buffer)
      this.#handler?.message(frame.data)
    } else if (frame.kind === 'ping') this.#answer()
    else if (frame.kind === 'answer') this.#handler?.pong?.()
    else if (frame.kind === 'close') this.#closeFrame(frame.code, frame.reason)
  }

  #closeFrame(code: number, reason: string): void {
    this.#closeReceived = { code, reason }
    if (!this.#closing) {
      this.close(code, reason)
      return
    }
    // both close frames have passed: the connection ends for both
    this.end(this.#closeReceived)
    this.#peer?.end(this.#peer.#closeReceived ?? { code, reason })
  }

  #queue(frame: Frame): void {
    if (this.#ended !== undefined) return
    this.#outgoing.push(frame)
    this.wake()
  }

  #step(): void {
    if (this.#ended !== undefined) {
      if (!this.#paused) this.#report()
      return
    }
    const peer = this.#peer
    if (peer === undefined || !peer.#reading || (this.#held && this.#allowance === 0)) return
    const frame = this.#outgoing.shift()
    if (frame === undefined) return
    if (this.#held) this.#allowance -= 1
    if (frame.kind === 'message') this.#bufferedAmount -= frame.data.byteLength
    peer.receive(frame)
    if (frame.kind === 'message') {
      frame.sent?.()
      if (this.#ended === undefined) this.#handler?.drain()
    }
    this.wake()
  }

  get #reading(): boolean {
    return this.#handler !== undefined && !this.#paused && this.#ended === undefined
  }

  #report(): void {
    if (this.#reported || this.#handler === undefined || this.#ended === undefined) return
    this.#reported = true
    this.#handler.close(this.#ended)
  }
}
