import { LinkSocksError } from '../../errors.js'
import type { Clock, MessageTransport, Timer, TransportClose, TransportHandler } from '../../ports.js'
import { RESUME_TIMEOUT_MS } from '../../protocol/limits.js'
import { MessageType } from '../../protocol/messages.js'
import {
  decodeSessionControl,
  encodeSessionControl,
  type SessionControl,
  SessionOp,
} from '../../protocol/session-control.js'
import { lossOf } from '../../streams/loss.js'
import { TRANSPORT_HIGH_WATER_BYTES } from '../flow/scheduler.js'
import { Acknowledger } from './acknowledger.js'
import type { ReplayBudget } from './replay-budget.js'
import { ReplayBuffer } from './replay-buffer.js'

/** Messages below this are small enough to take an acknowledgement along. */
const SMALL_BYTES = 1_024
/** Close codes of a peer that found a mistake of ours: sent again it would be the same mistake (RFC 6455 7.4.1). */
const FINAL_CODES: readonly number[] = [1002, 1003, 1007, 1008, 1009, 1010]

export interface ResumableOptions {
  readonly clock: Clock
  /** Shared by the sessions of one process. */
  readonly budget: ReplayBudget
  /** How long the session waits for a connection. @default {@link RESUME_TIMEOUT_MS} */
  readonly timeoutMs?: number | undefined
  /** The first message came on a connection given to `attach()`: the peer knows that it was resumed. */
  readonly confirmed?: (() => void) | undefined
}

/**
 * The transport of a session that survives its WebSocket (docs/protocol.md B.3): messages are counted, kept until the peer
 * has acknowledged them, and sent again on the next connection behind those that it had received.
 *
 * connected --loss--> suspended --attach()--> connected
 * connected, suspended --close(), abort(), END, a mistake, time--> closed
 */
export class ResumableTransport implements MessageTransport {
  readonly #options: ResumableOptions
  readonly #replay: ReplayBuffer
  readonly #acks: Acknowledger
  /** The present connection, or the last one. */
  #inner: MessageTransport
  /** The connection that delivers to this transport, since `start()`. */
  #begun: MessageTransport | undefined
  #handler: TransportHandler | undefined
  /** Handed back, to be delivered first. */
  #unread: Uint8Array[] = []
  #state: 'connected' | 'suspended' | 'closed' = 'connected'
  #paused = false
  /** One of the two has said that the session is over. */
  #over = false
  /** Why it is suspended. */
  #loss: LinkSocksError | undefined
  /** How it ended. */
  #ended: TransportClose | undefined
  #expiry: Timer | undefined
  #unconfirmed = false

  /** @param inner authenticated and not started yet */
  constructor(inner: MessageTransport, options: ResumableOptions) {
    this.#inner = inner
    this.#options = options
    const memory = {
      retain: (data: Uint8Array) => this.#inner.retain(data),
      release: (data: Uint8Array) => this.#inner.release(data),
    }
    this.#replay = new ReplayBuffer(memory, options.budget)
    this.#acks = new Acknowledger(options.clock, (received) => this.#control({ op: SessionOp.Ack, received }))
  }

  /** Messages received since the session began: what the next connection has to begin behind. */
  get received(): number {
    return this.#acks.received
  }

  get suspended(): boolean {
    return this.#state === 'suspended'
  }

  get closed(): boolean {
    return this.#state === 'closed'
  }

  /** Bytes kept for sending them again. */
  get keptBytes(): number {
    return this.#replay.bytes
  }

