import { ControlOp, encodeControl } from '../../protocol/control.js'
import { EARLY_DATA_BYTES, KIB, MAX_DATA_BYTES } from '../../protocol/limits.js'
import { encodeDataHead, encodeDisconnect } from '../../protocol/messages.js'
import { ChunkQueue } from '../../streams/chunk-queue.js'
import type { Lane, Outgoing, Source } from '../flow/scheduler.js'
import { SendWindow } from '../flow/window.js'
import type { ChannelHost } from './channel-host.js'

/** Chunks below this are joined with those behind them that are as small. */
const JOIN_BELOW_BYTES = 16 * KIB
/** An end marker's share of a round. */
const MARKER_BYTES = 32

/**
 * How far a channel may send: not before the ConnectResponse (`held`), {@link EARLY_DATA_BYTES} before it (`early`),
 * as its credit allows (`credit`), or as the transport takes it (`base`).
 */
export type SendMode = 'held' | 'early' | 'credit' | 'base'

export interface SenderEvents {
  /** Queued bytes have left. */
  written(bytes: number): void
  /** The end marker (END_OF_STREAM, or the Disconnect of a base channel) has left. */
  ended(): void
  /** Bytes wait and there is no credit. */
  blocked(): void
}

/** The sending half of a channel. */
export class Sender implements Source {
  readonly #channelId: Uint8Array
  readonly #events: SenderEvents
  readonly #lane: Lane
  readonly #queue = new ChunkQueue()
  #mode: SendMode
  #window = new SendWindow(0)
  #sent = 0
  /** Bytes that `written()` has reported. */
  #reported = 0
  #ending = false
  #ended = false
  #endLeft = false

  constructor(channelId: Uint8Array, host: Pick<ChannelHost, 'lane'>, mode: SendMode, events: SenderEvents) {
    this.#channelId = channelId
    this.#mode = mode
    this.#events = events
    this.#lane = host.lane(this)
  }

  /** Bytes of the stream that have been given to the session. */
  get sent(): number {
    return this.#sent
  }

  /** Bytes that were written and not reported by `written()`. */
  get unreported(): number {
    return this.#sent + this.#queue.bytes - this.#reported
  }

  /** The end marker is on its way; nothing follows it. */
  get ended(): boolean {
    return this.#ended
  }

  /** The end marker and all before it have left. */
  get endLeft(): boolean {
    return this.#endLeft
  }

  /** Bytes wait for credit. */
  get blocked(): boolean {
    return this.#mode === 'credit' && this.#queue.bytes > 0 && this.#window.available === 0
  }

  write(chunk: Uint8Array): void {
    if (this.#ending || chunk.byteLength === 0) return
    this.#queue.push(chunk)
    this.#wake()
  }

  /** The end marker follows what is queued. */
  end(): void {
    if (this.#ending) return
    this.#ending = true
    this.#wake()
  }

  /** The destination answered, but the ConnectResponse is still to come. */
  useEarly(): void {
    if (this.#mode === 'held') this.#mode = 'early'
    this.#wake()
  }

  /** The ConnectResponse decided: the channel has credit. Bytes that left early count against it. */
  useCredit(initialCredit: number): void {
    this.#mode = 'credit'
    this.#window = new SendWindow(initialCredit)
    this.#window.spend(this.#sent)
    this.#wake()
  }

  /** The ConnectResponse decided, or a deployed relay reordered it: no credit. */
  useBase(): void {
    this.#mode = 'base'
    this.#wake()
  }

  grant(bytes: number): void {
    if (bytes === 0) return
    this.#window.grant(bytes)
    this.#wake()
  }

  stop(): void {
    this.#queue.clear()
    this.#lane.close()
  }

  nextBytes(): number {
    if (this.#queue.bytes > 0) return this.#nextDataBytes()
    const decided = this.#mode === 'credit' || this.#mode === 'base'
    return this.#ending && !this.#ended && decided ? MARKER_BYTES : 0
  }

  take(): Outgoing {
    if (this.#queue.bytes === 0) return this.#takeMarker()
    const bytes = this.#nextDataBytes()
    const body = this.#queue.take(bytes)
    this.#sent += bytes
    if (this.#mode === 'credit') this.#window.spend(bytes)
    if (this.blocked) this.#events.blocked()
    return { head: encodeDataHead(this.#channelId, bytes), body, sent: () => this.#left(bytes) }
  }

  #left(bytes: number): void {
    this.#reported += bytes
    this.#events.written(bytes)
  }

  #takeMarker(): Outgoing {
    this.#ended = true
    const head =
      this.#mode === 'base'
        ? encodeDisconnect({ channelId: this.#channelId, error: 'EOF' })
        : encodeControl(this.#channelId, { op: ControlOp.EndOfStream, total: this.#sent })
    const sent = (): void => {
      this.#endLeft = true
      this.#events.ended()
    }
    return { head, sent }
  }

  #nextDataBytes(): number {
    const limit = Math.min(this.#allowance(), this.#mode === 'base' ? MAX_DATA_BYTES : this.#lane.messageBytes)
    // joining copies: worth it for small chunks, and on base channels, whose peers count messages
    if (this.#mode === 'base') return Math.min(this.#queue.bytes, limit)
    const first = this.#queue.firstBytes
    return first < JOIN_BELOW_BYTES ? this.#queue.smallBytes(JOIN_BELOW_BYTES, limit) : Math.min(first, limit)
  }

  #allowance(): number {
    switch (this.#mode) {
      case 'held':
        return 0
      case 'early':
        return Math.max(0, EARLY_DATA_BYTES - this.#sent)
      case 'credit':
        return this.#window.available
      case 'base':
        return MAX_DATA_BYTES
    }
  }

  #wake(): void {
    if (this.nextBytes() > 0) this.#lane.ready()
    else if (this.blocked) this.#events.blocked()
  }
}
