import type { LinkSocksError } from '../../errors.js'
import type { ChannelEntry } from '../../mux/channel/channel-host.js'
import { MAX_WAITING_DATAGRAM_BYTES } from '../../mux/channel/datagrams.js'
import type { HeldTotals } from '../../mux/flow/held-totals.js'
import { Hold } from '../../mux/flow/hold.js'
import type { Lane, Outgoing, Source } from '../../mux/flow/scheduler.js'
import type { SendWindow } from '../../mux/flow/window.js'
import type { Session } from '../../mux/session.js'
import { BASE_LINK_BUFFER_BYTES } from '../../protocol/limits.js'
import { chargedBytes, DATA_HEAD_BYTES, encodeDataHead, plainData } from '../../protocol/messages.js'
import { encodeRefusal } from '../../protocol/refusal.js'
import type { ChannelKey } from '../../protocol/uuid.js'
import type { Flow } from '../traffic/flow.js'
import { MAX_WAITING_DATAGRAMS } from '../traffic/shaped-datagrams.js'
import type { Shaping } from '../traffic/shaping.js'
import type { Direction } from '../traffic/usage.js'
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
  /** Nothing more may go to this end: a quota is used up. */
  refused(why: string): void
  /** The other end is there and takes nothing of what this one sent. */
  stalled(): void
  /** Milliseconds for which the other end has been there; 0 while it is away. */
  otherMs(): number
  /** A rate or a quota holds back what the other end is to get. */
  otherHeldBack(): boolean
  /** This end's session is gone, or (`closing`) about to be closed from here. */
  lost(error: LinkSocksError, closing: boolean): void
}

/** The channel that a splice joins. */
export interface SpliceChannel {
  readonly id: Uint8Array
  readonly key: ChannelKey
  readonly datagrams: boolean
}

/** What is sent to an end, as far as rates and quotas go. */
export interface EndTraffic {
  readonly shaping: Shaping
  readonly direction: Direction
}

const UNHEARD: SpliceEndEvents = {
  message: () => {},
  passed: () => {},
  sent: () => {},
  granted: () => {},
  refused: () => {},
  stalled: () => {},
  otherMs: () => Number.POSITIVE_INFINITY,
  otherHeldBack: () => false,
  lost: () => {},
}

