import type { LinkSocksError } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { Clock, Crypto, Inflate } from '../../ports.js'
import type { ChannelKey } from '../../protocol/uuid.js'
import type { BusyReaders } from '../flow/busy-readers.js'
import type { HeldTotals } from '../flow/held-totals.js'
import type { ReadGate } from '../flow/read-gate.js'
import type { RoundTrips } from '../flow/round-trips.js'
import type { Lane, Source } from '../flow/scheduler.js'

/** What stands in a session's channel table: an end of a channel, or a relay's splice of one. */
export interface ChannelEntry {
  /** A Data, ConnectResponse or Disconnect message for this channel. */
  message(raw: Uint8Array, type: number): void
  /** The session is gone and has forgotten the entry. */
  sessionClosed(error: LinkSocksError): void
  /** The session is about to be closed from this end: tell the peer, then detach. */
  sessionClosing(reason: LinkSocksError): void
  /** A channel without stream control (yet): relays that know nothing of ours may keep it when the session is lost. @default false */
  readonly base?: boolean
}

/** The surroundings that a session gives its channels. */
export interface HostEnvironment {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly inflate: Inflate
  readonly log: Logger
}

/** What a channel asks of its session. */
export interface ChannelHost extends HostEnvironment {
  readonly gate: ReadGate
  /** Counts what was delivered on channels with credit and is not used up. */
  readonly totals: HeldTotals
  readonly busyReaders: BusyReaders
  /** Of its channels, end to end. */
  readonly roundTrips: RoundTrips
  /** Sends a whole message ahead of all data. */
  control(message: Uint8Array): void
  lane(source: Source): Lane
  /** As of MessageTransport; any part of the message names it. */
  recycle(data: Uint8Array): void
  /** @throws {LinkSocksError} ERR_LIMIT, ERR_SESSION_CLOSED, ERR_MESSAGE_INVALID (the id is in use) */
  attach(key: ChannelKey, entry: ChannelEntry): void
  detach(key: ChannelKey): void
}
