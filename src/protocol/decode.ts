import { bareHost } from '../address.js'
import { LinkSocksError } from '../errors.js'
import type { Target } from '../ports.js'
import { ByteReader } from './bytes.js'
import { channelBind, channelDataAck, channelMigrate, channelMigrateAck } from './channel-moves.js'
import { DATA_HEAD_BYTES } from './encode.js'
import { hex } from './hex.js'
import { isCount, readJsonObject } from './json-body.js'
import { MAX_INFLATED_BYTES } from './limits.js'
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
  Message,
  PartnersMessage,
} from './message-types.js'
import { ChannelProtocol, Compression, MESSAGE_HEADER_BYTES, MessageType, PROTOCOL_VERSION } from './message-types.js'
import { decodeTrailer, startsTrailer } from './trailer.js'
import { type ChannelKey, channelKey, UUID_BYTES } from './uuid.js'

const LOG_LEVELS: readonly unknown[] = ['trace', 'debug', 'info', 'warn', 'error']
const SUPPORTED_MAJOR = PROTOCOL_VERSION >> 4
/** At the end of a gzip member. */
const ISIZE_BYTES = 4
/** Where a Data message says how its payload is compressed; the length follows. */
const COMPRESSION_AT = MESSAGE_HEADER_BYTES + 1 + UUID_BYTES

/**
 * The Version byte; only its upper half (the major version) must be ours, another lower half is worth a log line.
 * @throws {LinkSocksError} ERR_MESSAGE_TRUNCATED (empty message)
 */
export function messageVersion(buf: Uint8Array): number {
  return new ByteReader(buf).u8()
}

/**
 * The Type byte, whether known or not.
 * @throws {LinkSocksError} ERR_MESSAGE_TRUNCATED, ERR_MESSAGE_VERSION (other major version)
 */
export function messageType(buf: Uint8Array): number {
  const version = messageVersion(buf)
  if (version >> 4 !== SUPPORTED_MAJOR) {
    throw new LinkSocksError(
      'ERR_MESSAGE_VERSION',
      `message of protocol version 0x${hex(Uint8Array.of(version))}, this side speaks 0x${hex(Uint8Array.of(PROTOCOL_VERSION))}`,
    )
  }
  return new ByteReader(buf, 1).u8()
}

/** The channel of Connect, Data, ConnectResponse and Disconnect; `undefined` for all else. Never throws. */
export function channelKeyOf(buf: Uint8Array): ChannelKey | undefined {
  const start = channelIdOffset(buf[1])
  if (start === undefined || buf.length < start + UUID_BYTES) return undefined
  return channelKey(buf, start)
}

/** As {@link channelKeyOf}, of a message that has a channel. @throws {LinkSocksError} ERR_MESSAGE_TRUNCATED */
export function readChannelKey(buf: Uint8Array): ChannelKey {
  const key = channelKeyOf(buf)
  if (key !== undefined) return key
  throw new LinkSocksError('ERR_MESSAGE_TRUNCATED', 'the message is too short for its channel id')
}

/** Whether a message is Data compressed with gzip; `false` also for one that is too short to tell. */
export function isGzipData(buf: Uint8Array): boolean {
  return buf[1] === MessageType.Data && buf[COMPRESSION_AT] === Compression.Gzip
}

/**
 * The payload of an uncompressed tcp Data message, a view; `undefined` for any other message and for a broken one, of which
 * {@link decodeMessage} tells more. Never throws. Nearly all messages are of this kind.
 */
export function plainData(buf: Uint8Array): Uint8Array | undefined {
  if (buf.length < DATA_HEAD_BYTES || (buf[0] as number) >> 4 !== SUPPORTED_MAJOR || buf[1] !== MessageType.Data) return
  if (buf[2] !== ChannelProtocol.Tcp || buf[COMPRESSION_AT] !== Compression.None) return
  const end = DATA_HEAD_BYTES + readU32(buf, COMPRESSION_AT + 1)
  return end > buf.length ? undefined : buf.subarray(DATA_HEAD_BYTES, end)
}

