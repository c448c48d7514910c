import { randomBytes } from 'node:crypto'

/** Opcodes of RFC 6455 section 5.2. */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export interface Frame {
  readonly fin: boolean
  /** The three reserved bits as a number; RSV1 is 4. */
  readonly rsv: number
  readonly opcode: number
  /** `undefined` on a frame without a mask. */
  readonly mask: Buffer | undefined
  /** Unmasked. */
  readonly payload: Buffer
  /** Bytes of the length field: 1, 3 or 9. */
  readonly lengthBytes: number
}

export interface FrameToSend {
  readonly opcode: number
  /** @default empty */
  readonly payload?: Uint8Array
  /** @default true */
  readonly fin?: boolean
  /** @default 0 */
  readonly rsv?: number
  /** Length to announce, where that is not the payload's. */
  readonly announced?: bigint
}

/** Writes one frame, with the shortest form of its length. `masked` as clients must and servers must not. */
export function encodeFrame(frame: FrameToSend, masked: boolean): Buffer {
  const { opcode, payload = Buffer.alloc(0), fin = true, rsv = 0, announced = BigInt(payload.byteLength) } = frame
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  const head = Buffer.concat([Buffer.of(first), lengthField(announced, masked ? 0x80 : 0)])
  if (!masked) return Buffer.concat([head, payload])
  const mask = randomBytes(4)
  return Buffer.concat([head, mask, applyMask(payload, mask)])
}

function lengthField(length: bigint, maskBit: number): Buffer {
  if (length < 126n) return Buffer.of(maskBit | Number(length))
  const long = length > 0xffffn
  const field = Buffer.alloc(long ? 9 : 3)
  field[0] = maskBit | (long ? 127 : 126)
  if (long) field.writeBigUInt64BE(length, 1)
  else field.writeUInt16BE(Number(length), 1)
  return field
}

/** Body of a close frame. */
export function closeBody(code: number, reason: string | Uint8Array = ''): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code & 255), Buffer.from(reason)])
}

/** Code of a close frame; 1005 (RFC 6455 section 7.1.5) where it has none. */
export function closeCode({ payload }: Frame): number {
  return payload.length >= 2 ? payload.readUInt16BE(0) : 1005
}

function applyMask(bytes: Uint8Array, mask: Uint8Array): Buffer {
  const out = Buffer.from(bytes)
  for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? 0) ^ (mask[i & 3] ?? 0)
  return out
}

/** Takes a byte stream apart into frames, and judges none of them. */
export class FrameReader {
  #rest = Buffer.alloc(0)

  /** The frames that these bytes complete. */
  push(chunk: Uint8Array): readonly Frame[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const frames: Frame[] = []
    for (;;) {
      const found = decodeFrame(this.#rest)
      if (found === undefined) return frames
      frames.push(found.frame)
      this.#rest = this.#rest.subarray(found.end)
    }
  }

  /** Whether the stream ends in the middle of a frame. */
  get midFrame(): boolean {
    return this.#rest.length > 0
  }
}

function decodeFrame(bytes: Buffer): { frame: Frame; end: number } | undefined {
  const [first = 0, second = 0] = bytes
  const short = second & 0x7f
  const lengthBytes = short === 127 ? 9 : short === 126 ? 3 : 1
  const masked = second >= 0x80
  const start = 1 + lengthBytes + (masked ? 4 : 0)
  if (bytes.length < 2 || bytes.length < start) return undefined
  const length =
    lengthBytes === 9 ? Number(bytes.readBigUInt64BE(2)) : lengthBytes === 3 ? bytes.readUInt16BE(2) : short
  const end = start + length
  if (bytes.length < end) return undefined
  const mask = masked ? Buffer.from(bytes.subarray(start - 4, start)) : undefined
  const raw = bytes.subarray(start, end)
  const payload = mask === undefined ? Buffer.from(raw) : applyMask(raw, mask)
  return {
    frame: { fin: first >= 0x80, rsv: (first >> 4) & 7, opcode: first & 15, mask, payload, lengthBytes },
    end,
  }
}
