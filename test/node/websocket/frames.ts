import { FrameViolation } from '../../../src/node/websocket/frame-format.js'
import { type FrameEvents, FrameReader } from '../../../src/node/websocket/frame-reader.js'

/** One frame, each field as it stands on the wire, right or wrong (RFC 6455 section 5.2). */
export interface FrameFields {
  readonly opcode: number
  readonly payload?: Uint8Array | string
  /** @default true */
  readonly fin?: boolean
  /** RSV1 to RSV3 as they lie in the first byte. @default 0 */
  readonly reserved?: number
  /** Masks with this key. @default no mask */
  readonly key?: Uint8Array | undefined
  /** Bytes the length is written in: 1, 2 or 8. @default the shortest */
  readonly lengthBytes?: 1 | 2 | 8
  /** What the length says. @default the truth */
  readonly announced?: number | bigint
}

export const KEY: Uint8Array = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d)

const bytesOf = (payload: Uint8Array | string): Uint8Array => Buffer.from(payload as string)

/** Slow and obvious, as section 5.3 writes it. */
export function masked(bytes: Uint8Array, key: Uint8Array, at = 0): Uint8Array {
  const result = new Uint8Array(bytes.byteLength)
  for (let i = 0; i < result.length; i += 1) result[i] = (bytes[i] as number) ^ (key[(at + i) % 4] as number)
  return result
}

export function frame(fields: FrameFields): Buffer {
  const { opcode, fin = true, reserved = 0, key } = fields
  const payload = bytesOf(fields.payload ?? '')
  const announced = BigInt(fields.announced ?? payload.byteLength)
  const lengthBytes = fields.lengthBytes ?? (announced < 126n ? 1 : announced < 65_536n ? 2 : 8)
  const length = Buffer.alloc(1 + (lengthBytes === 1 ? 0 : lengthBytes))
  length[0] = (key === undefined ? 0 : 0x80) | (lengthBytes === 1 ? Number(announced) : lengthBytes === 2 ? 126 : 127)
  if (lengthBytes === 2) length.writeUInt16BE(Number(announced), 1)
  if (lengthBytes === 8) length.writeBigUInt64BE(announced, 1)
  const first = Buffer.of((fin ? 0x80 : 0) | reserved | opcode)
  return Buffer.concat([first, length, key ?? Buffer.alloc(0), key === undefined ? payload : masked(payload, key)])
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: Uint8Array | string = ''): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code & 0xff), bytesOf(reason)])
}

/** What a reader told, as text: `message`, `ping` and the bytes in hex, `close` with code and reason. */
export interface Reading {
  readonly told: readonly string[]
  /** Status code of the violation that ended it. */
  readonly status: number | undefined
}

export interface ReadOptions {
  /** @default false */
  readonly masked?: boolean
  /** Called with each event as it is told. */
  readonly onEvent?: (reader: FrameReader) => void
}

/** Reads `chunks` one after the other, up to a violation. @throws what is none */
export function read(chunks: readonly Uint8Array[], { masked: isMasked = false, onEvent }: ReadOptions = {}): Reading {
  const told: string[] = []
  const tell = (text: string): void => {
    told.push(text)
    onEvent?.(reader)
  }
  const events: FrameEvents = {
    message: (data) => tell(`message ${hex(data)}`),
    ping: (payload) => tell(`ping ${hex(payload)}`),
    close: (code, reason) => tell(`close ${code} ${reason}`),
  }
  const reader = new FrameReader(isMasked, events)
  for (const chunk of chunks) {
    const before = Buffer.from(chunk)
    const status = violationIn(() => reader.push(chunk))
    if (!before.equals(chunk)) throw new Error('push() changed what it was given')
    if (status !== undefined) return { told, status }
  }
  return { told, status: undefined }
}

/** The status code of the violation that `action` throws. @throws what is none */
function violationIn(action: () => void): number | undefined {
  try {
    action()
    return undefined
  } catch (thrown) {
    if (thrown instanceof FrameViolation) return thrown.status
    throw thrown
  }
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** `bytes` cut before each of `at`. */
export function cutAt(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const edges = [0, ...[...at].sort((a, b) => a - b), bytes.byteLength]
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge))
}

/** `bytes` in pieces of `size`. */
export function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.byteLength / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}
