/** How what a relay tells stands on the wire. Each field is named, so that what is added inside is never shown by accident. */

import type { ClientInfo, RelayTotals } from '../relay/observe/client-info.js'
import type { AlarmInfo } from '../relay/observe/event-log.js'
import type { StreamInfo } from '../relay/observe/streams.js'
import type { TokenInfo, TokenStatus } from '../relay/tokens/token-spec.js'
import type { KeyHolder } from './keys.js'
import { maskToken } from './mask.js'
import type { AlarmAnswer, ClientAnswer, StreamAnswer, TokenAnswer } from './resources.js'
import type { TokenStatusAnswer } from './schemas.js'
import { formatTime } from './timestamp.js'

/** Shows a token as a key may see it. */
export type ShowToken = (token: string) => string

export function showerFor(key: KeyHolder | undefined): ShowToken {
  return key?.role === 'full' ? (token) => token : maskToken
}

export function statusView(token: TokenStatus, show: ShowToken): TokenStatusAnswer {
  const common = { token: show(token.token), clients_count: token.clientsCount }
  if (token.type === 'forward') return { ...common, type: 'forward' }
  return {
    ...common,
    type: 'reverse',
    ...(token.port !== undefined && { port: token.port }),
    connector_tokens: token.connectorTokens.map(show),
    ...(token.listening !== undefined && { listening: token.listening }),
    ...(token.error !== undefined && { error: token.error }),
  }
}

export function tokenView(info: TokenInfo, show: ShowToken): TokenAnswer {
  const { id } = info
  const common = {
    token: show(info.token),
    label: info.label ?? null,
    enabled: info.enabled,
    expires_at: info.expiresAt === undefined ? null : formatTime(info.expiresAt),
    state: info.state,
    source: info.source,
    stored: info.stored,
    created_at: formatTime(info.createdAt),
    clients: info.clients,
    streams: info.streams,
  }
  const { reverse } = info
  if (reverse !== undefined) {
    return {
      id,
      type: 'reverse',
      ...common,
      allow_manage_connector: reverse.autonomy,
      port: reverse.port ?? null,
      listening: reverse.listening,
      port_error: reverse.portError ?? null,
      username: reverse.username ?? null,
      connectors: [...reverse.connectors],
    }
  }
  const { reverseId } = info
  return reverseId === undefined
    ? { id, type: 'forward', ...common }
    : { id, type: 'connector', ...common, reverse_id: reverseId }
}

export function clientView(info: ClientInfo): ClientAnswer {
  return {
    id: info.id,
    role: info.role,
    token_id: info.tokenId,
    address: info.address,
    since: formatTime(info.since),
    state: info.state,
    rtt_ms: info.roundTripMs === undefined ? null : Math.max(0, Math.round(info.roundTripMs * 1_000) / 1_000),
    streams: info.streams,
    received_bytes: info.receivedBytes,
    sent_bytes: info.sentBytes,
  }
}

export function streamView(info: StreamInfo): StreamAnswer {
  return {
    id: String(info.id),
    mode: info.mode,
    protocol: info.protocol,
    target: info.target ?? null,
    token_id: info.tokenId,
    client_id: info.clientId ?? null,
    provider_id: info.providerId ?? null,
    state: info.state,
    since: formatTime(info.since),
    sent_bytes: info.sentBytes,
    received_bytes: info.receivedBytes,
  }
}

export function alarmView({ code, subject, message, since }: AlarmInfo): AlarmAnswer {
  return { code, subject: subject ?? null, message, since: formatTime(since) }
}

export function totalsView({ tokens, clients, streams, receivedBytes, sentBytes }: RelayTotals) {
  return { tokens, clients, streams, received_bytes: receivedBytes, sent_bytes: sentBytes }
}
