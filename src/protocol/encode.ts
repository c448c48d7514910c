import { LinkSocksError } from '../errors.js'
import type { Target } from '../ports.js'
import { ByteWriter } from './bytes.js'
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
import { writeTrailer } from './trailer.js'
import { UUID_BYTES } from './uuid.js'

/*
 * Encoders of A.3. Texts longer than 255 bytes are cut at a character boundary: whoever names a host or a token checks
 * its length before. Numbers that don't fit and ids that are not 16 bytes are mistakes of the caller and throw
 * ERR_MESSAGE_INVALID.
 */

/** Bytes of a tcp Data message before its payload: Version Type Protocol ChannelID(16) Compression DataLen(4). */
export const DATA_HEAD_BYTES = 24

const NOWHERE: Target = { host: '', port: 0 }

export function encodeAuth(fields: Omit<AuthMessage, 'type'>): Uint8Array {
  const { token, reverse, instance, trailer } = fields
  const out = begin(MessageType.Auth).str8(token).u8(flag(reverse)).uuid(instance)
  return withTrailer(out, trailer).done()
}

/** A failure always carries its error text; on success a trailer is preceded by a Str8, empty if there is no token. */
export function encodeAuthResponse(fields: Omit<AuthResponseMessage, 'type'>): Uint8Array {
  const { success, error, token, trailer } = fields
  const out = begin(MessageType.AuthResponse).u8(flag(success))
  if (!success) out.str8(error ?? '')
  else if (token || trailer !== undefined) withTrailer(out.str8(token ?? ''), trailer)
  return out.done()
}

/** `target` is written with tcp only, where it is needed. @throws {LinkSocksError} ERR_MESSAGE_INVALID */
export function encodeConnect(fields: Omit<ConnectMessage, 'type'>): Uint8Array {
  const { protocol, channelId, target, resume, trailer } = fields
  const out = begin(MessageType.Connect).u8(protocol).uuid(channelId)
  if (protocol === ChannelProtocol.Tcp) {
    if (target === undefined) throw new LinkSocksError('ERR_MESSAGE_INVALID', 'Connect over tcp needs a target')
    address(out, target)
  }
  // a trailer is preceded by the Resume byte, which deployed programs since 1.10 read there
  if (resume || trailer !== undefined) withTrailer(out.u8(flag(resume === true)), trailer)
  return out.done()
}

/** A failure always carries its error text. */
export function encodeConnectResponse(fields: Omit<ConnectResponseMessage, 'type'>): Uint8Array {
  const { success, channelId, error, trailer } = fields
  const out = begin(MessageType.ConnectResponse).u8(flag(success)).uuid(channelId)
  if (!success) out.str8(error ?? '')
  return withTrailer(out, trailer).done()
}

export function encodeDisconnect(fields: Omit<DisconnectMessage, 'type'>): Uint8Array {
  const { channelId, error } = fields
  const out = begin(MessageType.Disconnect).uuid(channelId)
  if (error !== undefined) out.str8(error)
  return out.done()
}

export function encodeConnector(fields: Omit<ConnectorMessage, 'type'>): Uint8Array {
  const { requestId, token, operation } = fields
  return begin(MessageType.Connector).uuid(requestId).str8(token).u8(operation).done()
}

/** A failure always carries its error text. */
export function encodeConnectorResponse(fields: Omit<ConnectorResponseMessage, 'type'>): Uint8Array {
  const { requestId, success, error, token } = fields
  const out = begin(MessageType.ConnectorResponse).uuid(requestId).u8(flag(success))
  if (!success) out.str8(error ?? '')
  else if (token !== undefined) out.str8(token)
  return out.done()
}

/** @throws {LinkSocksError} ERR_MESSAGE_TOO_LARGE when the JSON has more than 64 KiB */
export function encodeLog(fields: Omit<LogMessage, 'type'>): Uint8Array {
  return json(MessageType.Log, { level: fields.level, msg: fields.message })
}

export function encodePartners(fields: Omit<PartnersMessage, 'type'>): Uint8Array {
  return json(MessageType.Partners, { count: fields.count })
}

/** DirectCapabilities, DirectRendezvous or DirectStatus; `data` is JSON already. */
export function encodeDirect({ type, data }: DirectMessage): Uint8Array {
  return begin(type).u32(data.length).bytes(data).done()
}

/** The first {@link DATA_HEAD_BYTES} bytes of a tcp Data message; `dataLength` bytes of payload follow. */
export function encodeDataHead(
  channelId: Uint8Array,
  dataLength: number,
  compression: number = Compression.None,
): Uint8Array {
  const sound = channelId.length === UUID_BYTES && dataLength >>> 0 === dataLength && compression >>> 0 === compression
  if (!sound || compression > 0xff) return dataHead(ChannelProtocol.Tcp, channelId, dataLength, compression).done()
  const head = new Uint8Array(DATA_HEAD_BYTES)
  head[0] = PROTOCOL_VERSION
  head[1] = MessageType.Data
  head[2] = ChannelProtocol.Tcp
  head.set(channelId, 3)
  head[19] = compression
  head[20] = dataLength >>> 24
  head[21] = dataLength >>> 16
  head[22] = dataLength >>> 8
  head[23] = dataLength
  return head
}

/** What a datagram carries; an absent address is written as the empty host and port 0 (A.4). */
export type DatagramFields = Pick<DataMessage, 'channelId' | 'data' | 'source' | 'target'>

/** A whole udp Data message. */
export function encodeDatagram(fields: DatagramFields): Uint8Array {
  const { channelId, data, source = NOWHERE, target = NOWHERE } = fields
  const out = dataHead(ChannelProtocol.Udp, channelId, data.length, Compression.None).bytes(data)
  return address(address(out, source), target).done()
}

/** A tcp Data message as far as its payload. */
export function dataHead(protocol: number, channelId: Uint8Array, dataLength: number, compression: number): ByteWriter {
  return begin(MessageType.Data).u8(protocol).uuid(channelId).u8(compression).u32(dataLength)
}

function begin(type: number): ByteWriter {
  return new ByteWriter().u8(PROTOCOL_VERSION).u8(type)
}

function flag(value: boolean): number {
  return value ? 1 : 0
}

function address(out: ByteWriter, { host, port }: Target): ByteWriter {
  return out.str8(host).u16(port)
}

function withTrailer(out: ByteWriter, trailer: Trailer | undefined): ByteWriter {
  return trailer === undefined ? out : writeTrailer(out, trailer)
}

function json(type: number, value: unknown): Uint8Array {
  const bytes = encodeUtf8(JSON.stringify(value))
  if (bytes.length > MAX_JSON_BYTES) {
    throw new LinkSocksError(
      'ERR_MESSAGE_TOO_LARGE',
      `JSON of ${bytes.length} bytes, at most ${MAX_JSON_BYTES} are sent`,
    )
  }
  return begin(type).u32(bytes.length).bytes(bytes).done()
}
