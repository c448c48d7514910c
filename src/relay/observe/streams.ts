import { addressText } from '../../address.js'
import type { ErrorCode, LinkSocksError } from '../../errors.js'
import type { Abortable, ChannelObserver, Observe, Traffic } from '../../mux/channel/observer.js'
import type { Clock, ProxyProtocol, SocketAddress, Target } from '../../ports.js'
import { Rep, repOf } from '../../protocol/rep.js'
import type { RelayClient, StreamMode } from '../clients/relay-client.js'
import type { Policed } from '../policies/policed-token.js'
import type { EventLog, StreamEvent } from './event-log.js'
import type { PageQuery } from './page.js'
import { mapPage, type Page, pageOf } from './page.js'
import { countStream, type DialResult, type Statistics } from './statistics.js'

/** What runs between somebody who asked and a target. */
export interface StreamInfo {
  /** Ascending. */
  readonly id: number
  readonly mode: StreamMode
  readonly protocol: 'tcp' | 'udp'
  /** What the client that asked speaks; known only on the SOCKS port of a reverse token. */
  readonly inbound: ProxyProtocol | undefined
  /** `host:port`; UDP associations have many. */
  readonly target: string | undefined
  readonly tokenId: string
  /** Who asked; `undefined` on the SOCKS port of a reverse token. */
  readonly clientId: string | undefined
  readonly providerId: string | undefined
  readonly state: 'opening' | 'open'
  /** Unix milliseconds. */
  readonly since: number
  /** Bytes towards the target. */
  readonly sentBytes: number
  readonly receivedBytes: number
}

/** Which streams are wanted. */
export interface StreamQuery extends PageQuery {
  readonly tokenId?: string | undefined
  /** Who asked, or who provides. */
  readonly clientId?: string | undefined
}

export interface StreamBeginning {
  readonly mode: StreamMode
  /** What the client that asked speaks. @default unknown */
  readonly inbound?: ProxyProtocol | undefined
  readonly tokenId: string
  /** Whose policies hold for it. @default nobody's */
  readonly tokens?: Policed | undefined
  /** The provider was told of the policies. */
  readonly judged?: boolean | undefined
  /** Absent for UDP. */
  readonly target: Target | undefined
  /** The name that was asked for, where an address of it is the target. */
  readonly asked?: string | undefined
  /** Who asked; `undefined` on the SOCKS port of a reverse token. */
  readonly client?: RelayClient | undefined
  readonly provider?: RelayClient | undefined
}

export interface StreamsOptions {
  readonly clock: Clock
  readonly events: EventLog
  readonly statistics: Statistics
}

/** One stream from its Connect to its end. */
export class TrackedStream implements ChannelObserver {
  readonly id: number
  readonly #beginning: StreamBeginning
  readonly #traffic: Traffic
  readonly #channel: Abortable | undefined
  readonly #streams: Streams
  readonly #begunAt: number
  /** The calendar may be set, and goes in steps of its own: what was told of a beginning stays. */
  readonly #since: number
  #provider: RelayClient | undefined
  #opened = false
  /** Where it leads, as far as the relay knows: it has connected to it, or has looked it up. */
  address: SocketAddress | undefined
  /** The policies are judged where it leaves as well: nothing depends on what can't be seen here. */
  judged: boolean

  constructor(
    id: number,
    beginning: StreamBeginning,
    { traffic, channel }: { traffic: Traffic; channel: Abortable | undefined },
    streams: Streams,
  ) {
    this.id = id
    this.#beginning = beginning
    this.#traffic = traffic
    this.#channel = channel
    this.judged = beginning.judged === true
    if (beginning.asked !== undefined) this.address = beginning.target
    this.#streams = streams
    this.#begunAt = streams.options.clock.now()
    this.#since = streams.options.clock.wallTime()
    if (beginning.client !== undefined) beginning.client.streams += 1
    for (const { use } of beginning.tokens ?? []) use.streams += 1
    this.provide(beginning.provider)
  }

