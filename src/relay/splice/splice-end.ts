import type { LinkSocksError } from '../../errors.js'
import type { ChannelEntry } from '../../mux/channel/channel-host.js'
import { MAX_WAITING_DATAGRAM_BYTES } from '../../mux/channel/datagrams.js'
import type { HeldTotals } from '../../mux/flow/held-totals.js'
import { Hold } from '../../mux/flow/hold.js'
import type { Lane, Outgoing, Source } from '../../mux/flow/scheduler.js'
import type { SendWindow } from '../../mux/flow/window.js'
import type { Session } from '../../mux/session.js'
import { BASE_LINK_BUFFER_BYTES } from '../../protocol/limits.js'
import { encodeRefusal } from '../../protocol/refusal.js'
import type { ChannelKey } from '../../protocol/uuid.js'
import { costOf, SpliceQueue } from './splice-queue.js'
import { abortMessages } from './splice-rules.js'
import { WithheldCredit } from './withheld-credit.js'

export interface SpliceEndEvents {
  /** A Data, ConnectResponse or Disconnect message from this end. */
  message(raw: Uint8Array, type: number): void
  /** A message queued towards this end has left or was dropped; `bytes` is what `hold()` of the other end counted for it. */
  passed(bytes: number): void
  /** A message leaves for this end: it is not dropped any more. */
  readonly taken?: ((raw: Uint8Array) => void) | undefined
  /** A message has gone out to this end; its memory is free. */
  sent(raw: Uint8Array): void
  /** Credit that was kept back may go to this end. */
  granted(credit: number): void
  /** The other end is there and takes nothing of what this one sent. */
  stalled(): void
  /** Milliseconds for which the other end has been there; 0 while it is away. */
  otherMs(): number
  /** This end's session is gone, or (`closing`) about to be closed from here. */
  lost(error: LinkSocksError, closing: boolean): void
}

/** The channel that a splice joins. */
export interface SpliceChannel {
  readonly key: ChannelKey
  readonly datagrams: boolean
}

const UNHEARD: SpliceEndEvents = {
  message: () => {},
  passed: () => {},
  sent: () => {},
  granted: () => {},
  stalled: () => {},
  otherMs: () => Number.POSITIVE_INFINITY,
  lost: () => {},
}

/** One end of a splice: an entry in its session's channel table, and the queue of what goes out to it. */
export class SpliceEnd implements ChannelEntry, Source {
  readonly session: Session
  readonly #key: ChannelKey
  #events: SpliceEndEvents = UNHEARD
  readonly #queue: SpliceQueue
  /** Control frames that go ahead of the channel's own data. */
  readonly #urgent = new SpliceQueue()
  readonly #lane: Lane
  readonly #totals: HeldTotals
  /** What this end sent and the other end's session has not taken yet. */
  #heldBytes = 0
  /** Stops the reading of the session for it, until credit bounds the channel. */
  #hold: Hold | undefined
  readonly #withheld: WithheldCredit
  /** Credit that this end was granted; none without stream control. */
  credit: SendWindow | undefined
  /** This end sent its Disconnect. */
  done = false
  #reached = false
  #gone = false

