/** fast-check generators of what the protocol carries. */
import fc from 'fast-check'
import type { Message } from '../../src/protocol/messages.js'
import {
  encodeAuth,
  encodeAuthResponse,
  encodeConnect,
  encodeConnector,
  encodeConnectorResponse,
  encodeConnectResponse,
  encodeDatagram,
  encodeDataHead,
  encodeDirect,
  encodeDisconnect,
  encodeLog,
  encodePartners,
  MessageType,
} from '../../src/protocol/messages.js'
import { codePoint } from '../support/code-point.js'
import { oracleEncode } from './oracle.js'

const byte = fc.integer({ min: 0, max: 255 })
const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })

export const id = fc.uint8Array({ minLength: 16, maxLength: 16 })

/** Any text, also beyond 255 bytes and with halves of surrogate pairs. */
export const anyText = fc.oneof(
  fc.string({ unit: codePoint, maxLength: 100 }),
  fc.string({ unit: 'grapheme', minLength: 60, maxLength: 300 }),
  fc.array(u16, { maxLength: 300 }).map((units) => String.fromCharCode(...units)),
)

const someText = anyText.filter((text) => text !== '')
const optionalText = fc.option(someText, { nil: undefined })
const target = fc.record({ host: anyText, port: u16 })
const compression = fc.oneof(fc.constantFrom(0, 1, 0x10), byte)
const payload = fc.uint8Array({ maxLength: 600 })

export const trailer = fc.record({
  streamControl: fc.option(u32, { nil: undefined }),
  rep: fc.option(byte, { nil: undefined }),
  sessionId: fc.option(id, { nil: undefined }),
  keepsOrder: fc.option(fc.constant(true), { nil: undefined }),
  received: fc.option(fc.maxSafeNat(), { nil: undefined }),
  knowsPolicies: fc.option(fc.constant(true), { nil: undefined }),
  policies: fc.option(fc.array(u32, { minLength: 1, maxLength: 63 }), { nil: undefined }),
})
const resume = fc.option(fc.constant(true as const), { nil: undefined })
const optionalTrailer = fc.option(trailer, { nil: undefined })

/** Each kind of message with all of its fields, in the form that decodeMessage() gives it. */
export const kinds: Readonly<Record<string, fc.Arbitrary<Message>>> = {
  Auth: fc.record({
    type: fc.constant(MessageType.Auth),
    token: anyText,
    reverse: fc.boolean(),
    instance: id,
    trailer: optionalTrailer,
  }),
  'AuthResponse success': fc.record({
    type: fc.constant(MessageType.AuthResponse),
    success: fc.constant(true),
    token: optionalText,
    trailer: optionalTrailer,
  }),
  'AuthResponse failure': fc.record({
    type: fc.constant(MessageType.AuthResponse),
    success: fc.constant(false),
    error: anyText,
  }),
  'Connect tcp': fc.record({
    type: fc.constant(MessageType.Connect),
    protocol: fc.constant(1),
    channelId: id,
    target,
    resume,
    trailer: optionalTrailer,
  }),
  'Connect udp': fc.record({
    type: fc.constant(MessageType.Connect),
    protocol: fc.constant(2),
    channelId: id,
    resume,
    trailer: optionalTrailer,
  }),
  'Connect other': fc.record({
    type: fc.constant(MessageType.Connect),
    protocol: fc.constantFrom(0, 3, 255),
    channelId: id,
  }),
  'Data tcp': fc.record({
    type: fc.constant(MessageType.Data),
    protocol: fc.constant(1),
    channelId: id,
    compression,
    data: payload,
  }),
  'Data udp': fc.record({
    type: fc.constant(MessageType.Data),
    protocol: fc.constant(2),
    channelId: id,
    compression: fc.constant(0),
    data: payload,
    source: target,
    target,
  }),
  'ConnectResponse success': fc.record({
    type: fc.constant(MessageType.ConnectResponse),
    success: fc.constant(true),
    channelId: id,
    trailer: optionalTrailer,
  }),
  'ConnectResponse failure': fc.record({
    type: fc.constant(MessageType.ConnectResponse),
    success: fc.constant(false),
    channelId: id,
    error: anyText,
    trailer: optionalTrailer,
  }),
  Disconnect: fc.record({
    type: fc.constant(MessageType.Disconnect),
    channelId: id,
    error: fc.option(anyText, { nil: undefined }),
  }),
  Connector: fc.record({ type: fc.constant(MessageType.Connector), requestId: id, token: anyText, operation: byte }),
  'ConnectorResponse success': fc.record({
    type: fc.constant(MessageType.ConnectorResponse),
    requestId: id,
    success: fc.constant(true),
    token: optionalText,
  }),
  'ConnectorResponse failure': fc.record({
    type: fc.constant(MessageType.ConnectorResponse),
    requestId: id,
    success: fc.constant(false),
    error: anyText,
  }),
  Log: fc.record({
    type: fc.constant(MessageType.Log),
    level: fc.constantFrom('trace', 'debug', 'info', 'warn', 'error'),
    message: anyText,
  }),
  Partners: fc.record({ type: fc.constant(MessageType.Partners), count: fc.maxSafeNat() }),
  Direct: fc.record({ type: fc.constantFrom(11 as const, 12 as const, 13 as const), data: payload }),
  ChannelBind: fc.record({
    type: fc.constant(MessageType.ChannelBind),
    channelId: id,
    protocol: fc.constantFrom('tcp', 'udp'),
    peerSession: id,
  }),
  ChannelMigrate: fc.record({ type: fc.constant(MessageType.ChannelMigrate), channelId: id, reason: optionalText }),
  ChannelMigrateAck: fc.record({
    type: fc.constant(MessageType.ChannelMigrateAck),
    channelId: id,
    success: fc.boolean(),
    error: optionalText,
  }),
  ChannelDataAck: fc.record({
    type: fc.constant(MessageType.ChannelDataAck),
    channelId: id,
    sequence: fc.maxSafeNat(),
  }),
}

export const anyMessage: fc.Arbitrary<Message> = fc.oneof(...Object.values(kinds))

/** The encoder of `message`; those that ours never sends are written by the oracle. */
export function encodeMessage(message: Message): Uint8Array {
  switch (message.type) {
    case MessageType.Auth:
      return encodeAuth(message)
    case MessageType.AuthResponse:
      return encodeAuthResponse(message)
    case MessageType.Connect:
      return encodeConnect(message)
    case MessageType.Data:
      if (message.protocol === 2) return encodeDatagram(message)
      return Uint8Array.of(
        ...encodeDataHead(message.channelId, message.data.length, message.compression),
        ...message.data,
      )
    case MessageType.ConnectResponse:
      return encodeConnectResponse(message)
    case MessageType.Disconnect:
      return encodeDisconnect(message)
    case MessageType.Connector:
      return encodeConnector(message)
    case MessageType.ConnectorResponse:
      return encodeConnectorResponse(message)
    case MessageType.Log:
      return encodeLog(message)
    case MessageType.Partners:
      return encodePartners(message)
    case MessageType.DirectCapabilities:
    case MessageType.DirectRendezvous:
    case MessageType.DirectStatus:
      return encodeDirect(message)
    case MessageType.ChannelBind:
    case MessageType.ChannelMigrate:
    case MessageType.ChannelMigrateAck:
    case MessageType.ChannelDataAck:
      return oracleEncode(message)
  }
}
