import type { ErrorCode } from '../errors.js'
import { LinkSocksError } from '../errors.js'
import { ByteReader, type ByteWriter } from './bytes.js'
import { dataHead } from './encode.js'
import { ChannelProtocol, Compression } from './message-types.js'

/** The Op byte of a control frame (B.2). */
export const ControlOp = { WindowUpdate: 1, EndOfStream: 2, Reset: 3, Ping: 4, Pong: 5 } as const

/** The code byte of RESET (B.2). */
export const ResetCode = {
  Unspecified: 0,
  ConnectionReset: 1,
  Timeout: 2,
  Cancelled: 3,
  FlowControl: 4,
  Protocol: 5,
  ShuttingDown: 6,
  SessionLost: 7,
} as const

/** One frame of stream control: Op(1) and its body. */
export type ControlFrame =
  /** `credit` more bytes may be sent; 0 asks for an answer. */
  | { readonly op: typeof ControlOp.WindowUpdate; readonly credit: number }
  /** No more Data; `total` bytes were sent in all. */
  | { readonly op: typeof ControlOp.EndOfStream; readonly total: number }
  /** Both directions are aborted; `code` is a {@link ResetCode}, or one nobody knows. */
  | { readonly op: typeof ControlOp.Reset; readonly code: number }
  /** Asks for a PONG with the same `id`. */
  | { readonly op: typeof ControlOp.Ping; readonly id: number }
  | { readonly op: typeof ControlOp.Pong; readonly id: number }

/**
 * Decodes the payload of a Data message with Compression 0x10. Bytes after the body are ignored.
 * @returns `undefined` for an unknown Op and an empty payload.
 * @throws {LinkSocksError} ERR_MESSAGE_TRUNCATED, ERR_MESSAGE_INVALID (a byte count above 2^53-1)
 */
export function decodeControl(data: Uint8Array): ControlFrame | undefined {
  const reader = new ByteReader(data, 1)
  switch (data[0]) {
    case ControlOp.WindowUpdate:
      return { op: ControlOp.WindowUpdate, credit: reader.u32() }
    case ControlOp.EndOfStream:
      return { op: ControlOp.EndOfStream, total: byteCount(reader) }
    case ControlOp.Reset:
      return { op: ControlOp.Reset, code: reader.u8() }
    case ControlOp.Ping:
      return { op: ControlOp.Ping, id: reader.u32() }
    case ControlOp.Pong:
      return { op: ControlOp.Pong, id: reader.u32() }
    default:
      return undefined
  }
}

function byteCount(reader: ByteReader): number {
  const count = reader.u64()
  if (Number.isSafeInteger(count)) return count
  throw new LinkSocksError('ERR_MESSAGE_INVALID', 'END_OF_STREAM counts more than 2^53-1 bytes')
}

/**
 * A whole Data message that carries `frame`.
 * @throws {LinkSocksError} ERR_MESSAGE_INVALID when a number does not fit its field
 */
export function encodeControl(channelId: Uint8Array, frame: ControlFrame): Uint8Array {
  const head = (bodyBytes: number): ByteWriter =>
    dataHead(ChannelProtocol.Tcp, channelId, 1 + bodyBytes, Compression.Control).u8(frame.op)
  switch (frame.op) {
    case ControlOp.WindowUpdate:
      return head(4).u32(frame.credit).done()
    case ControlOp.EndOfStream:
      return head(8).u64(frame.total).done()
    case ControlOp.Reset:
      return head(1).u8(frame.code).done()
    case ControlOp.Ping:
    case ControlOp.Pong:
      return head(4).u32(frame.id).done()
  }
}

const CODE_OF_ERROR: Partial<Record<ErrorCode, number>> = {
  ERR_STREAM_RESET: ResetCode.ConnectionReset,
  ERR_CHANNEL_RESET: ResetCode.ConnectionReset,
  ERR_DIAL_TIMEOUT: ResetCode.Timeout,
  ERR_SOCKS_TIMEOUT: ResetCode.Timeout,
  ERR_CANCELLED: ResetCode.Cancelled,
  ERR_FLOW_CONTROL: ResetCode.FlowControl,
  ERR_CHANNEL_PROTOCOL: ResetCode.Protocol,
  ERR_MESSAGE_VERSION: ResetCode.Protocol,
  ERR_MESSAGE_TRUNCATED: ResetCode.Protocol,
  ERR_MESSAGE_INVALID: ResetCode.Protocol,
  ERR_MESSAGE_TOO_LARGE: ResetCode.Protocol,
  ERR_SHUTTING_DOWN: ResetCode.ShuttingDown,
  ERR_LINK_LOST: ResetCode.SessionLost,
  ERR_LINK_TIMEOUT: ResetCode.SessionLost,
  ERR_SESSION_CLOSED: ResetCode.SessionLost,
}

/** The RESET code that tells the far end about `error`. */
export function resetCodeOf(error: LinkSocksError): number {
  return CODE_OF_ERROR[error.code] ?? ResetCode.Unspecified
}

// ERR_CANCELLED stays what the caller's own signal gives: a far end that cancels is a reset
const ERROR_OF_CODE: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  [ResetCode.Unspecified]: ['ERR_CHANNEL_RESET', 'far end aborted the stream'],
  [ResetCode.ConnectionReset]: ['ERR_STREAM_RESET', 'far end: connection reset'],
  [ResetCode.Timeout]: ['ERR_CHANNEL_RESET', 'far end: stream timed out'],
  [ResetCode.Cancelled]: ['ERR_CHANNEL_RESET', 'far end: stream cancelled'],
  [ResetCode.FlowControl]: ['ERR_FLOW_CONTROL', 'far end: more data than its window allowed'],
  [ResetCode.Protocol]: ['ERR_CHANNEL_PROTOCOL', 'far end: stream control violated'],
  [ResetCode.ShuttingDown]: ['ERR_SHUTTING_DOWN', 'far end is shutting down'],
  [ResetCode.SessionLost]: ['ERR_LINK_LOST', 'far end lost its session'],
}

/** What a received RESET means here; a code nobody knows is an unspecified reset. */
export function errorOfReset(code: number): LinkSocksError {
  const [errorCode, text] = ERROR_OF_CODE[code] ?? ['ERR_CHANNEL_RESET', `far end aborted the stream, code ${code}`]
  return new LinkSocksError(errorCode, text)
}
