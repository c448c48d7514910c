import { randomFillSync } from 'node:crypto'
import type { Socket } from 'node:net'
import { KIB } from '../../protocol/limits.js'
import { blockPool } from '../net/block-pool.js'
import { MASK_BLOCK_BYTES, maskMemory } from '../net/mask-memory.js'
import { FIN, LENGTH_16, LENGTH_64, MASKED, MAX_FRAME_HEADER_BYTES, MAX_LENGTH_16 } from './frame-format.js'
import { KEY_BYTES, maskBehindKey } from './frame-mask.js'

/** Frames below this are copied together and leave in one write at the end of the event loop's turn. */
const SMALL_BYTES = 4 * KIB
/** Room for small frames; when it is full they leave at once. */
const BATCH_BYTES = 16 * KIB
/** Masking keys taken from the CSPRNG at a time: each frame has a fresh one that nobody can predict (RFC 6455 section 5.3). */
const KEYS = 1_024

const keys = new Uint8Array(KEYS * KEY_BYTES)
let nextKey = KEYS

/** Writes a key nobody has seen. @returns where it ends */
function putFreshKey(into: Uint8Array, at: number): number {
  if (nextKey === KEYS) {
    randomFillSync(keys)
    nextKey = 0
  }
  const from = nextKey * KEY_BYTES
  nextKey += 1
  for (let i = 0; i < KEY_BYTES; i += 1) into[at + i] = keys[from + i] as number
  return at + KEY_BYTES
}

function putZeroKey(into: Uint8Array, at: number): number {
  into.fill(0, at, at + KEY_BYTES)
  return at + KEY_BYTES
}

/** How frames are written, which follows from what is below. */
export interface FrameStyle {
  /** As the frames of a client must be. */
  readonly masked: boolean
  /** The masking key is zero, and masking changes nothing: for a TLS connection that both ends share (docs/protocol.md B.5). @default false */
  readonly zeroKey?: boolean | undefined
  /** Each frame is one piece of memory: TLS would copy the pieces of several into new memory. @default false */
  readonly joined?: boolean | undefined
}

/** Writes WebSocket frames to a socket (RFC 6455 section 5.2), each unfragmented. */
export class FrameWriter {
  readonly #socket: Socket
  readonly #masked: boolean
  readonly #zeroKey: boolean
  /** Large frames are put together, not written as they lie. */
  readonly #copies: boolean
  readonly #left: (bytes: number) => void
  #batch = Buffer.alloc(0)
  #batched = 0
  #flushing: NodeJS.Immediate | undefined
  /** What the frames of the batch tell when it has left: they came behind a large one that had not. */
  #untold: (() => void)[] = []
  /** How many `sent` are still to be called. */
  #telling = 0
  /** What `skip()` was given meanwhile. */
  #skipped: (() => void)[] = []
  #bufferedAmount = 0

