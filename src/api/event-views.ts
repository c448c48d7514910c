/** How events stand on the wire. Each field is named, so that a field that is added inside is never shown by accident. */
import type { PolicyEvent, QuotaEvent, RelayEvent } from '../relay/observe/event-log.js'
import { alarmView } from './server.js'
import { formatTime } from './timestamp.js'

/** What a reader asks for: `token` of `token.added`. */
export function eventGroup({ type }: RelayEvent): string {
  return type.slice(0, type.indexOf('.'))
}

/** The data of an event, without its time. */
export function eventView(event: RelayEvent): object {
  if ('alarm' in event) return alarmView(event.alarm)
  if ('tokenType' in event) return { token_id: event.tokenId, type: event.tokenType, label: event.label ?? null }
  if ('streamId' in event) return streamEventView(event)
  if (event.type === 'policy.refused') return policyEventView(event)
  if ('resetsAt' in event) return quotaEventView(event)
  const { clientId, role, tokenId, address, subject, reason } = event
  return { client_id: clientId, role, token_id: tokenId, address, subject: subject ?? null, reason: reason ?? null }
}

function policyEventView({ tokenId, reason, rule, subject, count }: PolicyEvent): object {
  return { token_id: tokenId, reason, rule: rule ?? null, subject: subject ?? null, count }
}

function quotaEventView({ tokenId, used, bytes, period, resetsAt }: QuotaEvent): object {
  return { token_id: tokenId, used, bytes, period, resets_at: resetsAt === undefined ? null : formatTime(resetsAt) }
}

function streamEventView(event: Extract<RelayEvent, { streamId: number }>): object {
  const { ended } = event
  return {
    stream_id: String(event.streamId),
    mode: event.mode,
    protocol: event.protocol,
    inbound: event.inbound ?? null,
    target: event.target ?? null,
    token_id: event.tokenId,
    client_id: event.clientId ?? null,
    provider_id: event.providerId ?? null,
    ...(ended && {
      sent_bytes: ended.sentBytes,
      received_bytes: ended.receivedBytes,
      error: ended.error ?? null,
    }),
  }
}
