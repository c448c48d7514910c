import { LinkSocksError } from '../errors.js'
import { UUID_BYTES } from './channel-id.js'
import { decodeUtf8, encodeUtf8Str8 } from './text.js'

/** Reads big-endian fields one after the other; each method throws ERR_MESSAGE_TRUNCATED when too little is left. */
export class ByteReader {
  readonly #buf: Uint8Array
  #offset: number

  constructor(buf: Uint8Array, offset = 0) {
    this.#buf = buf
    this.#offset = offset
  }

  /** Where the next field begins. */
  get offset(): number {
    return this.#offset
  }

  get left(): number {
    return this.#buf.length - this.#offset
  }

  u8(): number {
    const at = this.#take(1)
    return this.#buf[at] ?? 0
  }

  u16(): number {
    return this.u8() * 0x100 + this.u8()
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16()
  }

  /** The next `length` bytes, without copying. */
  view(length: number): Uint8Array {
    const at = this.#take(length)
    return this.#buf.subarray(at, at + length)
  }

  /** 16 bytes, copied: ids are kept for long, and a view would keep the whole received buffer. */
  uuid(): Uint8Array {
    return new Uint8Array(this.view(UUID_BYTES))
  }

  str8(): string {
    return decodeUtf8(this.view(this.u8()))
  }

  /** `undefined` at the end of the message; a Str8 that has begun must be whole. */
  optionalStr8(): string | undefined {
    return this.left === 0 ? undefined : this.str8()
  }

  #take(length: number): number {
    const at = this.#offset
    if (length > this.#buf.length - at) {
      throw new LinkSocksError(
        'ERR_MESSAGE_TRUNCATED',
        `message of ${this.#buf.length} bytes ends inside a field of ${length} at ${at}`,
      )
    }
    this.#offset = at + length
    return at
  }
}

/** One array of all `parts` in order. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** One byte. @throws {LinkSocksError} ERR_MESSAGE_INVALID outside 0..255 */
export function u8(value: number): Uint8Array {
  return uint(value, 1)
}

/** Two bytes. @throws {LinkSocksError} ERR_MESSAGE_INVALID outside 0..65,535 */
export function u16(value: number): Uint8Array {
  return uint(value, 2)
}

/** Four bytes. @throws {LinkSocksError} ERR_MESSAGE_INVALID outside 0..2^32-1 */
export function u32(value: number): Uint8Array {
  return uint(value, 4)
}

/** Eight bytes. @throws {LinkSocksError} ERR_MESSAGE_INVALID outside 0..2^53-1 */
export function u64(value: number): Uint8Array {
  return uint(value, 8)
}

function uint(value: number, width: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 256 ** width) {
    throw new LinkSocksError('ERR_MESSAGE_INVALID', `${value} does not fit in ${width} bytes`)
  }
  const bytes = new Uint8Array(width)
  let rest = value
  for (let i = width - 1; i >= 0; i--) {
    bytes[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return bytes
}

/** Checks an id on its way out. @throws {LinkSocksError} ERR_MESSAGE_INVALID unless it has 16 bytes */
export function uuid(bytes: Uint8Array): Uint8Array {
  if (bytes.length === UUID_BYTES) return bytes
  throw new LinkSocksError('ERR_MESSAGE_INVALID', `an id has ${UUID_BYTES} bytes, not ${bytes.length}`)
}

/** Len(1) and at most 255 bytes of UTF-8, cut at a character boundary. */
export function str8(text: string): Uint8Array {
  const bytes = encodeUtf8Str8(text)
  return concat(u8(bytes.length), bytes)
}