  get bufferedAmount(): number {
    if (this.#state === 'closed') return 0
    const held = this.#state === 'suspended' || this.#replay.behind || this.#replay.full
    return held ? Number.POSITIVE_INFINITY : this.#inner.bufferedAmount
  }

  /** Whether a peer that says it has received so many messages can go on with this session. */
  accepts(received: number): boolean {
    return this.#state !== 'closed' && !this.#over && this.#replay.covers(received)
  }

  start(handler: TransportHandler): void {
    if (this.#handler !== undefined) throw new TypeError('start() was called before')
    const ended = this.#ended
    this.#handler = handler
    // the handler may end the transport meanwhile, or hand it back
    while (this.#handler === handler && this.#unread.length > 0) handler.message(this.#unread.shift() as Uint8Array)
    if (this.#handler !== handler) return
    if (ended !== undefined) handler.close(ended)
    else if (this.#state === 'connected') this.#begin(this.#inner)
    else if (this.#loss !== undefined && this.suspended) handler.suspended?.(this.#loss)
  }

  handBack(unread: readonly Uint8Array[]): void {
    this.#handler = undefined
    this.#unread = [...unread, ...this.#unread]
    // what comes meanwhile waits there
    if (this.#begun !== undefined && this.#state === 'connected') this.#begun.handBack([])
    this.#begun = undefined
  }

  /**
   * Goes on with another connection, in place of a lost one or of one that is as good as lost.
   * @param received what the peer says to have received; see `accepts()`
   */
  attach(inner: MessageTransport, received: number): void {
    const old = this.#inner
    this.#acks.stop()
    this.#expiry?.cancel()
    this.#options.budget.resumed(this)
    this.#inner = inner
    if (this.#state === 'connected') {
      this.#state = 'suspended'
      old.abort()
      this.#suspend(new LinkSocksError('ERR_LINK_LOST', 'another connection took its place'))
    }
    // whoever hears of it may end the session
    if (this.closed) return inner.abort()
    this.#replay.rewind(received)
    this.#state = 'connected'
    this.#unconfirmed = true
    this.#handler?.resumed?.()
    if (this.closed) return
    if (this.#paused) inner.pause()
    // the peer hears that its answer has come
    this.#control({ op: SessionOp.Ack, received: this.received })
    if (this.#handler !== undefined) this.#begin(inner)
    this.#proceed()
  }

  /** Tells the peer that this end is about to shut down. */
  drain(): void {
    this.#control({ op: SessionOp.Drain })
  }

  send(head: Uint8Array, body?: Uint8Array, sent?: () => void): void {
    if (this.#state !== 'closed' && !this.#over) {
      const waits = this.#state === 'suspended' || this.#replay.behind
      this.#replay.push(head, body)
      if (!waits) {
        this.#replay.giveNext(this.#inner)
        if (body === undefined && head.byteLength < SMALL_BYTES) this.#acks.piggyback()
      }
    }
    sent?.()
  }

  recycle(data: Uint8Array): void {
    this.#inner.recycle(data)
  }

  retain(data: Uint8Array): boolean {
    return this.#inner.retain(data)
  }

  release(data: Uint8Array): void {
    this.#inner.release(data)
  }

  ping(): void {
    if (this.#state === 'connected') this.#inner.ping()
  }

  pong(): void {
    if (this.#state === 'connected') this.#inner.pong()
  }

  pause(): void {
    this.#paused = true
    if (this.#state === 'connected') this.#inner.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#state === 'connected') this.#inner.resume()
  }

  /** Ends the session in order; a peer that can't be reached any more is not told. */
  close(code?: number, reason?: string): void {
    if (this.#state === 'closed') return
    if (this.#state === 'suspended') return this.#end({ code: code ?? 1000, reason: reason ?? '' })
    if (!this.#over) {
      while (this.#replay.behind) this.#replay.giveNext(this.#inner)
      this.#control({ op: SessionOp.End })
    }
    this.#over = true
    this.#inner.close(code, reason)
  }

  abort(reason?: LinkSocksError): void {
    this.#unread = []
    if (this.#state === 'closed') return
    this.#state = 'closed'
    // first: what it was given may not be used again before it is gone
    this.#inner.abort(reason)
    this.#finish({ code: 1006, reason: '', error: reason })
  }

  /** Gives up the connection, not the session. */
  lose(reason: LinkSocksError): void {
    if (this.#state === 'connected') this.#inner.abort(reason)
  }

  /** Once for each connection, unless it was handed back: a handler that is called meanwhile may have begun already. */
  #begin(inner: MessageTransport): void {
    if (this.#begun === inner) return
    this.#begun = inner
    // what an earlier connection still tells is not about this one
    const current = (): boolean => this.#inner === inner && this.#state === 'connected'
    inner.start({
      message: (data) => {
        if (current()) this.#received(data)
      },
      activity: () => {
        if (current()) this.#handler?.activity()
      },
      pong: () => {
        if (current()) this.#handler?.pong?.()
      },
      drain: () => {
        if (current()) this.#proceed()
      },
      close: (info) => {
        if (current()) this.#lost(info)
      },
    })
  }

  #received(data: Uint8Array): void {
    if (this.#unconfirmed) {
      this.#unconfirmed = false
      this.#options.confirmed?.()
    }
    if (data[1] === MessageType.SessionControl) return this.#controlled(data)
    this.#acks.count(data.byteLength)
    this.#handler?.message(data)
  }

  #controlled(data: Uint8Array): void {
    try {
      const control = decodeSessionControl(data)
      if (control?.op === SessionOp.Ack) this.#acknowledged(control.received)
      else if (control?.op === SessionOp.End) this.#over = true
      else if (control?.op === SessionOp.Drain) this.#handler?.draining?.()
    } catch (thrown) {
      this.abort(LinkSocksError.from(thrown, 'ERR_MESSAGE_INVALID'))
    }
  }

  /** @throws {LinkSocksError} ERR_MESSAGE_INVALID */
  #acknowledged(received: number): void {
    this.#replay.acknowledge(received)
    // it may have been full, of its own or of what others kept
    this.#handler?.drain()
  }

  #lost(info: TransportClose): void {
    if (this.#over || FINAL_CODES.includes(info.code) || isMistake(info.error)) return this.#end(info)
    this.#acks.stop()
    const { clock, budget, timeoutMs = RESUME_TIMEOUT_MS } = this.#options
    this.#expiry = clock.after(timeoutMs, () => this.#end(info))
    this.#suspend(lossOf(info))
    if (this.suspended) budget.suspended(this)
  }

  #suspend(reason: LinkSocksError): void {
    this.#state = 'suspended'
    this.#loss = reason
    this.#handler?.suspended?.(reason)
  }

  #end(info: TransportClose): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#finish(info)
  }

  #finish(info: TransportClose): void {
    this.#ended = info
    this.#expiry?.cancel()
    this.#options.budget.resumed(this)
    this.#acks.stop()
    this.#replay.clear()
    this.#handler?.close(info)
  }

  /** Sends again what the connection takes, and lets new messages follow. */
  #proceed(): void {
    const room = (): boolean => this.#state === 'connected' && this.#inner.bufferedAmount < TRANSPORT_HIGH_WATER_BYTES
    while (this.#replay.behind && room()) this.#replay.giveNext(this.#inner)
    if (!this.#replay.behind && this.#state === 'connected') this.#handler?.drain()
  }

  #control(control: SessionControl): void {
    if (this.#state === 'connected') this.#inner.send(encodeSessionControl(control))
  }
}

/** The peer broke a rule that it would break again. */
function isMistake(error: LinkSocksError | undefined): boolean {
  return error?.code === 'ERR_MESSAGE_INVALID' || error?.code === 'ERR_MESSAGE_TOO_LARGE'
}