/** Bytes that a whole Data message carries, without addresses; 0 for any other message. Never throws. */
export function payloadBytes(buf: Uint8Array): number {
  return buf[1] === MessageType.Data && buf.length >= DATA_HEAD_BYTES ? readU32(buf, COMPRESSION_AT + 1) : 0
}

/**
 * Bytes that a Data message brings to a stream or to a datagram's destination; 0 for control and any other message. What is compressed counts
 * as its end says that it was before (ISIZE, RFC 1952 section 2.3.1), which its sender may have made up. Never throws.
 */
export function chargedBytes(buf: Uint8Array): number {
  const compression = buf[COMPRESSION_AT]
  if (compression === Compression.Control) return 0
  const bytes = payloadBytes(buf)
  if (compression !== Compression.Gzip || bytes < ISIZE_BYTES) return bytes
  const end = DATA_HEAD_BYTES + bytes
  if (end > buf.length) return bytes
  const inflated = new DataView(buf.buffer, buf.byteOffset, buf.byteLength).getUint32(end - ISIZE_BYTES, true)
  return Math.max(bytes, Math.min(inflated, MAX_INFLATED_BYTES))
}

function readU32(buf: Uint8Array, at: number): number {
  const high = ((buf[at] as number) << 8) | (buf[at + 1] as number)
  return high * 2 ** 16 + (((buf[at + 2] as number) << 8) | (buf[at + 3] as number))
}

function channelIdOffset(type: number | undefined): number | undefined {
  switch (type) {
    case MessageType.Connect:
    case MessageType.Data:
    case MessageType.ConnectResponse:
      // one byte, Protocol or Success, comes first
      return MESSAGE_HEADER_BYTES + 1
    case MessageType.Disconnect:
      return MESSAGE_HEADER_BYTES
    default:
      return undefined
  }
}

/**
 * Decodes one message (A.3). Bytes after its fields are ignored; ids that live long are copies, `data` is a view.
 * @returns `undefined` for a Type that this side doesn't know.
 * @throws {LinkSocksError} ERR_MESSAGE_VERSION, ERR_MESSAGE_TRUNCATED, ERR_MESSAGE_INVALID (JSON, but that of
 *   direct signalling), ERR_MESSAGE_TOO_LARGE (the same, over 64 KiB). Nothing else, whatever the bytes are.
 */
export function decodeMessage(buf: Uint8Array): Message | undefined {
  const type = messageType(buf)
  const reader = new ByteReader(buf, MESSAGE_HEADER_BYTES)
  switch (type) {
    case MessageType.Auth:
      return auth(buf, reader)
    case MessageType.AuthResponse:
      return authResponse(buf, reader)
    case MessageType.Connect:
      return connect(buf, reader)
    case MessageType.Data:
      return data(reader)
    case MessageType.ConnectResponse:
      return connectResponse(buf, reader)
    case MessageType.Disconnect:
      return disconnect(reader)
    case MessageType.Connector:
      return connector(reader)
    case MessageType.ConnectorResponse:
      return connectorResponse(reader)
    case MessageType.Log:
      return log(reader)
    case MessageType.Partners:
      return partners(reader)
    case MessageType.DirectCapabilities:
    case MessageType.DirectRendezvous:
    case MessageType.DirectStatus:
      return direct(type, reader)
    case MessageType.ChannelBind:
      return channelBind(reader)
    case MessageType.ChannelMigrate:
      return channelMigrate(reader)
    case MessageType.ChannelMigrateAck:
      return channelMigrateAck(reader)
    case MessageType.ChannelDataAck:
      return channelDataAck(reader)
    default:
      return undefined
  }
}

function auth(buf: Uint8Array, reader: ByteReader): AuthMessage {
  const token = reader.str8()
  const reverse = flag(reader)
  const instance = reader.uuid()
  return { type: MessageType.Auth, token, reverse, instance, trailer: decodeTrailer(buf, reader.offset) }
}

