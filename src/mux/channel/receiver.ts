import { LinkSocksError } from '../../errors.js'
import type { ByteStreamHandler } from '../../ports.js'
import { EARLY_DATA_BYTES, INITIAL_WINDOW_BYTES } from '../../protocol/limits.js'
import { Fifo } from '../../streams/fifo.js'
import { LentChunks } from '../../streams/lent-chunks.js'
import { Hold } from '../flow/hold.js'
import type { RoundTrip } from '../flow/round-trips.js'
import { ReceiveWindow } from '../flow/window.js'
import { sizeFor } from '../flow/window-sizing.js'
import type { ChannelHost } from './channel-host.js'

type ReceiverHost = Pick<ChannelHost, 'gate' | 'clock' | 'totals' | 'busyReaders' | 'recycle'>

export interface ReceiverEvents {
  /** Grants the sender more. */
  grant(bytes: number): void
  /** The local side accepted nothing for 30 s while the channel was over its limit. */
  stalled(): void
  /** After `discard()`: the sender has used up its credit and gets no more. */
  unwanted(): void
  /** What the path takes there and back, if that is known. */
  roundTrip(): RoundTrip | undefined
}

/**
 * The receiving half of a channel: counts, bounds and delivers. Until the ConnectResponse it is not known whether the
 * channel has credit; then `useCredit()` or `useBase()` says.
 */
export class Receiver {
  readonly #events: ReceiverEvents
  readonly #window = new ReceiveWindow(INITIAL_WINDOW_BYTES)
  /** The peer offered stream control and waits for our answer: only {@link EARLY_DATA_BYTES} may come before it. */
  readonly #answering: boolean
  #mode: 'undecided' | 'credit' | 'base' = 'undecided'
  #handler: ByteStreamHandler | undefined
  /** What waits for a handler; before it, what an earlier handler had not read. */
  #early: Fifo<Uint8Array> | undefined
  #received = 0
  /** Received bytes that were counted against the window. */
  #checked = 0
  #unconsumed = 0
  /** Of these, what the totals of the session count. */
  #counted = 0
  readonly #host: ReceiverHost
  /** Made when there is something to hold: most channels have credit. */
  #hold: Hold | undefined
  readonly #lent: LentChunks
  #discarding = false
  #ended = false
  #finished = false
  /** What the window has of the room that the totals give for growth. */
  #grown = 0
  /** The window is to shrink to this size. */
  #shrinkTo: number | undefined

  constructor(host: ReceiverHost, answering: boolean, events: ReceiverEvents) {
    this.#host = host
    this.#lent = new LentChunks((chunk) => host.recycle(chunk))
    this.#answering = answering
    this.#events = events
  }

  get received(): number {
    return this.#received
  }

  get ended(): boolean {
    return this.#ended
  }

