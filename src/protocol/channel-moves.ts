import { LinkSocksError } from '../errors.js'
import type { ByteReader } from './bytes.js'
import { isCount, readJsonObject } from './json-body.js'
import type {
  ChannelBindMessage,
  ChannelDataAckMessage,
  ChannelMigrateAckMessage,
  ChannelMigrateMessage,
} from './message-types.js'
import { MessageType } from './message-types.js'
import { parseUuid } from './uuid.js'

/*
 * Messages by which deployed programs since 1.10 move channels between their relay and their direct path (A.7): read, so that
 * they are known, and never sent. All throw ERR_MESSAGE_TRUNCATED, ERR_MESSAGE_INVALID and ERR_MESSAGE_TOO_LARGE.
 */

export function channelBind(reader: ByteReader): ChannelBindMessage {
  const { channel_id, protocol, peer_session_id } = readJsonObject(reader)
  if (protocol !== 'tcp' && protocol !== 'udp') throw invalid('protocol')
  const channelId = id(channel_id, 'channel_id')
  return { type: MessageType.ChannelBind, channelId, protocol, peerSession: id(peer_session_id, 'peer_session_id') }
}

export function channelMigrate(reader: ByteReader): ChannelMigrateMessage {
  const { channel_id, reason } = readJsonObject(reader)
  const channelId = id(channel_id, 'channel_id')
  return { type: MessageType.ChannelMigrate, channelId, reason: optionalText(reason, 'reason') }
}

export function channelMigrateAck(reader: ByteReader): ChannelMigrateAckMessage {
  const { channel_id, success, error } = readJsonObject(reader)
  if (typeof success !== 'boolean') throw invalid('success')
  const channelId = id(channel_id, 'channel_id')
  return { type: MessageType.ChannelMigrateAck, channelId, success, error: optionalText(error, 'error') }
}

export function channelDataAck(reader: ByteReader): ChannelDataAckMessage {
  const { channel_id, sequence } = readJsonObject(reader)
  if (!isCount(sequence)) throw invalid('sequence')
  return { type: MessageType.ChannelDataAck, channelId: id(channel_id, 'channel_id'), sequence }
}

function id(value: unknown, key: string): Uint8Array {
  const bytes = typeof value === 'string' ? parseUuid(value) : undefined
  if (bytes === undefined) throw invalid(key)
  return bytes
}

/** Deployed writers leave an empty text out. */
function optionalText(value: unknown, key: string): string | undefined {
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string') throw invalid(key)
  return value
}

function invalid(key: string): LinkSocksError {
  return new LinkSocksError('ERR_MESSAGE_INVALID', `message about a channel that moves, with a broken ${key}`)
}
