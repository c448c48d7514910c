import { isUtf8 } from 'node:buffer'
import { MAX_MESSAGE_BYTES } from '../../protocol/limits.js'
import { maskMemory } from '../net/mask-memory.js'
import {
  CloseCode,
  FIN,
  FrameViolation,
  isCloseCode,
  LENGTH_16,
  LENGTH_64,
  MASKED,
  MAX_CONTROL_BYTES,
  MAX_FRAME_HEADER_BYTES,
  MAX_LENGTH_16,
  Opcode,
} from './frame-format.js'
import { applyMask, KEY_BYTES } from './frame-mask.js'
import { MessageBuffer } from './message-buffer.js'

/** Fragments one message may come in; a message of 32 MiB in frames of 4 KiB has 8,192. */
export const MAX_FRAGMENTS = 16_384

export interface FrameEvents {
  /** A whole binary or text message. */
  message(data: Uint8Array): void
  ping(payload: Uint8Array): void
  pong?(payload: Uint8Array): void
  /** A close frame; nothing follows. `code` is 1005 when it held none. */
  close(code: number, reason: string): void
}

/**
 * Reads WebSocket frames from the bytes of a connection, however they are cut (RFC 6455 section 5). Limits are judged by a
 * frame's header, before its payload is there; memory is taken as the payload comes.
 */
export class FrameReader {
  readonly #masked: boolean
  readonly #events: FrameEvents
  readonly #header = new Uint8Array(MAX_FRAME_HEADER_BYTES)
  #headerBytes = 0
  #inPayload = false
  #opcode = 0
  #final = false
  /** Payload bytes of this frame that were read, and that are still to come. */
  #read = 0
  #left = 0
  readonly #key = new Uint8Array(KEY_BYTES)
  /** Whether the payload has to be unmasked: a key of zeros changes nothing. */
  #unmasks = false
  readonly #control = new Uint8Array(MAX_CONTROL_BYTES)
  readonly #buffer = new MessageBuffer()
  /** The message under way: its opcode, bytes and fragments. */
  #message: number | undefined
  #messageBytes = 0
  #fragments = 0
  #over = false

  /** @param masked what the peer's frames must be: those of a client are masked, those of a server are not (5.1) */
  constructor(masked: boolean, events: FrameEvents) {
    this.#masked = masked
    this.#events = events
  }