  /** A provider was chosen for it, or another one. */
  provide(provider: RelayClient | undefined): void {
    if (this.#provider !== undefined) this.#provider.streams -= 1
    if (provider !== undefined) provider.streams += 1
    this.#provider = provider
  }

  /** Once is enough; more often is harmless. */
  opened(): void {
    if (this.#opened) return
    const { mode, inbound } = this.#beginning
    this.#opened = true
    countStream(this.#streams.options.statistics.channelsOpened, { mode, protocol: this.#protocol, inbound })
    this.#dialled(Rep.Succeeded)
    this.#emit('stream.opened')
  }

  closed(error?: LinkSocksError): void {
    this.#streams.over(this.id)
    if (!this.#opened) this.#dialled(resultOf(this.#beginning.mode, error))
    else {
      this.#emit('stream.closed', { ...this.#bytes, error: error?.code })
    }
    if (this.#beginning.client !== undefined) this.#beginning.client.streams -= 1
    for (const { use } of this.#beginning.tokens ?? []) use.streams -= 1
    this.provide(undefined)
  }

  /** The relay has connected to its target, or has looked it up. */
  reached(address: SocketAddress): void {
    this.address = address
  }

  /** Ends it, and tells both ends why. */
  abort(reason: LinkSocksError): void {
    this.#channel?.abort(reason)
  }

  get tokenId(): string {
    return this.#beginning.tokenId
  }

  get protocol(): 'tcp' | 'udp' {
    return this.#protocol
  }

  /** Absent for UDP. */
  get target(): Target | undefined {
    return this.#beginning.target
  }

  /** The host that was asked for. */
  get asked(): string | undefined {
    return this.#beginning.asked ?? this.#beginning.target?.host
  }

  /** Whose policies hold for it. */
  get tokens(): Policed {
    return this.#beginning.tokens ?? []
  }

  /** @param clientId who asked, or who provides; `undefined` is anybody */
  belongsTo(tokenId: string | undefined, clientId: string | undefined): boolean {
    const { client } = this.#beginning
    if (tokenId !== undefined && this.#beginning.tokenId !== tokenId) return false
    return clientId === undefined || client?.id === clientId || this.#provider?.id === clientId
  }

  get info(): StreamInfo {
    const state = this.#opened ? 'open' : 'opening'
    return { id: this.id, ...this.#who, state, since: this.#since, ...this.#bytes }
  }

  get #bytes(): Traffic {
    const { receivedBytes, sentBytes } = this.#traffic
    // at the exit, what comes on the channel goes to the target
    if (this.#beginning.mode === 'forward') return { sentBytes: receivedBytes, receivedBytes: sentBytes }
    return { sentBytes, receivedBytes }
  }

  get #protocol(): 'tcp' | 'udp' {
    return this.#beginning.target === undefined ? 'udp' : 'tcp'
  }

  get #who() {
    const { mode, inbound, tokenId, target, client } = this.#beginning
    return {
      mode,
      protocol: this.#protocol,
      inbound,
      target: target && addressText(target),
      tokenId,
      clientId: client?.id,
      providerId: this.#provider?.id,
    }
  }

  #dialled(result: DialResult): void {
    const { clock, statistics } = this.#streams.options
    statistics.onDialled?.({ mode: this.#beginning.mode, result, tookMs: clock.now() - this.#begunAt })
  }

  #emit(type: StreamEvent['type'], ended?: StreamEvent['ended']): void {
    this.#streams.options.events.emit({ type, streamId: this.id, ...this.#who, ...(ended && { ended }) })
  }
}

/** What ends the channel of a client that leaves before it is answered. */
const LEFT: readonly ErrorCode[] = ['ERR_CHANNEL_RESET', 'ERR_LINK_LOST', 'ERR_LINK_TIMEOUT', 'ERR_SESSION_CLOSED']

function resultOf(mode: StreamMode, error: LinkSocksError | undefined): DialResult {
  if (error === undefined || error.code === 'ERR_CANCELLED') return 'cancelled'
  // a forward client's channel has nobody else who could end it like that
  return mode === 'forward' && LEFT.includes(error.code) ? 'cancelled' : repOf(error)
}

/** Every stream of a relay that is not over. */
export class Streams {
  readonly options: StreamsOptions
  readonly #streams = new Map<number, TrackedStream>()
  #last = 0

  constructor(options: StreamsOptions) {
    this.options = options
  }

  get size(): number {
    return this.#streams.size
  }

  *infos(): Iterable<StreamInfo> {
    for (const stream of this.#streams.values()) yield stream.info
  }

  page({ tokenId, clientId, ...query }: StreamQuery): Page<StreamInfo> {
    const wanted = [...this.#streams.values()].filter((stream) => stream.belongsTo(tokenId, clientId))
    if (query.descending === true) wanted.reverse()
    return mapPage(
      pageOf(wanted, ({ id }) => id, query),
      ({ info }) => info,
    )
  }

  /** Those of the tokens with one of these ids. */
  of(tokenIds: ReadonlySet<string>): readonly TrackedStream[] {
    return [...this.#streams.values()].filter(({ tokenId }) => tokenIds.has(tokenId))
  }

  begin(beginning: StreamBeginning, traffic: Traffic, channel?: Abortable): TrackedStream {
    this.#last += 1
    const stream = new TrackedStream(this.#last, beginning, { traffic, channel }, this)
    this.#streams.set(this.#last, stream)
    return stream
  }

  /** For the streams themselves. */
  over(id: number): void {
    this.#streams.delete(id)
  }

  /** One came to nothing before there was a channel for it. */
  refused(mode: StreamMode, error: LinkSocksError): void {
    this.options.statistics.onDialled?.({ mode, result: resultOf(mode, error), tookMs: 0 })
  }

  observe(beginning: StreamBeginning): Observe {
    return (traffic, channel) => this.begin(beginning, traffic, channel)
  }
}