  /** @param left called when bytes have left, or the socket has failed */
  constructor(socket: Socket, { masked, zeroKey = false, joined = false }: FrameStyle, left: () => void) {
    this.#socket = socket
    this.#masked = masked
    this.#zeroKey = zeroKey
    this.#copies = joined || (masked && !zeroKey)
    this.#left = (bytes) => {
      this.#bufferedAmount -= bytes
      left()
    }
  }

  /** Bytes of frames that have not left. */
  get bufferedAmount(): number {
    return this.#bufferedAmount
  }

  /**
   * Writes one frame whose payload is `parts`. They stay unchanged until `sent` is called, possibly before this returns. It is
   * called in the order of the frames: whoever counts bytes by it knows which ones have left.
   */
  frame(opcode: number, parts: readonly Uint8Array[], sent?: () => void): void {
    const payloadBytes = parts.reduce((sum, part) => sum + part.byteLength, 0)
    if (payloadBytes + MAX_FRAME_HEADER_BYTES <= SMALL_BYTES) this.#small(opcode, parts, payloadBytes, sent)
    else if (this.#copies) this.#copied(opcode, parts, payloadBytes, sent)
    else this.#direct(opcode, parts, payloadBytes, sent)
  }

  /** For a frame that is not written any more, nor any behind it: `sent` is called in its turn. */
  skip(sent: () => void): void {
    if (this.#telling === 0) sent()
    else this.#skipped.push(sent)
  }

  /** Lets everything written so far leave. */
  flush(): void {
    clearImmediate(this.#flushing)
    this.#flushing = undefined
    if (this.#batched === 0) return
    const bytes = this.#batched
    const batch = this.#batch.subarray(0, bytes)
    // what is left of the memory is used on; the part given away is the socket's until it has left
    this.#batch = this.#batch.subarray(bytes)
    this.#batched = 0
    const untold = this.#untold
    this.#untold = []
    this.#socket.write(batch, () => {
      for (const sent of untold) this.#tell(sent)
      this.#left(bytes)
    })
  }

  #small(opcode: number, parts: readonly Uint8Array[], payloadBytes: number, sent: (() => void) | undefined): void {
    const frameBytes = payloadBytes + MAX_FRAME_HEADER_BYTES
    if (this.#batch.byteLength - this.#batched < frameBytes) {
      this.flush()
      this.#batch = Buffer.allocUnsafeSlow(BATCH_BYTES)
    }
    const from = this.#batched
    this.#batched = this.#put(this.#batch, from, opcode, parts, payloadBytes)
    this.#bufferedAmount += this.#batched - from
    this.#flushing ??= setImmediate(() => this.flush())
    if (this.#telling === 0) return sent?.()
    if (sent !== undefined) this.#untold.push(this.#awaited(sent))
  }

  #copied(opcode: number, parts: readonly Uint8Array[], payloadBytes: number, sent: (() => void) | undefined): void {
    this.flush()
    const frameBytes = payloadBytes + MAX_FRAME_HEADER_BYTES
    const fast = frameBytes <= MASK_BLOCK_BYTES ? maskMemory().take() : undefined
    const block = fast ?? blockPool.take(frameBytes)
    const buffer = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
    const bytes = this.#put(buffer, 0, opcode, parts, payloadBytes)
    this.#bufferedAmount += bytes
    this.#socket.write(buffer.subarray(0, bytes), () => {
      if (fast === undefined) blockPool.give(block)
      else maskMemory().give(fast)
      this.#left(bytes)
    })
    sent?.()
  }

  #direct(opcode: number, parts: readonly Uint8Array[], payloadBytes: number, sent: () => void = () => {}): void {
    this.flush()
    const [first = new Uint8Array(0), ...rest] = parts
    const inHeader = first.byteLength <= SMALL_BYTES
    const header = Buffer.allocUnsafe(MAX_FRAME_HEADER_BYTES + (inHeader ? first.byteLength : 0))
    let headerBytes = this.#putHeader(header, 0, opcode, payloadBytes)
    const bytes = headerBytes + payloadBytes
    if (inHeader) {
      header.set(first, headerBytes)
      headerBytes += first.byteLength
    }
    const pieces = [header.subarray(0, headerBytes), ...(inHeader ? rest : parts)]
    this.#bufferedAmount += bytes
    const awaited = this.#awaited(sent)
    const done = (): void => {
      this.#tell(awaited)
      this.#left(bytes)
    }
    this.#socket.cork()
    pieces.forEach((piece, i) => {
      if (i === pieces.length - 1) this.#socket.write(piece, done)
      else this.#socket.write(piece)
    })
    this.#socket.uncork()
  }

  #awaited(sent: () => void): () => void {
    this.#telling += 1
    return sent
  }

  #tell(sent: () => void): void {
    sent()
    // only now: what is sent from within comes behind
    this.#telling -= 1
    if (this.#telling === 0) for (const skipped of this.#skipped.splice(0)) skipped()
  }

  #put(into: Buffer, from: number, opcode: number, parts: readonly Uint8Array[], payloadBytes: number): number {
    const start = this.#putHeader(into, from, opcode, payloadBytes)
    let at = start
    for (const part of parts) {
      into.set(part, at)
      at += part.byteLength
    }
    if (this.#masked && !this.#zeroKey) maskBehindKey(into, start, at)
    return at
  }

  #putHeader(into: Buffer, from: number, opcode: number, payloadBytes: number): number {
    const mask = this.#masked ? MASKED : 0
    let at = from
    into[at++] = FIN | opcode
    if (payloadBytes < LENGTH_16) into[at++] = mask | payloadBytes
    else if (payloadBytes <= MAX_LENGTH_16) {
      into[at++] = mask | LENGTH_16
      at = into.writeUInt16BE(payloadBytes, at)
    } else {
      into[at++] = mask | LENGTH_64
      at = into.writeUInt32BE(Math.floor(payloadBytes / 2 ** 32), at)
      at = into.writeUInt32BE(payloadBytes % 2 ** 32, at)
    }
    if (!this.#masked) return at
    return this.#zeroKey ? putZeroKey(into, at) : putFreshKey(into, at)
  }
}
