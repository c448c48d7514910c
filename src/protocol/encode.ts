import { LinkSocksError } from '../errors.js'
import type { Target } from '../ports.js'
import { concat, str8, u8, u16, u32, uuid } from './bytes.js'
import { MAX_JSON_BYTES } from './limits.js'
import type {
  AuthMessage,
  AuthResponseMessage,
  ConnectMessage,
  ConnectorMessage,
  ConnectorResponseMessage,
  ConnectResponseMessage,
  DataMessage,
  DirectMessage,
  DisconnectMessage,
  LogMessage,
  PartnersMessage,
} from './message-types.js'
import { ChannelProtocol, Compression, MessageType, PROTOCOL_VERSION } from './message-types.js'
import { encodeUtf8 } from './text.js'
import type { Trailer } from './trailer.js'
import { encodeTrailer } from './trailer.js'

/*
 * Encoders of A.3. Texts longer than 255 bytes are cut at a character boundary: whoever names a host or a token checks
 * its length before. Numbers that don't fit and ids that are not 16 bytes are mistakes of the caller and throw
 * ERR_MESSAGE_INVALID.
 */

/** Bytes of a tcp Data message before its payload: Version Type Protocol ChannelID(16) Compression DataLen(4). */
export const DATA_HEAD_BYTES = 24

const NOTHING = new Uint8Array(0)
const NOWHERE: Target = { host: '', port: 0 }

export function encodeAuth(fields: Omit<AuthMessage, 'type'>): Uint8Array {
  const { token, reverse, instance, trailer } = fields
  return concat(header(MessageType.Auth), str8(token), flag(reverse), uuid(instance), optionalTrailer(trailer))
}

/** A failure always carries its error text; on success a trailer is preceded by a Str8, empty if there is no token. */
export function encodeAuthResponse(fields: Omit<AuthResponseMessage, 'type'>): Uint8Array {
  const { success, error, token, trailer } = fields
  const head = concat(header(MessageType.AuthResponse), flag(success))
  if (!success) return concat(head, str8(error ?? ''))
  if (!token && trailer === undefined) return head
  return concat(head, str8(token ?? ''), optionalTrailer(trailer))
}

/** `target` is written with tcp only, where it is needed. @throws {LinkSocksError} ERR_MESSAGE_INVALID */
export function encodeConnect(fields: Omit<ConnectMessage, 'type'>): Uint8Array {
  const { protocol, channelId, target, resume, trailer } = fields
  const head = concat(header(MessageType.Connect), u8(protocol), uuid(channelId))
  // a trailer is preceded by the Resume byte, which deployed programs since 1.10 read there
  const tail = resume || trailer !== undefined ? concat(flag(resume === true), optionalTrailer(trailer)) : NOTHING
  if (protocol !== ChannelProtocol.Tcp) return concat(head, tail)
  if (target === undefined) throw new LinkSocksError('ERR_MESSAGE_INVALID', 'Connect over tcp needs a target')
  return concat(head, address(target), tail)
}

/** A failure always carries its error text. */
export function encodeConnectResponse(fields: Omit<ConnectResponseMessage, 'type'>): Uint8Array {
  const { success, channelId, error, trailer } = fields
  const head = concat(header(MessageType.ConnectResponse), flag(success), uuid(channelId))
  return concat(head, success ? NOTHING : str8(error ?? ''), optionalTrailer(trailer))
}

export function encodeDisconnect(fields: Omit<DisconnectMessage, 'type'>): Uint8Array {
  const { channelId, error } = fields
  return concat(header(MessageType.Disconnect), uuid(channelId), error === undefined ? NOTHING : str8(error))
}

export function encodeConnector(fields: Omit<ConnectorMessage, 'type'>): Uint8Array {
  const { requestId, token, operation } = fields
  return concat(header(MessageType.Connector), uuid(requestId), str8(token), u8(operation))
}

/** A failure always carries its error text. */
export function encodeConnectorResponse(fields: Omit<ConnectorResponseMessage, 'type'>): Uint8Array {
  const { requestId, success, error, token } = fields
  const head = concat(header(MessageType.ConnectorResponse), uuid(requestId), flag(success))
  if (!success) return concat(head, str8(error ?? ''))
  return token === undefined ? head : concat(head, str8(token))
}

/** @throws {LinkSocksError} ERR_MESSAGE_TOO_LARGE when the JSON has more than 64 KiB */
export function encodeLog(fields: Omit<LogMessage, 'type'>): Uint8Array {
  return concat(header(MessageType.Log), json({ level: fields.level, msg: fields.message }))
}

export function encodePartners(fields: Omit<PartnersMessage, 'type'>): Uint8Array {
  return concat(header(MessageType.Partners), json({ count: fields.count }))
}

/** DirectCapabilities, DirectRendezvous or DirectStatus; `data` is JSON already. */
export function encodeDirect({ type, data }: DirectMessage): Uint8Array {
  return concat(header(type), u32(data.length), data)
}

/** The first {@link DATA_HEAD_BYTES} bytes of a tcp Data message; `dataLength` bytes of payload follow. */
export function encodeDataHead(
  channelId: Uint8Array,
  dataLength: number,
  compression: number = Compression.None,
): Uint8Array {
  const head = new Uint8Array(DATA_HEAD_BYTES)
  head[0] = PROTOCOL_VERSION
  head[1] = MessageType.Data
  head[2] = ChannelProtocol.Tcp
  head.set(uuid(channelId), 3)
  head[19] = compression
  head.set(u32(dataLength), 20)
  return head
}

/** What a datagram carries; an absent address is written as the empty host and port 0 (A.4). */
export type DatagramFields = Pick<DataMessage, 'channelId' | 'data' | 'source' | 'target'>

/** A whole udp Data message. */
export function encodeDatagram(fields: DatagramFields): Uint8Array {
  const { channelId, data, source = NOWHERE, target = NOWHERE } = fields
  const head = encodeDataHead(channelId, data.length)
  head[2] = ChannelProtocol.Udp
  return concat(head, data, address(source), address(target))
}

function header(type: number): Uint8Array {
  return Uint8Array.of(PROTOCOL_VERSION, type)
}

function flag(value: boolean): Uint8Array {
  return u8(value ? 1 : 0)
}

function address(target: Target): Uint8Array {
  return concat(str8(target.host), u16(target.port))
}

function optionalTrailer(trailer: Trailer | undefined): Uint8Array {
  return trailer === undefined ? NOTHING : encodeTrailer(trailer)
}

function json(value: unknown): Uint8Array {
  const bytes = encodeUtf8(JSON.stringify(value))
  if (bytes.length > MAX_JSON_BYTES) {
    throw new LinkSocksError(
      'ERR_MESSAGE_TOO_LARGE',
      `JSON of ${bytes.length} bytes, at most ${MAX_JSON_BYTES} are sent`,
    )
  }
  return concat(u32(bytes.length), bytes)
}
