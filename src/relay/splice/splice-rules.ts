import { LinkSocksError } from '../../errors.js'
import type { AccessCheck } from '../../exit/dial/access-check.js'
import type { AccessList } from '../../exit/dial/access-rules.js'
import { DatagramGate } from '../../exit/udp/datagram-gate.js'
import type { GatedTotal } from '../../exit/udp/gated-total.js'
import type { Logger } from '../../log.js'
import type { Abortable, Traffic } from '../../mux/channel/observer.js'
import type { HeldTotals } from '../../mux/flow/held-totals.js'
import type { SendWindow } from '../../mux/flow/window.js'
import type { Session } from '../../mux/session.js'
import type { AbortOptions, Clock, SocketAddress, Target } from '../../ports.js'
import { ControlOp, encodeControl } from '../../protocol/control.js'
import { KIB } from '../../protocol/limits.js'
import {
  ChannelProtocol,
  type ConnectMessage,
  decodeMessage,
  encodeDisconnect,
  MessageType,
  PROTOCOL_VERSION,
} from '../../protocol/messages.js'
import { readdressed } from '../../protocol/readdress.js'
import { isOrderlyEnd } from '../../protocol/refusal.js'
import type { RelayClient } from '../clients/relay-client.js'
import type { TrackedStream } from '../observe/streams.js'
import type { Shaping } from '../traffic/shaping.js'

/** Largest message that a relay passes on, but for Data: all have short fields, what may follow them is a trailer. */
export const MAX_SMALL_MESSAGE_BYTES = 4 * KIB

/** What a connector may send before a provider is found: its 64 KiB in pieces that are not too small. */
export const MAX_WAITING_BYTES = 256 * KIB

/** How destinations are judged before a provider hears of them. */
export interface SpliceAccess {
  readonly lists: readonly AccessList[]
  /** Judges as well what a name led to. @default nobody */
  readonly judge?: ((asked: string, address: SocketAddress) => boolean) | undefined
  readonly check: AccessCheck
  readonly total: GatedTotal
  readonly log: Logger
}

export interface SpliceOptions {
  readonly connector: Session
  readonly connect: ConnectMessage
  /** The Connect as it came; it goes on byte for byte, but for a name that access rules judged. */
  readonly raw: Uint8Array
  /** @default every destination is allowed */
  readonly access?: SpliceAccess | undefined
  /** Asked about every datagram of the connector. @default all may pass */
  readonly allowsDatagram?: ((target: Target) => boolean) | undefined
  /** The Connect as one provider is to get it. @default as it is */
  readonly addressed?: ((connect: Uint8Array, provider: RelayClient) => Uint8Array) | undefined
  /** Finds a provider, waiting for one if need be; asked again when one is lost before it was sent anything but the Connect. */
  readonly choose: (options: AbortOptions) => Promise<RelayClient>
  /** Another provider, which was not tried yet and whose link owes nothing. */
  readonly beside: (tried: readonly RelayClient[]) => RelayClient | undefined
  /** Called once the connector's channel stands. */
  readonly observe: (traffic: Traffic, channel: Abortable) => TrackedStream
  readonly shaping: Shaping
  /** Bounds what waits in the relay, this splice's part included. */
  readonly held: HeldTotals
}

/** Judges the datagrams of a connector; `pass` gets those that are allowed, with an address in place of a name. */
export function datagramGate(access: SpliceAccess, clock: Clock, pass: (raw: Uint8Array) => void): DatagramGate {
  const { lists, judge, check, total, log } = access
  return new DatagramGate({
    access: lists.map((list) => () => list),
    judge,
    ...{ clock, log, total, resolve: check.resolve },
    pass: (raw, destination, host) => pass(host === destination.host ? raw : readdressed(raw, host)),
  })
}

/** @throws {LinkSocksError} ERR_DIAL_UNSUPPORTED (neither tcp nor udp), ERR_MESSAGE_TOO_LARGE */
export function checkConnect(connect: ConnectMessage, raw: Uint8Array): void {
  if (connect.protocol !== ChannelProtocol.Tcp && connect.protocol !== ChannelProtocol.Udp) {
    throw new LinkSocksError('ERR_DIAL_UNSUPPORTED', `unknown channel protocol ${connect.protocol}`)
  }
  checkSmall(raw)
}

/** @throws {LinkSocksError} ERR_MESSAGE_TOO_LARGE */
export function checkSmall(raw: Uint8Array): void {
  if (raw.byteLength <= MAX_SMALL_MESSAGE_BYTES) return
  throw new LinkSocksError('ERR_MESSAGE_TOO_LARGE', `a message without data has ${raw.byteLength} bytes`)
}

/** @throws {LinkSocksError} ERR_FLOW_CONTROL */
export function checkCredit(credit: SendWindow | undefined): void {
  if (credit?.overdrawn !== true) return
  throw new LinkSocksError('ERR_FLOW_CONTROL', 'the peer sent more than it had credit for')
}

/** The end that gets it may know this minor version alone; pywssocks ends its session on another. */
export function inOurVersion(raw: Uint8Array): Uint8Array {
  raw[0] = PROTOCOL_VERSION
  return raw
}

/** Whether a Disconnect is an orderly end (docs/protocol.md A.4). */
export function isOrderlyDisconnect(raw: Uint8Array): boolean {
  const message = decodeMessage(raw)
  return isOrderlyEnd(message?.type === MessageType.Disconnect ? message.error : undefined)
}

export function windowUpdate(channelId: Uint8Array, credit: number): Uint8Array {
  return encodeControl(channelId, { op: ControlOp.WindowUpdate, credit })
}

/** What ends a channel from the middle: a Disconnect with an error, behind a RESET where there is stream control. */
export function abortMessages(channelId: Uint8Array, reason: LinkSocksError, resetCode?: number): Uint8Array[] {
  const disconnect = encodeDisconnect({ channelId, error: reason.message || 'aborted' })
  if (resetCode === undefined) return [disconnect]
  return [encodeControl(channelId, { op: ControlOp.Reset, code: resetCode }), disconnect]
}

/**
 * Why a channel ended that was aborted or lost.
 * @param gaveUp the connector did not wait for the answer
 */
export function abortOf(gaveUp: boolean): LinkSocksError {
  if (gaveUp) return new LinkSocksError('ERR_CANCELLED', 'the connector gave up')
  return new LinkSocksError('ERR_CHANNEL_RESET', 'one end aborted the stream')
}