  /** @throws {LinkSocksError} ERR_LIMIT, ERR_SESSION_CLOSED, ERR_MESSAGE_INVALID (the session has a channel of this id) */
  constructor(session: Session, totals: HeldTotals, { key, datagrams }: SpliceChannel) {
    this.session = session
    this.#totals = totals
    this.#key = key
    this.#queue = new SpliceQueue(datagrams ? MAX_WAITING_DATAGRAM_BYTES : undefined)
    this.#lane = session.lane(this)
    this.#withheld = new WithheldCredit(totals, session, (more) => this.#granted(more))
    this.#hold = new Hold(
      session.gate,
      session.clock,
      () => this.#events.stalled(),
      () => this.#events.otherMs(),
    )
    // datagrams are dropped, no reading stops for them
    if (datagrams) this.#hold.limitBytes = Number.POSITIVE_INFINITY
    session.attach(key, this)
  }

  /** From now on `events` hears of this end, and nobody else. */
  tell(events: SpliceEndEvents): void {
    this.#events = events
  }

  get gone(): boolean {
    return this.#gone
  }

  /** It lost its connection and may come back: nothing moves until then. */
  get away(): boolean {
    return this.session.clock.stopped
  }

  /** Milliseconds for which it has been there. */
  get thereMs(): number {
    return this.session.clock.runningMs
  }

  /** A queued message has gone out to this end. */
  get reached(): boolean {
    return this.#reached
  }

  /** Nothing waits towards this end. */
  get drained(): boolean {
    return this.nextBytes() === 0
  }

  /** So much of what this end's session brought waits that datagrams have to go. */
  get crowded(): boolean {
    const { gate } = this.session
    return gate.bufferedBytes > BASE_LINK_BUFFER_BYTES / 2 || this.#totals.exceeds(this.session, this.#heldBytes)
  }

  /** Queues a message towards this end, behind or (`urgent`) ahead of data. */
  send(raw: Uint8Array, urgent = false): void {
    if (this.#gone) return
    const dropped = (urgent ? this.#urgent : this.#queue).push(raw)
    if (dropped > 0) this.#events.passed(dropped)
    this.#lane.ready()
  }

  /** Takes credit for this end. @returns what may be passed on now; the rest is kept back, and sent by itself later */
  grant(credit: number): number {
    const passed = this.#withheld.pass(credit)
    this.credit?.grant(passed)
    return passed
  }

  /** Sends a message ahead of the data of all channels. */
  control(raw: Uint8Array): void {
    if (!this.#gone) this.session.control(raw)
  }

  /**
   * Tells this end why the channel is over.
   * @param channel `asked`: this end sent its Connect; `answered`: which was answered
   */
  farewell(
    { channelId, asked, answered }: { channelId: Uint8Array; asked: boolean; answered: boolean },
    reason: LinkSocksError,
    code: number,
  ): void {
    if (asked && !answered) return this.control(encodeRefusal(channelId, reason))
    if (!asked && !this.#reached) return
    // until the answer it has not shown that it knows stream control
    const reset = answered && this.credit !== undefined ? code : undefined
    for (const raw of abortMessages(channelId, reason, reset)) this.control(raw)
  }

  /** What waits towards this end is no longer wanted. */
  discard(): void {
    this.#queue.clear()
  }

  /** Counts a message that this end sent and that waits towards the other. @throws {LinkSocksError} ERR_LIMIT */
  hold(raw: Uint8Array): void {
    const bytes = costOf(raw)
    this.#count(bytes)
    this.#hold?.add(bytes)
    this.#totals.check(this.session, this.#heldBytes, this.#hold?.moves)
  }

  release(bytes: number): void {
    const released = Math.min(bytes, this.#heldBytes)
    this.#count(-released)
    this.#hold?.release(released)
  }

  releaseAll(): void {
    this.release(this.#heldBytes)
  }

  /** The channel has credit, which bounds it better than any pause in reading. */
  boundByCredit(): void {
    this.#hold?.leave()
    this.#hold?.release(this.#heldBytes)
    this.#hold = undefined
  }

  /** leave(), and what this end sent is not wanted any more. */
  drop(): void {
    this.leave()
    this.releaseAll()
  }

  /** Leaves the session's table. What this end sent stays counted until it is released: it may still drain. Idempotent. */
  leave(): void {
    if (this.#gone) return
    this.#gone = true
    this.#withheld.end()
    this.session.detach(this.#key)
    this.#queue.clear()
    this.#urgent.clear()
    this.#lane.close()
    this.#hold?.leave()
  }

  nextBytes(): number {
    return this.#gone ? 0 : this.#urgent.nextBytes || this.#queue.nextBytes
  }

  take(): Outgoing {
    this.#reached = true
    const head = (this.#urgent.nextBytes > 0 ? this.#urgent : this.#queue).shift()
    this.#events.taken?.(head)
    const sent = (): void => {
      this.#events.passed(costOf(head))
      this.#events.sent(head)
    }
    return { head, sent }
  }

  message(raw: Uint8Array, type: number): void {
    this.#events.message(raw, type)
  }

  sessionClosed(error: LinkSocksError): void {
    this.leave()
    this.#events.lost(error, false)
  }

  sessionClosing(reason: LinkSocksError): void {
    this.#events.lost(reason, true)
  }

  #granted(more: number): void {
    this.credit?.grant(more)
    this.#events.granted(more)
  }

  #count(bytes: number): void {
    this.#heldBytes += bytes
    this.#totals.count(this.session, bytes)
  }
}
