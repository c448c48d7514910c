import { describe, expect, it } from 'vitest'
import { eventGroup, eventView } from '../../src/api/event-views.js'
import type { RelayEvent, StreamEvent } from '../../src/relay/observe/event-log.js'

const TOKEN = { tokenId: 'T', tokenType: 'reverse', label: 'Büro' } as const
const CLIENT = { clientId: 'C', role: 'provider', tokenId: 'T', address: '203.0.113.9' } as const
const STREAM: Omit<StreamEvent, 'type'> = {
  ...({ streamId: 7, mode: 'agent', protocol: 'tcp', inbound: undefined, target: 'example.com:443' } as const),
  ...{ tokenId: 'T', clientId: 'C', providerId: 'P' },
}
const ALARM = { code: 'port-unavailable', subject: 'T', message: 'in use', since: 0 } as const

const token = { token_id: 'T', type: 'reverse', label: 'Büro' }
const client = { client_id: 'C', role: 'provider', token_id: 'T', address: '203.0.113.9', subject: null, reason: null }
const ids = { token_id: 'T', client_id: 'C', provider_id: 'P' }
const stream = { stream_id: '7', mode: 'agent', protocol: 'tcp', inbound: null, target: 'example.com:443', ...ids }
const alarm = { code: 'port-unavailable', subject: 'T', message: 'in use', since: '1970-01-01T00:00:00.000Z' }
const ended = { sentBytes: 1, receivedBytes: 2, error: undefined }

describe('eventView()', () => {
  it.each<[RelayEvent, string, object]>([
    [{ type: 'token.added', ...TOKEN }, 'token', token],
    [{ type: 'token.changed', ...TOKEN, label: undefined }, 'token', { ...token, label: null }],
    [{ type: 'token.removed', ...TOKEN, tokenType: 'forward' }, 'token', { ...token, type: 'forward' }],
    [{ type: 'client.connected', ...CLIENT }, 'client', client],
    [{ type: 'client.suspended', ...CLIENT, role: 'forward' }, 'client', { ...client, role: 'forward' }],
    [{ type: 'client.resumed', ...CLIENT, role: 'connector' }, 'client', { ...client, role: 'connector' }],
    [{ type: 'client.closed', ...CLIENT, reason: 'ERR_IDLE' }, 'client', { ...client, reason: 'ERR_IDLE' }],
    [{ type: 'stream.opened', ...STREAM }, 'stream', stream],
    [
      {
        type: 'stream.opened',
        ...STREAM,
        protocol: 'udp',
        target: undefined,
        clientId: undefined,
        providerId: undefined,
      },
      'stream',
      { ...stream, protocol: 'udp', target: null, client_id: null, provider_id: null },
    ],
    [{ type: 'stream.opened', ...STREAM, inbound: 'socks4' }, 'stream', { ...stream, inbound: 'socks4' }],
    [
      { type: 'stream.closed', ...STREAM, ended },
      'stream',
      { ...stream, sent_bytes: 1, received_bytes: 2, error: null },
    ],
    [
      { type: 'stream.closed', ...STREAM, ended: { ...ended, error: 'ERR_RESET' } },
      'stream',
      { ...stream, sent_bytes: 1, received_bytes: 2, error: 'ERR_RESET' },
    ],
    [{ type: 'alarm.raised', alarm: ALARM }, 'alarm', alarm],
    [{ type: 'alarm.cleared', alarm: { ...ALARM, subject: undefined } }, 'alarm', { ...alarm, subject: null }],
  ])('shows %j', (event, group, view) => {
    expect(eventView(event)).toEqual(view)
    expect(eventGroup(event)).toBe(group)
  })

  it('shows nothing that an event holds beyond its fields', () => {
    const secret = { token: 's3cret', password: 's3cret' }
    const events: readonly RelayEvent[] = [
      { type: 'token.added', ...TOKEN, ...secret },
      { type: 'client.connected', ...CLIENT, ...secret },
      { type: 'stream.closed', ...STREAM, ended: { ...ended, ...secret }, ...secret },
      { type: 'alarm.raised', alarm: { ...ALARM, ...secret } },
    ]
    expect(JSON.stringify(events.map(eventView))).not.toContain('s3cret')
  })
})
