import { ByteReader, ByteWriter } from './bytes.js'
import { UUID_BYTES } from './uuid.js'

/** What a trailer says (B.1). An empty one still tells that its sender knows the extensions. */
export interface Trailer {
  /** Stream control v1: bytes of initial credit granted to the other side (tag 0x01). */
  readonly streamControl?: number | undefined
  /** SOCKS5 REP of the failure (tag 0x02). */
  readonly rep?: number | undefined
  /** Resumable session id, 16 bytes, a secret; nil in Auth asks for one (tag 0x10). */
  readonly sessionId?: Uint8Array | undefined
  /** Session messages that its sender has received: the session goes on behind them (tag 0x12). */
  readonly received?: number | undefined
  /** Its sender knows policies of tokens (B.4; tag 0x13). */
  readonly knowsPolicies?: boolean | undefined
  /** Policies that hold for a channel, by the numbers that the relay gave them: all must allow (tag 0x14). */
  readonly policies?: readonly number[] | undefined
  /** This relay keeps order and early Data, so fast open is safe (tag 0x11). */
  readonly keepsOrder?: boolean | undefined
}

/** Bytes of the number of a policy. */
const REF_BYTES = 4
const MAGIC = Uint8Array.of(0x4c, 0x58)
const Tag = {
  StreamControl: 0x01,
  Rep: 0x02,
  SessionId: 0x10,
  KeepsOrder: 0x11,
  Received: 0x12,
  KnowsPolicies: 0x13,
  Policies: 0x14,
} as const

/** `4C 58`, then Tag(1) Len(1) Value(Len) for each field that is set, tags ascending. */
export function writeTrailer(out: ByteWriter, trailer: Trailer): ByteWriter {
  out.bytes(MAGIC)
  if (trailer.streamControl !== undefined) out.u8(Tag.StreamControl).u8(4).u32(trailer.streamControl)
  if (trailer.rep !== undefined) out.u8(Tag.Rep).u8(1).u8(trailer.rep)
  if (trailer.sessionId !== undefined) out.u8(Tag.SessionId).u8(UUID_BYTES).uuid(trailer.sessionId)
  if (trailer.keepsOrder === true) out.u8(Tag.KeepsOrder).u8(0)
  if (trailer.received !== undefined) out.u8(Tag.Received).u8(8).u64(trailer.received)
  if (trailer.knowsPolicies === true) out.u8(Tag.KnowsPolicies).u8(0)
  if (trailer.policies !== undefined) writePolicies(out, trailer.policies)
  return out
}

function writePolicies(out: ByteWriter, policies: readonly number[]): void {
  out.u8(Tag.Policies).u8(REF_BYTES * policies.length)
  for (const ref of policies) out.u32(ref)
}

/**
 * The trailer that begins at `offset` with other policies than it may name; all other entries stay as they are, known or not.
 * @param buf with a trailer that can be decoded, or none
 * @param offset where the trailer begins, or the end of the message
 */
export function withPolicies(buf: Uint8Array, offset: number, policies: readonly number[]): Uint8Array {
  const out = new ByteWriter()
  if (startsTrailer(buf, offset) || policies.length > 0) out.bytes(MAGIC)
  for (let at = offset + MAGIC.length; startsTrailer(buf, offset) && at < buf.length; ) {
    const end = at + 2 + (buf[at + 1] ?? 0)
    if (buf[at] !== Tag.Policies) out.bytes(buf.subarray(at, end))
    at = end
  }
  if (policies.length > 0) writePolicies(out, policies)
  return out.done()
}

/** Whether a trailer begins at `offset`, broken or not. */
export function startsTrailer(buf: Uint8Array, offset: number): boolean {
  return buf[offset] === MAGIC[0] && buf[offset + 1] === MAGIC[1]
}

/**
 * Reads the trailer that begins at `offset` and takes the rest of the message. Unknown tags are skipped, of a repeated
 * tag the last counts.
 * @returns `undefined` when there is none, or a known tag has a wrong length, or it is cut. Never throws.
 */
export function decodeTrailer(buf: Uint8Array, offset: number): Trailer | undefined {
  if (!startsTrailer(buf, offset)) return undefined
  let trailer: Trailer = {}
  let at = offset + MAGIC.length
  while (at < buf.length) {
    const length = buf[at + 1]
    if (length === undefined || at + 2 + length > buf.length) return undefined
    const read = withEntry(trailer, buf[at] ?? 0, buf.subarray(at + 2, at + 2 + length))
    if (read === undefined) return undefined
    trailer = read
    at += 2 + length
  }
  return trailer
}

function withEntry(trailer: Trailer, tag: number, value: Uint8Array): Trailer | undefined {
  switch (tag) {
    case Tag.StreamControl:
      return value.length === 4 ? { ...trailer, streamControl: new ByteReader(value).u32() } : undefined
    case Tag.Rep:
      return value.length === 1 ? { ...trailer, rep: value[0] } : undefined
    case Tag.SessionId:
      return value.length === UUID_BYTES ? { ...trailer, sessionId: new Uint8Array(value) } : undefined
    case Tag.KeepsOrder:
      return value.length === 0 ? { ...trailer, keepsOrder: true } : undefined
    case Tag.KnowsPolicies:
      return value.length === 0 ? { ...trailer, knowsPolicies: true } : undefined
    case Tag.Policies:
      return withRefs(trailer, value)
    case Tag.Received:
      return value.length === 8 ? withReceived(trailer, new ByteReader(value).u64()) : undefined
    default:
      return trailer
  }
}

function withRefs(trailer: Trailer, value: Uint8Array): Trailer | undefined {
  if (value.length === 0 || value.length % REF_BYTES !== 0) return undefined
  const reader = new ByteReader(value)
  return { ...trailer, policies: Array.from({ length: value.length / REF_BYTES }, () => reader.u32()) }
}

/** A count that no session reaches makes the trailer a broken one. */
function withReceived(trailer: Trailer, received: number): Trailer | undefined {
  return Number.isSafeInteger(received) ? { ...trailer, received } : undefined
}
