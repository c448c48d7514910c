import type { LinkSocksError } from '../errors.js'
import type { ConnectMessage, Message } from '../protocol/messages.js'
import type { HostEnvironment } from './channel/channel-host.js'
import type { HeldTotals } from './flow/held-totals.js'
import type { PingTimes } from './keepalive.js'

/** What a peer in a certain role may ask for. A missing method means that it may not. */
export interface SessionHandler {
  /** The peer asks for a channel. `raw` is the message as it came, for relays. */
  connect?(message: ConnectMessage, raw: Uint8Array): void
  /** A message that belongs to no channel: Connector, ConnectorResponse, Log, Partners, Direct*. */
  control?(message: Message): void
  /** A message for a channel that this end doesn't know (any more). */
  unknownChannel?(raw: Uint8Array, type: number): void
  /** The connection is lost and may come back: no new channels until `resumed()`. */
  suspended?(reason: LinkSocksError): void
  resumed?(): void
  /** The peer is about to shut down: it takes no new channels. */
  draining?(): void
  /** The session is gone. Exactly once; without `error` it was closed from this end or in order. */
  close(error?: LinkSocksError): void
}

export interface SessionOptions extends HostEnvironment {
  /** Also send unsolicited pongs (clients do, for deployed servers). */
  readonly pongs: boolean
  /** @default as deployed programs do */
  readonly pings?: PingTimes | undefined
  /** Shared by the sessions of one server or client. @default one of its own */
  readonly totals?: HeldTotals | undefined
  /** Logs the type of every message. */
  readonly trace?: boolean | undefined
}
