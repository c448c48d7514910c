import { LinkSocksError } from '../../errors.js'
import { type ControlFrame, ControlOp, decodeControl, encodeControl } from '../../protocol/control.js'
import type { ChannelHost } from './channel-host.js'
import { CreditProbe } from './credit-probe.js'
import { PathProbe } from './path-probe.js'
import type { Receiver } from './receiver.js'
import type { Sender } from './sender.js'

/** Control frames kept that a relay's reordering brought before the ConnectResponse; more is a violation. */
export const MAX_EARLY_FRAMES = 16

/** A channel answers this many PINGs in this time: as many as a measurement asks. */
const PONGS = 2
const PONG_INTERVAL_MS = 250

export interface StreamControlEvents {
  /** The far end half-closed, and its count was right. */
  ended(): void
  /** The far end reset the channel. */
  reset(code: number): void
  /** The far end did not answer a credit probe. */
  unanswered(): void
}

/** The control frames of a channel with credit, both ways, and the watch over a sender that has none left (B.2). */
export class StreamControl {
  readonly path: PathProbe
  readonly #host: Pick<ChannelHost, 'control' | 'clock' | 'roundTrips'>
  readonly #channelId: Uint8Array
  readonly #sender: Sender
  readonly #receiver: Receiver
  readonly #events: StreamControlEvents
  /** Made when there is something to ask or to answer. */
  #probe: CreditProbe | undefined
  #early: Uint8Array[] = []
  #stopped = false
  #pongsSince = Number.NEGATIVE_INFINITY
  #pongs = 0

  constructor(
    host: Pick<ChannelHost, 'control' | 'clock' | 'roundTrips'>,
    channelId: Uint8Array,
    halves: { readonly sender: Sender; readonly receiver: Receiver },
    events: StreamControlEvents,
  ) {
    this.#host = host
    this.#channelId = channelId
    this.#sender = halves.sender
    this.#receiver = halves.receiver
    this.#events = events
    this.path = new PathProbe(host, (id) => this.#send({ op: ControlOp.Ping, id }))
  }

  /** @throws {LinkSocksError} ERR_CHANNEL_PROTOCOL, ERR_MESSAGE_* */
  frame(data: Uint8Array): void {
    const answered = this.#probe?.sawTraffic() ?? false
    const frame = decodeControl(data)
    if (frame?.op === ControlOp.EndOfStream) this.#onEnd(frame.total)
    else if (frame?.op === ControlOp.Reset) this.#events.reset(frame.code)
    else if (frame?.op === ControlOp.WindowUpdate) this.#onWindowUpdate(frame.credit, answered)
    else if (frame?.op === ControlOp.Ping) this.#onPing(frame.id)
    else if (frame?.op === ControlOp.Pong) this.path.answered()
    this.watch()
  }

  /**
   * Keeps a frame until the ConnectResponse says whether the channel has credit.
   * @throws {LinkSocksError} ERR_CHANNEL_PROTOCOL (more than {@link MAX_EARLY_FRAMES})
   */
  keep(data: Uint8Array): void {
    if (this.#early.length >= MAX_EARLY_FRAMES) {
      throw new LinkSocksError('ERR_CHANNEL_PROTOCOL', 'too many control frames before the ConnectResponse')
    }
    this.#early.push(data)
  }

  /** The channel has credit: the kept frames count. While it is young and the path empty, its round trip is measured. */
  begin(): void {
    this.path.measure()
    for (const data of this.#early.splice(0)) if (!this.#stopped) this.frame(data)
  }

  /** Data came, which answers a credit probe like any frame. */
  sawTraffic(): void {
    this.#probe?.sawTraffic()
    this.watch()
  }

  /** The probe runs from the last frame that was heard, as long as the sender has bytes and no credit. */
  watch(): void {
    if (this.#sender.blocked) this.#creditProbe().blocked()
  }

  /** Grants the far end `credit` bytes more. */
  grant(credit: number): void {
    this.#send({ op: ControlOp.WindowUpdate, credit })
  }

  stop(): void {
    this.#stopped = true
    this.#probe?.stop()
  }

  #creditProbe(): CreditProbe {
    this.#probe ??= new CreditProbe(this.#host.clock, {
      ask: () => this.grant(0),
      unanswered: () => this.#events.unanswered(),
    })
    return this.#probe
  }

  #send(frame: ControlFrame): void {
    if (!this.#stopped) this.#host.control(encodeControl(this.#channelId, frame))
  }

  /** More are not answered: pongs go ahead of all data of all channels. */
  #onPing(id: number): void {
    const now = this.#host.clock.now()
    if (now - this.#pongsSince >= PONG_INTERVAL_MS) {
      this.#pongsSince = now
      this.#pongs = 0
    }
    this.#pongs += 1
    if (this.#pongs > PONGS) return
    this.#send({ op: ControlOp.Pong, id })
  }

  #onEnd(total: number): void {
    if (this.#receiver.ended || total !== this.#receiver.received) {
      throw new LinkSocksError('ERR_CHANNEL_PROTOCOL', 'END_OF_STREAM does not match the data')
    }
    this.#receiver.end()
    this.#events.ended()
  }

  /** WINDOW_UPDATE 0 is a question, unless it answers ours. */
  #onWindowUpdate(credit: number, answered: boolean): void {
    if (credit > 0) this.#sender.grant(credit)
    else if (!answered && this.#creditProbe().questioned()) this.grant(this.#receiver.flushCredit())
  }
}