  /**
   * Reads on. `chunk` is not kept; what of it lies in the memory for masking is changed.
   * @throws {FrameViolation} what is pushed after that is ignored
   */
  push(chunk: Uint8Array): void {
    let at = 0
    try {
      while (at < chunk.byteLength && !this.#over)
        at = this.#inPayload ? this.#payload(chunk, at) : this.#head(chunk, at)
    } catch (thrown) {
      this.#over = true
      throw thrown
    }
  }

  /** Reads no more; for use from within an event. */
  stop(): void {
    this.#over = true
  }

  #head(chunk: Uint8Array, from: number): number {
    let at = from
    let needed = this.#headerNeeded()
    while (at < chunk.byteLength && this.#headerBytes < needed) {
      this.#header[this.#headerBytes] = chunk[at] as number
      this.#headerBytes += 1
      at += 1
      // known once the second byte is there
      if (this.#headerBytes === 2) needed = this.#headerNeeded()
    }
    if (this.#headerBytes === needed) this.#beginFrame()
    return at
  }

  #headerNeeded(): number {
    if (this.#headerBytes < 2) return 2
    const second = this.#header[1] as number
    const length = second & 0x7f
    const extended = length === LENGTH_64 ? 8 : length === LENGTH_16 ? 2 : 0
    return 2 + extended + (second & MASKED ? KEY_BYTES : 0)
  }

  #beginFrame(): void {
    const first = this.#header[0] as number
    const second = this.#header[1] as number
    this.#opcode = first & 0x0f
    this.#final = (first & FIN) !== 0
    this.#left = this.#payloadLength()
    this.#read = 0
    if ((first & 0x70) !== 0) throw FrameViolation.protocol('reserved bits are set, and no extension was agreed on')
    if (((second & MASKED) !== 0) !== this.#masked) {
      throw FrameViolation.protocol(this.#masked ? 'a frame without a mask' : 'a masked frame from a server')
    }
    if (this.#masked) this.#takeKey()
    if (this.#opcode >= Opcode.Close) this.#beginControl()
    else this.#beginData()
    this.#headerBytes = 0
    this.#inPayload = true
    if (this.#left === 0) this.#endFrame()
  }

  #takeKey(): void {
    this.#key.set(this.#header.subarray(this.#headerBytes - KEY_BYTES, this.#headerBytes))
    this.#unmasks = this.#key.some((byte) => byte !== 0)
  }

  /** Lengths must be written in the shortest form (5.2). */
  #payloadLength(): number {
    const header = this.#header
    const short = (header[1] as number) & 0x7f
    if (short < LENGTH_16) return short
    const view = new DataView(header.buffer)
    if (short === LENGTH_16) {
      const length = view.getUint16(2)
      if (length < LENGTH_16) throw FrameViolation.protocol('a length that is not in its shortest form')
      return length
    }
    const length = view.getUint32(2) * 2 ** 32 + view.getUint32(6)
    if (length <= MAX_LENGTH_16) throw FrameViolation.protocol('a length that is not in its shortest form')
    return length
  }

  #beginControl(): void {
    if (this.#opcode > Opcode.Pong) throw FrameViolation.protocol(`unknown opcode ${this.#opcode}`)
    if (!this.#final) throw FrameViolation.protocol('a control frame in fragments')
    if (this.#left > MAX_CONTROL_BYTES) throw FrameViolation.protocol('a control frame of more than 125 bytes')
  }

  #beginData(): void {
    const continues = this.#opcode === Opcode.Continuation
    if (this.#opcode > Opcode.Binary) throw FrameViolation.protocol(`unknown opcode ${this.#opcode}`)
    if (continues && this.#message === undefined) throw FrameViolation.protocol('a continuation of nothing')
    if (!continues && this.#message !== undefined) throw FrameViolation.protocol('a message within another')
    if (!continues) this.#message = this.#opcode
    this.#fragments += 1
    this.#messageBytes += this.#left
    if (this.#messageBytes > MAX_MESSAGE_BYTES) throw FrameViolation.tooBig()
    if (this.#fragments > MAX_FRAGMENTS) {
      throw new FrameViolation(CloseCode.PolicyViolation, `a message in more than ${MAX_FRAGMENTS} fragments`)
    }
  }

  #payload(chunk: Uint8Array, from: number): number {
    const part = chunk.subarray(from, from + this.#left)
    const bytes = part.byteLength
    this.#left -= bytes
    // masked where that is fast: before it is copied, or behind
    const early = this.#unmasks && maskMemory().holds(part)
    if (early) applyMask(part, this.#key, this.#read)
    const kept = this.#opcode >= Opcode.Close ? this.#keepControl(part) : this.#buffer.append(part, this.#expected())
    if (this.#unmasks && !early) applyMask(kept, this.#key, this.#read)
    this.#read += bytes
    if (this.#left === 0) this.#endFrame()
    return from + bytes
  }

  /** Payload bytes that are still to come. A message in fragments is taken to be half there: each one grown for would be copied anew. */
  #expected(): number {
    return this.#final ? this.#left : this.#left + this.#messageBytes
  }

  #keepControl(part: Uint8Array): Uint8Array {
    this.#control.set(part, this.#read)
    return this.#control.subarray(this.#read, this.#read + part.byteLength)
  }

  #endFrame(): void {
    this.#inPayload = false
    if (this.#opcode >= Opcode.Close) this.#endControl(this.#control.slice(0, this.#read))
    else if (this.#final) this.#endMessage()
  }

  #endMessage(): void {
    const text = this.#message === Opcode.Text
    this.#message = undefined
    this.#messageBytes = 0
    this.#fragments = 0
    const data = this.#buffer.take()
    if (text && !isUtf8(data)) throw new FrameViolation(CloseCode.InvalidPayload, 'text that is not UTF-8')
    this.#events.message(data)
  }

  #endControl(payload: Uint8Array): void {
    if (this.#opcode === Opcode.Ping) this.#events.ping(payload)
    else if (this.#opcode === Opcode.Pong) this.#events.pong?.(payload)
    else if (this.#opcode === Opcode.Close) this.#endAll(payload)
  }

  #endAll(payload: Uint8Array): void {
    this.#over = true
    if (payload.byteLength === 0) return this.#events.close(CloseCode.NoStatus, '')
    const code = payload.byteLength === 1 ? 0 : new DataView(payload.buffer).getUint16(0)
    if (!isCloseCode(code)) throw FrameViolation.protocol('a close frame without a valid status code')
    const reason = payload.subarray(2)
    if (!isUtf8(reason)) throw new FrameViolation(CloseCode.InvalidPayload, 'a close reason that is not UTF-8')
    this.#events.close(code, Buffer.from(reason).toString())
  }
}
