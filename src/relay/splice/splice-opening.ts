import { LinkSocksError } from '../../errors.js'
import { SendWindow } from '../../mux/flow/window.js'
import { MAX_SESSIONS_AT_ONCE } from '../../mux/open-besides.js'
import { MAX_SESSIONS_TRIED } from '../../mux/session-pool.js'
import type { SocketAddress, Timer } from '../../ports.js'
import { ResetCode } from '../../protocol/control.js'
import { CONNECT_TIMEOUT_MS } from '../../protocol/limits.js'
import { decodeMessage, MessageType } from '../../protocol/messages.js'
import { readdressed } from '../../protocol/readdress.js'
import { errorOfRefusal, isOrderlyEnd } from '../../protocol/refusal.js'
import type { RelayClient } from '../clients/relay-client.js'
import type { TrackedStream } from '../observe/streams.js'
import { type SpliceChannel, SpliceEnd, type SpliceEndEvents } from './splice-end.js'
import { costOf, SpliceQueue } from './splice-queue.js'
import {
  abortOf,
  checkSmall,
  inOurVersion,
  MAX_WAITING_BYTES,
  type SpliceAccess,
  type SpliceOptions,
} from './splice-rules.js'

export interface OpeningEvents {
  /** One provider has the channel alone, what waited included. Before anything that it sent is told. */
  taken(end: SpliceEnd): void
  /** Nobody serves the channel. `answer` is what a provider refused it with, as it came. */
  failed(error: LinkSocksError, answer?: Uint8Array): void
}

/** The splice that is opened. */
export interface Opened {
  readonly channel: SpliceChannel
  readonly connector: SpliceEnd
  readonly stream: TrackedStream
}

/** Why one of several that were asked will not serve the channel. */
interface Refusal {
  readonly error: LinkSocksError
  /** Absent when it said so otherwise than by an answer. */
  readonly answer?: Uint8Array | undefined
}

/** A provider that has the Connect and nothing else. */
class Asked implements SpliceEndEvents {
  readonly client: RelayClient
  readonly end: SpliceEnd
  silence: Timer | undefined
  readonly #opening: SpliceOpening
  readonly #connector: SpliceEnd
  /** What the connector is counted for the Connect, until that has left. */
  #heldBytes = 0

  /** @throws {LinkSocksError} as of a SpliceEnd */
  constructor(
    opening: SpliceOpening,
    client: RelayClient,
    { channel, connector }: Opened,
    { held, shaping }: Pick<SpliceOptions, 'held' | 'shaping'>,
  ) {
    this.#opening = opening
    this.client = client
    this.#connector = connector
    this.end = new SpliceEnd(client.session, held, channel, { shaping, direction: 'up' })
    this.end.tell(this)
  }

  /** Its link owes nothing. */
  get awake(): boolean {
    return this.client.session.available && !this.client.session.silent
  }

  /** @throws {LinkSocksError} ERR_LIMIT */
  send(connect: Uint8Array): void {
    this.#heldBytes = costOf(connect)
    this.#connector.hold(connect)
    this.end.send(connect)
  }

  message(raw: Uint8Array, type: number): void {
    this.#opening.heard(this, raw, type)
  }

  passed(): void {
    this.#connector.release(this.#heldBytes)
    this.#heldBytes = 0
  }

  lost(error: LinkSocksError, closing: boolean): void {
    this.#opening.lost(this, error, closing)
  }

  leave(): void {
    this.silence?.cancel()
    this.passed()
    this.end.drop()
  }

  // no data has come or gone
  sent(): void {}
  granted(): void {}
  stalled(): void {}
  refused(): void {}

  otherHeldBack(): boolean {
    return false
  }

  otherMs(): number {
    return this.#connector.thereMs
  }
}

/**
 * A splice until one provider has its channel alone: finds a provider, and asks others besides while the links of those before owe
 * an answer (docs/protocol.md A.5). The first success is taken. A refusal counts when nobody is left that may still succeed; a
 * provider that is lost gives way to another one.
 */