  start(handler: ByteStreamHandler): void {
    this.#handler = handler
    // the handler may stop or discard meanwhile, which empties the queue, or hand back
    while (this.#handler === handler && this.#early !== undefined) this.#deliverEarly(handler, this.#early)
    if (this.#handler === handler && this.#ended && !this.#discarding) handler.end()
  }

  /** As of ByteStream. */
  handBack(unread: readonly Uint8Array[]): void {
    this.#handler = undefined
    if (this.#discarding || unread.length === 0) return
    const early = new Fifo<Uint8Array>()
    for (const chunk of unread) early.push(chunk)
    for (let chunk = this.#early?.shift(); chunk !== undefined; chunk = this.#early?.shift()) early.push(chunk)
    this.#early = early
  }

  #keep(chunk: Uint8Array): void {
    this.#early ??= new Fifo()
    this.#early.push(chunk)
  }

  #deliverEarly(handler: ByteStreamHandler, early: Fifo<Uint8Array>): void {
    const chunk = early.shift()
    if (early.length === 0) this.#early = undefined
    if (chunk !== undefined) handler.data(chunk)
  }

  useCredit(): void {
    this.#mode = 'credit'
    this.#hold?.release(this.#hold.bytes)
    this.#window.receive(this.#received - this.#checked)
    this.#grantIfDue()
  }

  useBase(): void {
    this.#mode = 'base'
  }

  /** @throws {LinkSocksError} ERR_FLOW_CONTROL (more than was granted), ERR_CHANNEL_PROTOCOL (after the end), ERR_LIMIT */
  data(chunk: Uint8Array): void {
    const bytes = chunk.byteLength
    if (bytes === 0) return
    if (this.#ended) throw new LinkSocksError('ERR_CHANNEL_PROTOCOL', 'data after the end of the stream')
    this.#received += bytes
    this.#unconsumed += bytes
    if (this.#mode === 'credit' || (this.#mode === 'undecided' && this.#answering)) this.#checkCredit(bytes)
    if (this.#mode === 'credit') this.#count(bytes)
    else this.#held().add(bytes)
    this.#deliver(chunk)
  }

  /** What counts as used up already, after `discard()` or `stop()`, is not counted again. */
  consume(bytes: number): void {
    this.#lent.use(bytes)
    this.#useUp(bytes)
  }

  /** Credit not granted yet, to answer a probe. */
  flushCredit(): number {
    return this.#discarding ? 0 : this.#window.flush()
  }

  /** The sender half-closed. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    if (!this.#discarding) this.#handler?.end()
  }

  /**
   * From here on data counts as used up at once and nothing is delivered. It earns no credit: the sender is not to send
   * for long what nobody takes.
   */
  discard(): void {
    if (this.#discarding) return
    this.#discarding = true
    this.#early = undefined
    // the handler may still hold what it was given
    this.#lent.forget()
    this.#useUp(this.#unconsumed)
    this.#tellUnwanted()
  }

  /** Nothing more arrives. What was delivered stays counted until it is used up. */
  finish(): void {
    this.#finished = true
    this.#giveBackGrowth(this.#grown)
    this.#host.busyReaders.forget(this)
    this.#hold?.leave()
  }

  /** Nothing more arrives and nothing delivered matters any more. */
  stop(): void {
    this.finish()
    this.discard()
    this.#hold?.release(this.#hold.bytes)
  }

  #held(): Hold {
    this.#hold ??= new Hold(this.#host.gate, this.#host.clock, () => this.#events.stalled())
    return this.#hold
  }

  #useUp(bytes: number): void {
    const used = Math.min(bytes, this.#unconsumed)
    this.#unconsumed -= used
    this.#uncount(used)
    this.#window.consume(used)
    if (this.#mode === 'credit') this.#grantIfDue()
    else this.#hold?.release(used)
  }

  /** @throws {LinkSocksError} ERR_LIMIT */
  #count(bytes: number): void {
    this.#counted += bytes
    this.#host.totals.count(this.#host, bytes)
    this.#host.totals.check(this.#host, this.#counted)
  }

  #uncount(bytes: number): void {
    const counted = Math.min(bytes, this.#counted)
    if (counted === 0) return
    this.#counted -= counted
    this.#host.totals.count(this.#host, -counted)
  }

  #grantIfDue(): void {
    const wanted = !this.#ended && !this.#finished && !this.#discarding
    if (!wanted || !this.#window.due) return
    this.#resize()
    this.#shrink()
    const credit = this.#window.flush()
    if (credit > 0) this.#events.grant(credit)
  }

  /** The window follows the path, as far as there is room. */
  #resize(): void {
    const { size } = this.#window
    const took = this.#window.turn(this.#host.clock.now())
    const roundTrip = took === undefined ? undefined : this.#events.roundTrip()
    const { pressing } = this.#host.totals
    const busy = roundTrip !== undefined && !pressing ? this.#host.busyReaders.note(this) : 1
    const wanted = sizeFor({ size, took, roundTrip, busy, pressing })
    if (wanted > size) this.#grow(wanted - size)
    if (took !== undefined || pressing) this.#shrinkTo = wanted < size ? wanted : undefined
  }

  /** As far as bytes were used up, which are not granted again then. */
  #shrink(): void {
    if (this.#shrinkTo === undefined) return
    this.#giveBackGrowth(this.#window.shrink(this.#shrinkTo))
    if (this.#window.size <= this.#shrinkTo) this.#shrinkTo = undefined
  }

  #grow(bytes: number): void {
    const takesRoom = this.#window.size + bytes > INITIAL_WINDOW_BYTES
    if (takesRoom && !this.#host.totals.growth.take(this.#host, bytes)) return
    if (takesRoom) this.#grown += bytes
    this.#window.grow(bytes)
  }

  #giveBackGrowth(bytes: number): void {
    const returned = Math.min(bytes, this.#grown)
    this.#grown -= returned
    this.#host.totals.growth.giveBack(this.#host, returned)
  }

  #tellUnwanted(): void {
    const wanting = !this.#ended && !this.#finished && this.#mode === 'credit'
    if (wanting && this.#window.exhausted) this.#events.unwanted()
  }

  #checkCredit(bytes: number): void {
    this.#checked += bytes
    const granted = this.#window.receive(bytes)
    if (!granted || (this.#mode === 'undecided' && this.#received > EARLY_DATA_BYTES)) {
      throw new LinkSocksError('ERR_FLOW_CONTROL', 'the peer sent more than it had credit for')
    }
  }

  #deliver(chunk: Uint8Array): void {
    if (this.#discarding) {
      this.#useUp(chunk.byteLength)
      this.#tellUnwanted()
      return
    }
    this.#lent.lend(chunk)
    if (this.#handler === undefined) this.#keep(chunk)
    else this.#handler.data(chunk)
  }
}
