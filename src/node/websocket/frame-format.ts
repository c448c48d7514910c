import { LinkSocksError } from '../../errors.js'
import { MAX_MESSAGE_BYTES } from '../../protocol/limits.js'

/** Opcodes (RFC 6455 section 5.2). */
export const Opcode = { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 } as const

export const FIN = 0x80
export const MASKED = 0x80
/** Longest payload of a control frame (RFC 6455 section 5.5). */
export const MAX_CONTROL_BYTES = 125
/** Payload lengths of one byte end here; 126 announces two more bytes, 127 eight (RFC 6455 section 5.2). */
export const LENGTH_16 = 126
export const LENGTH_64 = 127
export const MAX_LENGTH_16 = 0xffff
/** Opcode, length, extended length, masking key. */
export const MAX_FRAME_HEADER_BYTES = 14

/** Status codes of a close frame that we send or name (RFC 6455 section 7.4.1). */
export const CloseCode = {
  Normal: 1000,
  ProtocolError: 1002,
  /** Never sent: the close frame held none. */
  NoStatus: 1005,
  /** Never sent: there was no close frame. */
  Abnormal: 1006,
  InvalidPayload: 1007,
  PolicyViolation: 1008,
  TooBig: 1009,
} as const

/** Whether a close frame may hold this status code (RFC 6455 section 7.4). */
export function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006
}

/** What a peer did that ends the WebSocket, and the status code to tell it. */
export class FrameViolation extends LinkSocksError {
  readonly status: number

  constructor(status: number, message: string) {
    super(status === CloseCode.TooBig ? 'ERR_MESSAGE_TOO_LARGE' : 'ERR_MESSAGE_INVALID', message)
    this.status = status
  }

  static protocol(message: string): FrameViolation {
    return new FrameViolation(CloseCode.ProtocolError, message)
  }

  static tooBig(): FrameViolation {
    return new FrameViolation(CloseCode.TooBig, `message larger than ${MAX_MESSAGE_BYTES} bytes`)
  }
}
