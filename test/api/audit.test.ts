import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { createFixture, createRequest, KEY, tokenInfo } from './fixture.js'

const ID = 'a'.repeat(24)
const OPS = { name: 'ops', role: 'full', key: 'key-of-ops' } as const
const AS_OPS = { 'x-api-key': OPS.key }

function watched() {
  const fixture = createFixture({ apiKey: KEY, apiKeys: [OPS] })
  const { admin } = fixture
  admin.infos = [tokenInfo({ id: ID, token: 's3cret' })]
  const traits = {
    role: 'forward',
    tokenId: ID,
    address: '203.0.113.9',
    subject: undefined,
    since: 0,
    state: 'connected',
  } as const
  const counts = { number: 1, roundTripMs: undefined, streams: 0, receivedBytes: 0, sentBytes: 0 }
  admin.clientInfos = [{ id: ID, ...traits, ...counts }]
  return fixture
}

const CHANGES = [
  ['POST', '/api/token', { type: 'forward', token: 's3cret' }, { action: 'token.add', type: 'forward', token: ID }],
  [
    'POST',
    '/api/token',
    {
      type: 'forward',
      token: 's3cret',
      policy: { egress: [{ action: 'deny' }], sources: ['::1', '::2'], client_subjects: ['CN=ann'], max_clients: 5 },
    },
    { action: 'token.add', type: 'forward', token: ID, policy: 'egress=1,max_clients=5,sources=2,client_subjects=1' },
  ],
  ['DELETE', '/api/token', { token: 's3cret' }, { action: 'token.remove', token: ID }],
  ['DELETE', '/api/token/s3cret', undefined, { action: 'token.remove', token: ID }],
  [
    'PATCH',
    `/api/tokens/${ID}`,
    { label: 'L4bel', username: 'u5er', password: 'pa55', expires_at: null },
    { action: 'token.change', token: ID, fields: 'label,expires_at,username,password' },
  ],
  [
    'PATCH',
    `/api/tokens/${ID}`,
    {
      policy: {
        egress: [{ action: 'deny', hosts: ['s3cret'] }, { action: 'allow' }],
        egress_default: 'deny',
        hours: null,
      },
    },
    { action: 'token.change', token: ID, fields: 'policy', policy: 'egress=2,egress_default=deny,hours=none' },
  ],
  [
    'PATCH',
    `/api/tokens/${ID}`,
    { policy: null },
    { action: 'token.change', token: ID, fields: 'policy', policy: 'none' },
  ],
  ['DELETE', `/api/tokens/${ID}`, undefined, { action: 'token.remove', token: ID }],
  ['DELETE', `/api/clients/${ID}`, undefined, { action: 'client.disconnect', client: ID }],
] as const

describe('the audit line', () => {
  it.each(CHANGES)('of %s %s says once whose key, what and from where', async (method, path, body, what) => {
    const { call, lines } = watched()
    expect((await call(method, path, body, AS_OPS)).ok).toBe(true)
    expect(lines).toEqual([{ level: 'info', event: 'api.audit', fields: { key: 'ops', ...what, remote: '192.0.2.7' } }])
    expect(JSON.stringify(lines)).not.toMatch(/s3cret|L4bel|u5er|pa55|key-of/)
  })

  it.each(CHANGES)('of %s %s is not written when nothing has changed', async (method, path, body) => {
    const { call, admin, lines } = watched()
    admin.failure = new LinkSocksError('ERR_NOT_STORED', 'disk full')
    admin.clientInfos = []
    expect((await call(method, path, body, AS_OPS)).ok).toBe(false)
    expect(lines).toEqual([])
  })

  it('is left by no call that only reads', async () => {
    const { call, lines } = watched()
    for (const path of [
      '/api/status',
      '/api/server',
      '/api/tokens',
      `/api/tokens/${ID}`,
      '/api/clients',
      '/api/streams',
    ])
      expect((await call('GET', path)).status).toBe(200)
    await call('OPTIONS', '/api/token')
    expect(lines).toEqual([])
  })

  it('shows what a hostile proxy says of the address as text of one line', async () => {
    const { handle, lines } = watched()
    const request = createRequest('DELETE', undefined, AS_OPS)
    await handle(request, { rawPath: `/api/tokens/${ID}`, remoteAddress: 'evil\nline' })
    expect(lines.map(({ fields }) => fields.remote)).toEqual(['evil\\u{a}line'])
  })
})