function authResponse(buf: Uint8Array, reader: ByteReader): AuthResponseMessage {
  const type = MessageType.AuthResponse
  if (!flag(reader)) return { type, success: false, error: reader.str8() }
  // a Str8 of length 0 only holds the place before a trailer
  const token = reader.optionalStr8() || undefined
  return { type, success: true, token, trailer: decodeTrailer(buf, reader.offset) }
}

function connect(buf: Uint8Array, reader: ByteReader): ConnectMessage {
  const type = MessageType.Connect
  const protocol = reader.u8()
  const channelId = reader.uuid()
  if (protocol !== ChannelProtocol.Tcp && protocol !== ChannelProtocol.Udp) return { type, protocol, channelId }
  const target = protocol === ChannelProtocol.Tcp ? address(reader) : undefined
  const at = reader.offset
  // early builds of ours wrote no Resume byte before the trailer, and deployed programs write 0 or 1
  if (startsTrailer(buf, at)) return { type, protocol, channelId, target, trailer: decodeTrailer(buf, at) }
  // Resume: absent and 0 mean no, everything else yes
  const resume = (buf[at] ?? 0) === 0 ? undefined : true
  return { type, protocol, channelId, target, resume, trailer: decodeTrailer(buf, at + 1) }
}

function data(reader: ByteReader): DataMessage {
  const type = MessageType.Data
  const protocol = reader.u8()
  const channelId = reader.view(UUID_BYTES)
  const compression = reader.u8()
  const payload = reader.view(reader.u32())
  if (protocol !== ChannelProtocol.Udp) return { type, protocol, channelId, compression, data: payload }
  const source = address(reader)
  return { type, protocol, channelId, compression, data: payload, source, target: address(reader) }
}

function connectResponse(buf: Uint8Array, reader: ByteReader): ConnectResponseMessage {
  const success = flag(reader)
  const channelId = reader.uuid()
  const error = success ? undefined : reader.str8()
  const trailer = decodeTrailer(buf, reader.offset)
  return { type: MessageType.ConnectResponse, success, channelId, error, trailer }
}

function disconnect(reader: ByteReader): DisconnectMessage {
  return { type: MessageType.Disconnect, channelId: reader.uuid(), error: reader.optionalStr8() }
}

function connector(reader: ByteReader): ConnectorMessage {
  return { type: MessageType.Connector, requestId: reader.uuid(), token: reader.str8(), operation: reader.u8() }
}

function connectorResponse(reader: ByteReader): ConnectorResponseMessage {
  const type = MessageType.ConnectorResponse
  const requestId = reader.uuid()
  if (!flag(reader)) return { type, requestId, success: false, error: reader.str8() }
  return { type, requestId, success: true, token: reader.optionalStr8() || undefined }
}

function log(reader: ByteReader): LogMessage {
  const { level, msg } = readJsonObject(reader)
  if (typeof msg !== 'string') throw new LinkSocksError('ERR_MESSAGE_INVALID', 'Log message without a text')
  return { type: MessageType.Log, level: isLevel(level) ? level : 'info', message: msg }
}

function isLevel(value: unknown): value is string {
  return LOG_LEVELS.includes(value)
}

function partners(reader: ByteReader): PartnersMessage {
  const { count } = readJsonObject(reader)
  if (!isCount(count)) {
    throw new LinkSocksError('ERR_MESSAGE_INVALID', 'Partners message without a whole number of partners')
  }
  return { type: MessageType.Partners, count }
}

function direct(type: DirectMessage['type'], reader: ByteReader): DirectMessage {
  return { type, data: reader.view(reader.u32()) }
}

/** One byte; 1 means yes, everything else no. */
function flag(reader: ByteReader): boolean {
  return reader.u8() === 1
}

function address(reader: ByteReader): Target {
  return { host: bareHost(reader.str8()), port: reader.u16() }
}