export class SpliceOpening {
  readonly #options: SpliceOptions
  readonly #opened: Opened
  readonly #events: OpeningEvents
  readonly #cancelled = new AbortController()
  readonly #begunAt: number
  /** Messages of the connector that came before a provider was found. */
  readonly #waiting: SpliceQueue
  /** The Connect as it goes on. */
  #connect: Uint8Array
  #attempts = 0
  #asked: Asked[] = []
  readonly #tried: RelayClient[] = []
  #refusal: Refusal | undefined
  #deadline: Timer | undefined
  #over = false

  constructor(options: SpliceOptions, opened: Opened, events: OpeningEvents) {
    this.#options = options
    this.#opened = opened
    this.#events = events
    this.#begunAt = options.connector.clock.now()
    this.#connect = options.raw
    this.#waiting = new SpliceQueue(opened.channel.datagrams ? MAX_WAITING_BYTES : undefined)
    if (options.access === undefined || opened.channel.datagrams) this.#choose()
    else void this.#judge(options.access)
  }

  /** The channel is now one provider's alone, rather one's whose link answers; `undefined` while none is asked. */
  pin(): SpliceEnd | undefined {
    const asked = this.#asked.find(({ awake }) => awake) ?? this.#asked[0]
    if (asked !== undefined) this.#take(asked)
    return asked?.end
  }

