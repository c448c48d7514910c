import { LinkSocksError } from '../errors.js'
import { DATA_HEAD_BYTES } from './encode.js'
import { MAX_STR8_BYTES } from './limits.js'
import { ChannelProtocol, MessageType } from './message-types.js'
import { encodeUtf8 } from './text.js'
import { startsTrailer, withPolicies } from './trailer.js'
import { UUID_BYTES } from './uuid.js'

/** Version Type Protocol ChannelID(16), before the address of a tcp Connect. */
const CONNECT_HEAD_BYTES = 3 + UUID_BYTES
/** The port behind a host. */
const PORT_BYTES = 2

/**
 * A tcp Connect or a udp Data message with another target host; all other bytes stay as they are, known or not.
 * @param raw one that was decoded
 * @throws {LinkSocksError} ERR_MESSAGE_INVALID: another message, or a host of more than 255 bytes
 */
export function readdressed(raw: Uint8Array, host: string): Uint8Array {
  const at = hostOffset(raw)
  const text = encodeUtf8(host)
  if (at === undefined || text.byteLength > MAX_STR8_BYTES) {
    throw new LinkSocksError('ERR_MESSAGE_INVALID', 'a message without a target, or a host that is too long')
  }
  const rest = raw.subarray(afterStr8(raw, at))
  const out = new Uint8Array(at + 1 + text.byteLength + rest.byteLength)
  out.set(raw.subarray(0, at))
  out[at] = text.byteLength
  out.set(text, at + 1)
  out.set(rest, at + 1 + text.byteLength)
  return out
}

/**
 * A Connect whose trailer names these policies and no others; all other bytes stay as they are, known or not.
 * @param raw one that was decoded
 * @param intact whether its trailer was; a broken one counts as none (B.1), and would take the policies along
 */
export function withPolicyRefs(raw: Uint8Array, policies: readonly number[], intact: boolean): Uint8Array {
  const end = raw[2] === ChannelProtocol.Tcp ? afterStr8(raw, CONNECT_HEAD_BYTES) + PORT_BYTES : CONNECT_HEAD_BYTES
  // early builds of ours wrote no Resume byte before the trailer
  const at = startsTrailer(raw, end) ? end : end + 1
  const trailer = withPolicies(intact ? raw : raw.subarray(0, at), at, policies)
  const out = new Uint8Array(at + trailer.byteLength)
  out.set(raw.subarray(0, Math.min(at, raw.byteLength)))
  out.set(trailer, at)
  return out
}

function hostOffset(raw: Uint8Array): number | undefined {
  if (raw[1] === MessageType.Connect) return CONNECT_HEAD_BYTES
  if (raw[1] !== MessageType.Data) return undefined
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  const source = DATA_HEAD_BYTES + view.getUint32(DATA_HEAD_BYTES - 4)
  return afterStr8(raw, source) + PORT_BYTES
}

function afterStr8(raw: Uint8Array, at: number): number {
  return at + 1 + (raw[at] ?? 0)
}
