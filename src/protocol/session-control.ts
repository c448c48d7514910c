import { LinkSocksError } from '../errors.js'
import { ByteReader, ByteWriter } from './bytes.js'
import { MESSAGE_HEADER_BYTES, MessageType, PROTOCOL_VERSION } from './message-types.js'

/** The Op byte of SessionControl (B.3). */
export const SessionOp = { Ack: 1, End: 2, Drain: 3 } as const

/** What the two ends of a resumable session tell each other besides its messages; not counted, and not sent again. */
export type SessionControl =
  /** So many session messages were received in all. */
  | { readonly op: typeof SessionOp.Ack; readonly received: number }
  /** The session is over: the loss of the WebSocket that follows is no reason to come back. */
  | { readonly op: typeof SessionOp.End }
  /** Its sender is about to shut down: no new channels, please. */
  | { readonly op: typeof SessionOp.Drain }

export function encodeSessionControl(control: SessionControl): Uint8Array {
  const out = new ByteWriter().u8(PROTOCOL_VERSION).u8(MessageType.SessionControl).u8(control.op)
  if (control.op === SessionOp.Ack) out.u64(control.received)
  return out.done()
}

/**
 * Decodes Version(1) Type(1) Op(1) and, for an ACK, Received(8). Bytes after that are ignored.
 * @returns `undefined` for an unknown Op, and for any other message
 * @throws {LinkSocksError} ERR_MESSAGE_TRUNCATED, ERR_MESSAGE_INVALID (a count above 2^53-1)
 */
export function decodeSessionControl(raw: Uint8Array): SessionControl | undefined {
  if (raw[1] !== MessageType.SessionControl) return undefined
  const reader = new ByteReader(raw, MESSAGE_HEADER_BYTES)
  const op = reader.u8()
  if (op === SessionOp.End || op === SessionOp.Drain) return { op }
  if (op !== SessionOp.Ack) return undefined
  const received = reader.u64()
  if (Number.isSafeInteger(received)) return { op, received }
  throw new LinkSocksError('ERR_MESSAGE_INVALID', 'an acknowledgement counts more than 2^53-1 messages')
}
