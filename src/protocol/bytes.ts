import { LinkSocksError } from '../errors.js'
import { KIB, MAX_STR8_BYTES } from './limits.js'
import { decodeUtf8 } from './text.js'
import { UUID_BYTES } from './uuid.js'

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

  /** Eight bytes; exact up to 2^53-1, and no safe integer above. */
  u64(): number {
    return this.u32() * 2 ** 32 + this.u32()
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

/** Longest message that memory is kept for. */
const SCRATCH_BYTES = 128 * KIB

/** What no longer fits into so many bytes, as far as numbers are exact. */
const BELOW = { 1: 2 ** 8, 2: 2 ** 16, 4: 2 ** 32, 8: Number.POSITIVE_INFINITY } as const

const encoder = new TextEncoder()
let scratch = new Uint8Array(KIB)

/**
 * Writes big-endian fields one after the other, and gives the whole at the end. One at a time: all write into the same memory, so
 * that a message costs one allocation. Numbers that don't fit and ids of another length throw ERR_MESSAGE_INVALID.
 */
export class ByteWriter {
  #memory = scratch
  #length = 0

  u8(value: number): this {
    return this.#uint(value, 1)
  }

  u16(value: number): this {
    return this.#uint(value, 2)
  }

  u32(value: number): this {
    return this.#uint(value, 4)
  }

  /** Eight bytes, up to 2^53-1. */
  u64(value: number): this {
    return this.#uint(value, 8)
  }

  bytes(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#memory.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  /** 16 bytes. */
  uuid(id: Uint8Array): this {
    if (id.length === UUID_BYTES) return this.bytes(id)
    throw new LinkSocksError('ERR_MESSAGE_INVALID', `an id has ${UUID_BYTES} bytes, not ${id.length}`)
  }

  /** Len(1) and at most 255 bytes of UTF-8, cut at a character boundary (A.3). */
  str8(text: string): this {
    this.#reserve(1 + MAX_STR8_BYTES)
    const start = this.#length + 1
    const { written } = encoder.encodeInto(text, this.#memory.subarray(start, start + MAX_STR8_BYTES))
    this.#memory[this.#length] = written
    this.#length = start + written
    return this
  }

  /** A copy of everything that was written. */
  done(): Uint8Array {
    return this.#memory.slice(0, this.#length)
  }

  #uint(value: number, width: keyof typeof BELOW): this {
    if (!Number.isSafeInteger(value) || value < 0 || value >= BELOW[width]) {
      throw new LinkSocksError('ERR_MESSAGE_INVALID', `${value} does not fit in ${width} bytes`)
    }
    this.#reserve(width)
    let rest = value
    for (let at = this.#length + width - 1; at >= this.#length; at--) {
      this.#memory[at] = rest % 256
      rest = Math.floor(rest / 256)
    }
    this.#length += width
    return this
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#memory.length) return
    const grown = new Uint8Array(Math.max(needed, 2 * this.#memory.length))
    grown.set(this.#memory.subarray(0, this.#length))
    this.#memory = grown
    if (grown.length <= SCRATCH_BYTES) scratch = grown
  }
}