/** One end of a splice: an entry in its session's channel table, and the queue of what goes out to it. */
export class SpliceEnd implements ChannelEntry, Source {
  readonly session: Session
  readonly #key: ChannelKey
  readonly #channelId: Uint8Array
  #events: SpliceEndEvents = UNHEARD
  readonly #queue: SpliceQueue
  /** Control frames that go ahead of the channel's own data. */
  readonly #urgent = new SpliceQueue()
  readonly #lane: Lane
  readonly #totals: HeldTotals
  /** Whom the totals count for: the session, or the token that limits what this end sends. */
  readonly #account: object
  readonly #traffic: EndTraffic
  /** Made when it is limited. */
  #flow: Flow | undefined
  #isRefused = false
  readonly #datagrams: boolean
  /** Of the first message that waits: payload that has gone on in messages of its own. */
  #partBytes = 0
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
  constructor(session: Session, totals: HeldTotals, { id, key, datagrams }: SpliceChannel, traffic: EndTraffic) {
    this.session = session
    this.#channelId = id
    this.#datagrams = datagrams
    // what waits for the rate of a token is no burden of others on the session
    this.#account = traffic.shaping.rateOf(traffic.direction === 'up' ? 'down' : 'up') ?? session
    this.#traffic = traffic
    this.#totals = totals
    this.#key = key
    // a long queue for a slow rate would only be late
    const most = (): number => (this.#hasRate ? MAX_WAITING_DATAGRAMS : Number.POSITIVE_INFINITY)
    this.#queue = datagrams ? new SpliceQueue(MAX_WAITING_DATAGRAM_BYTES, most) : new SpliceQueue()
    this.#lane = session.lane(this)
    this.#withheld = new WithheldCredit(totals, this.#account, (more) => this.#granted(more))
    this.#hold = new Hold(
      session.gate,
      session.clock,
      () => this.#events.stalled(),
      () => this.#events.otherMs(),
      () => this.#events.otherHeldBack(),
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

  /** A rate or a quota holds back what this end is to get. */
  get heldBack(): boolean {
    return this.#flow?.waits === true && !this.drained
  }

  /** A queued message has gone out to this end. */
  get reached(): boolean {
    return this.#reached
  }

  /** Nothing waits towards this end. */
  get drained(): boolean {
    return this.#gone || (this.#urgent.nextBytes === 0 && this.#queue.nextBytes === 0)
  }

  /** So much of what this end's session brought waits that datagrams have to go. */
  get crowded(): boolean {
    const { gate } = this.session
    return gate.bufferedBytes > BASE_LINK_BUFFER_BYTES / 2 || this.#totals.exceeds(this.#account, this.#heldBytes)
  }

  /** Queues a message towards this end, behind or (`urgent`) ahead of data. */
  send(raw: Uint8Array, urgent = false): void {
    if (this.#gone) return
    const queue = urgent ? this.#urgent : this.#queue
    const before = queue.dropped
    const dropped = queue.push(raw)
    if (dropped > 0) this.#events.passed(dropped)
    if (dropped > 0 && this.#hasRate) this.#countDropped(queue.dropped - before)
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
    this.#partBytes = 0
  }

  /** Counts a message that this end sent and that waits towards the other. @throws {LinkSocksError} ERR_LIMIT */
  hold(raw: Uint8Array): void {
    const bytes = costOf(raw)
    this.#count(bytes)
    this.#hold?.add(bytes)
    this.#totals.check(this.#account, this.#heldBytes, this.#hold?.moves)
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
    this.#flow?.close()
    this.#hold?.leave()
  }

  nextBytes(): number {
    if (this.#gone) return 0
    if (this.#urgent.nextBytes > 0) return this.#urgent.nextBytes
    if (this.#datagrams) this.#dropUnfit()
    const raw = this.#queue.first
    if (raw === undefined) return 0
    const payload = chargedBytes(raw)
    if (payload === 0) return raw.byteLength
    const bytes = this.#passable(raw, payload)
    if (bytes === payload && this.#partBytes === 0) return raw.byteLength
    return bytes === 0 ? 0 : DATA_HEAD_BYTES + bytes
  }

  take(): Outgoing {
    this.#reached = true
    if (this.#urgent.nextBytes > 0) return this.#whole(this.#urgent.shift())
    const raw = this.#queue.first as Uint8Array
    const payload = chargedBytes(raw)
    const bytes = payload === 0 ? 0 : this.#passable(raw, payload)
    const isWhole = bytes === payload && this.#partBytes === 0
    const outgoing = isWhole ? this.#whole(this.#queue.shift()) : this.#part(raw, payload, bytes)
    // what counting it sets off must find it gone
    if (bytes > 0) this.#pay(bytes)
    return outgoing
  }

  /** How much of the payload that has not gone on may do so now. */
  #passable(raw: Uint8Array, payload: number): number {
    const left = payload - this.#partBytes
    if (this.#flow === undefined && !this.#isLimited) return left
    this.#flow ??= this.#makeFlow()
    // what is not plain means nothing in parts, and a datagram is one
    if (this.#partBytes > 0 || plainData(raw) !== undefined) return this.#flow.available(left)
    if (!this.#flow.fits(left)) this.#refuseSoon()
    else if (this.#flow.admits(left)) return left
    return 0
  }

  #whole(head: Uint8Array): Outgoing {
    this.#events.taken?.(head)
    const sent = (): void => {
      this.#events.passed(costOf(head))
      this.#events.sent(head)
    }
    return { head, sent }
  }

  /** Part of the payload of the first message, in a message of its own. */
  #part(raw: Uint8Array, payload: number, bytes: number): Outgoing {
    const from = DATA_HEAD_BYTES + this.#partBytes
    const head = encodeDataHead(this.#channelId, bytes)
    const body = raw.subarray(from, from + bytes)
    this.#partBytes += bytes
    if (this.#partBytes < payload) return { head, body, sent: () => this.#events.passed(bytes) }
    this.#partBytes = 0
    this.#queue.shift()
    const rest = costOf(raw) - (payload - bytes)
    const sent = (): void => {
      this.#events.passed(rest)
      this.#events.sent(raw)
    }
    return { head, body, sent }
  }

  get #isLimited(): boolean {
    const { shaping, direction } = this.#traffic
    return shaping.limits(direction)
  }

  /** Whether a rate limits what this end gets, and not a quota alone. */
  get #hasRate(): boolean {
    const { shaping, direction } = this.#traffic
    return shaping.rateOf(direction) !== undefined
  }

  /** Datagrams of which a quota has less left than they have bytes. */
  #dropUnfit(): void {
    for (let raw = this.#queue.first; raw !== undefined; raw = this.#queue.first) {
      if (this.#flow === undefined || this.#flow.fits(chargedBytes(raw))) return
      this.#events.passed(costOf(this.#queue.shift()))
      this.#countDropped(1)
    }
  }

  /** A message that can't be divided needs more than a quota has left. */
  #refuseSoon(): void {
    if (this.#isRefused) return
    this.#isRefused = true
    this.session.clock.after(0, () => this.#events.refused('less of the quota is left than the next message needs'))
  }

  #makeFlow(): Flow {
    const { shaping, direction } = this.#traffic
    return shaping.flow(direction, {
      ready: () => this.#lane.ready(),
      refused: (why) => this.#events.refused(why),
    })
  }

  /** Bytes of payload go on. */
  #pay(bytes: number): void {
    const { shaping, direction } = this.#traffic
    if (this.#flow === undefined) shaping.passed(direction, bytes)
    else this.#flow.take(bytes)
  }

  #countDropped(datagrams: number): void {
    const { shaping, direction } = this.#traffic
    for (let count = 0; count < datagrams; count += 1) shaping.droppedDatagram(direction)
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
    this.#totals.count(this.#account, bytes)
  }
}