  /** Keeps a message until there is a provider. @throws {LinkSocksError} ERR_LIMIT */
  keep(raw: Uint8Array): void {
    this.#opened.connector.release(this.#waiting.push(raw))
    // deployed relays lose early data altogether
    if (this.#waiting.bytes <= MAX_WAITING_BYTES) return
    throw new LinkSocksError('ERR_LIMIT', 'too much data while no provider is there')
  }

  /** The splice is over; the providers that were asked are told why. */
  end(reason: LinkSocksError): void {
    if (this.#over) return
    this.#over = true
    this.#cancelled.abort(reason)
    this.#deadline?.cancel()
    this.#waiting.clear()
    for (const asked of this.#asked.splice(0)) this.#dismiss(asked, reason)
  }

  /** For those asked: a message of one. */
  heard(asked: Asked, raw: Uint8Array, type: number): void {
    // what one says that is asked alone counts, whatever it is
    const counts = this.#asked.length === 1 && this.#refusal === undefined
    const refusal = counts ? undefined : refusalOf(raw, type)
    if (refusal !== undefined) return this.#refused(asked, refusal)
    this.#take(asked)
    asked.end.message(raw, type)
  }

  /** For those asked: the session of one is gone, or (`closing`) about to be closed from here. */
  lost(asked: Asked, error: LinkSocksError, closing: boolean): void {
    if (this.#over || !this.#asked.includes(asked)) return
    if (closing) this.#farewell(asked, error, ResetCode.ShuttingDown)
    this.#remove(asked)
    if (this.#asked.length > 0) {
      if (!closing && !this.#asked.some(({ awake }) => awake)) this.#askBesides()
    } else if (this.#refusal !== undefined) this.#failAs(this.#refusal)
    else if (!closing && this.#attempts < MAX_SESSIONS_TRIED) this.#choose()
    else this.#failAs({ error })
  }

  /** Looks the target up while what the connector sends waits, and goes on with an address that is allowed. */
  async #judge({ lists, judge, check }: SpliceAccess): Promise<void> {
    const { connect, raw } = this.#options
    try {
      const target = connect.target ?? { host: '', port: 0 }
      const allows = (address: SocketAddress): boolean => judge?.(target.host, address) !== false
      const judges = judge === undefined ? lists : [...lists, { allows }]
      const { host } = await check.allowed(target, judges, { signal: this.#cancelled.signal })
      if (host !== target.host) this.#connect = readdressed(raw, host)
      this.#opened.stream.reached({ host, port: target.port })
    } catch (thrown) {
      return this.#failFor(thrown)
    }
    if (!this.#over) this.#choose()
  }

  #choose(): void {
    this.#attempts += 1
    this.#options.choose({ signal: this.#cancelled.signal }).then(
      (client) => this.#over || this.#join(client),
      (thrown: unknown) => this.#failFor(thrown),
    )
  }

  #join(client: RelayClient): void {
    if (!client.session.available && this.#attempts < MAX_SESSIONS_TRIED) return this.#choose() // lost since it was chosen
    try {
      this.#ask(client)
    } catch (thrown) {
      return this.#failFor(thrown)
    }
    if (this.#waiting.nextBytes === 0) return
    const end = this.pin()
    for (const raw of this.#waiting.takeAll()) end?.send(raw)
  }

  /** @throws {LinkSocksError} as of a SpliceEnd */
  #ask(client: RelayClient): void {
    const { connect, addressed } = this.#options
    this.#tried.push(client)
    const asked = new Asked(this, client, this.#opened, this.#options)
    const offered = connect.trailer?.streamControl
    if (offered !== undefined) asked.end.credit = new SendWindow(offered)
    this.#asked.push(asked)
    if (this.#asked.length === 1) this.#opened.stream.provide(client)
    if (this.#attempts < MAX_SESSIONS_AT_ONCE) asked.silence = client.session.whenSilent(() => this.#askBesides())
    // in turn with the data of other channels: nobody can fill the provider's session with Connects
    asked.send(inOurVersion(addressed?.(this.#connect, client) ?? this.#connect))
  }

  /** One is silent or lost: another is asked as well, if there is one that is not. */
  #askBesides(): void {
    if (this.#attempts >= MAX_SESSIONS_AT_ONCE) return
    const client = this.#options.beside(this.#tried)
    if (client === undefined) return
    this.#attempts += 1
    try {
      this.#ask(client)
    } catch {
      // no room for another channel: those before are waited for
      const asked = this.#asked.find((one) => one.client === client)
      if (asked !== undefined) this.#remove(asked)
    }
  }

  #refused(asked: Asked, refusal: Refusal): void {
    this.#refusal ??= refusal
    if (refusal.answer === undefined) this.#farewell(asked, abortOf(false))
    this.#remove(asked)
    if (this.#asked.length === 0) return this.#failAs(this.#refusal)
    const { clock } = this.#options.connector
    const leftMs = Math.max(0, this.#begunAt + CONNECT_TIMEOUT_MS - clock.now())
    this.#deadline ??= clock.after(leftMs, () => this.#failAs(this.#refusal ?? refusal))
  }

  #take(asked: Asked): void {
    this.#over = true
    asked.silence?.cancel()
    this.#deadline?.cancel()
    for (const other of this.#asked) if (other !== asked) this.#dismiss(other, anotherTaken())
    this.#opened.stream.provide(asked.client)
    this.#events.taken(asked.end)
  }

  #dismiss(asked: Asked, reason: LinkSocksError): void {
    this.#farewell(asked, reason)
    asked.leave()
  }

  #farewell({ end }: Asked, reason: LinkSocksError, code: number = ResetCode.Cancelled): void {
    end.farewell({ channelId: this.#options.connect.channelId, asked: false, answered: false }, reason, code)
  }

  #remove(asked: Asked): void {
    asked.leave()
    this.#asked = this.#asked.filter((other) => other !== asked)
    const shown = this.#asked[0]
    if (shown !== undefined) this.#opened.stream.provide(shown.client)
  }

  #failFor(thrown: unknown): void {
    this.#failAs({ error: LinkSocksError.from(thrown, 'ERR_DIAL_FAILED') })
  }

  #failAs({ error, answer }: Refusal): void {
    if (this.#over) return
    for (const asked of this.#asked.splice(0)) this.#dismiss(asked, error)
    this.#events.failed(error, answer)
  }
}

/** What of a provider's messages means that it does not serve the channel; a broken one does. */
function refusalOf(raw: Uint8Array, type: number): Refusal | undefined {
  if (type === MessageType.Data) return undefined
  try {
    checkSmall(raw)
    const message = decodeMessage(raw)
    if (message?.type === MessageType.ConnectResponse && !message.success) {
      return { error: errorOfRefusal(message.error, message.trailer?.rep), answer: inOurVersion(raw) }
    }
    if (message?.type !== MessageType.Disconnect || isOrderlyEnd(message.error)) return undefined
    return { error: new LinkSocksError(errorOfRefusal(message.error).code, message.error ?? '') }
  } catch (thrown) {
    return { error: LinkSocksError.from(thrown, 'ERR_CHANNEL_PROTOCOL') }
  }
}

function anotherTaken(): LinkSocksError {
  return new LinkSocksError('ERR_CANCELLED', 'another provider was taken')
}
