import { describe, expect, it } from 'vitest'
import { ApiContract, apiDocument, type Operation } from '../support/api-contract.js'
import { createFixture, expectJson, KEY } from './fixture.js'

const document = apiDocument()
const operations: readonly [name: string, operation: Operation][] = Object.entries(document.paths).flatMap(
  ([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
)

describe('GET /api/openapi.json', () => {
  it('is the same for every key, and has nothing of theirs', async () => {
    const { call } = createFixture({ apiKey: KEY, apiKeys: [{ name: 'screen', role: 'read-only', key: 'r' }] })
    const answers = [await call('GET', '/api/openapi.json')]
    answers.push(await call('GET', '/api/openapi.json', undefined, { 'x-api-key': 'r' }))
    for (const answer of answers) expect(await expectJson(answer)).toEqual(document)
  })

  it('has every route and nothing else', () => {
    const { routes } = createFixture().api
    expect(operations.map(([name]) => name).sort()).toEqual(
      routes.map(({ method, path }) => `${method} ${path}`).sort(),
    )
    expect(operations.map(([name]) => name).sort()).toEqual([
      ...['DELETE /api/clients/{id}', 'DELETE /api/token', 'DELETE /api/token/{token}', 'DELETE /api/tokens/{id}'],
      ...[
        'GET /',
        'GET /api/clients',
        'GET /api/config/access',
        'GET /api/events',
        'GET /api/openapi.json',
        'GET /api/server',
      ],
      ...['GET /api/status', 'GET /api/streams', 'GET /api/tokens', 'GET /api/tokens/{id}'],
      'GET /api/tokens/{id}/usage',
      ...[
        'GET /healthz',
        'GET /metrics',
        'GET /readyz',
        'PATCH /api/tokens/{id}',
        'POST /api/token',
        'POST /api/tokens/{id}/check',
        'POST /api/tokens/{id}/usage/reset',
        'PUT /api/config/access',
      ],
    ])
  })

  it('names each operation once', () => {
    const ids = operations.map(([, { operationId }]) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it.each(operations)('tells of %s who may call it, and how it is refused', (name, { security, responses }) => {
    const statuses = Object.keys(responses)
    const open = ['GET /', 'GET /healthz', 'GET /readyz'].includes(name)
    const keys = name === 'GET /metrics' ? [{ key: [] }, { bearer: [] }] : [{ key: [] }]
    expect(security).toEqual(open ? [] : keys)
    for (const status of ['401', '429']) expect([status, statuses.includes(status)]).toEqual([status, !open])
    expect(statuses.includes('403')).toBe(!name.startsWith('GET '))
    expect(statuses.includes('413')).toBe(!name.startsWith('GET '))
  })

  it('uses no pattern that only some readers of it understand', () => {
    const patterns = [...JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map(
      ([, text = '""']): string => JSON.parse(text),
    )
    expect(patterns.length).toBeGreaterThan(0)
    expect(patterns.filter((pattern) => /\\(?!u[\da-f]{4})/.test(pattern))).toEqual([])
  })
})

const POLICY = {
  egress: [{ action: 'deny', hosts: ['@private'], ports: [22, [8_000, 8_999]], protocol: 'tcp' }, { action: 'allow' }],
  egress_default: 'allow',
  ...{ max_streams: 100, max_clients: 0, connects_per_minute: 1_000_000_000 },
  sources: ['203.0.113.0/24'],
  client_subjects: ['CN=ann,O=Example'],
  hours: [{ days: ['mon', 'tue'], from: '08:00', to: '24:00', zone: 'Europe/Berlin' }],
}
const POLICY_FIELDS = Object.keys(POLICY)
const BAD_POLICIES: readonly object[] = [
  ...[{ rate: { up: 0 } }, { quota: {} }, { maxStreams: 1 }, { max_streams: -1 }, { max_clients: 1_000_000_001 }],
  ...[
    { egress_default: 'no' },
    { sources: [] },
    { sources: [''] },
    { client_subjects: [] },
    { client_subjects: [''] },
    { hours: [] },
    { hours: [{ from: '08:00' }] },
  ],
  ...[{ hours: [{ from: '8:00', to: '9:00' }] }, { hours: [{ from: '24:00', to: '08:00' }] }],
  ...[{ days: [] }, { days: ['Mon'] }, { until: '18:00' }].map((more) => ({
    hours: [{ from: '08:00', to: '9:00', ...more }],
  })),
  ...[
    {},
    { action: 'pass' },
    { action: 'deny', hosts: [] },
    { action: 'deny', ports: [0] },
    { action: 'deny', ports: [[1]] },
  ].map((rule) => ({ egress: [rule] })),
  ...[{ protocol: 'icmp' }, { host: 'a' }, { hosts: 'a' }].map((more) => ({ egress: [{ action: 'deny', ...more }] })),
]

describe('the bodies it allows', () => {
  const contract = new ApiContract()
  const problem = (method: string, path: string, body: unknown) =>
    contract.bodyProblem(method, path, JSON.stringify(body)) === undefined

  it.each<[boolean, object]>([
    [true, { type: 'forward' }],
    [true, { type: 'forward', token: '', label: null, expires_at: null, color: 'red' }],
    [true, { type: 'forward', username: 'of another type' }],
    [true, { type: 'reverse', username: null }],
    [true, { type: 'reverse', proxy_protocols: null }],
    [false, { type: 'reverse', proxy_protocols: ['socks5'] }],
    [false, { type: 'forward', proxy_protocols: [] }],
    [true, { type: 'reverse', username: 'u', password: 'p', port: 1, allow_manage_connector: true }],
    [true, { type: 'connector', reverse_token: 'r' }],
    [true, { type: 'forward', rules: null }],
    [true, { type: 'connector', reverse_token: 'r', rules: [{}, { addrs: null, ports: [1, [2, 3]] }] }],
    [false, { type: 'forward', rules: [{ ports: [0] }] }],
    [false, { type: 'forward', rules: [{ ports: [[1]] }] }],
    [false, { type: 'forward', rules: [{ hosts: [] }] }],
    [false, { type: 'forward', rules: {} }],
    [true, { type: 'forward', policy: null }],
    [true, { type: 'reverse', policy: POLICY }],
    [
      true,
      { type: 'connector', reverse_token: 'r', policy: Object.fromEntries(POLICY_FIELDS.map((name) => [name, null])) },
    ],
    [false, { type: 'forward', policy: [] }],
    ...BAD_POLICIES.map((policy): [boolean, object] => [false, { type: 'forward', policy }]),
    [false, {}],
    [false, { type: 'other' }],
    [false, { type: 'forward', token: 'x'.repeat(256) }],
    [false, { type: 'forward', token: '\u0085' }],
    [false, { type: 'forward', label: '' }],
    [false, { type: 'forward', expires_at: '2030-01-01T00:00:00+01:00' }],
    [false, { type: 'reverse', username: 'u' }],
    [false, { type: 'reverse', username: 'u', password: null }],
    [false, { type: 'reverse', port: 0 }],
    [false, { type: 'connector' }],
    [false, { type: 'connector', reverse_token: null }],
    [false, { type: 'connector', reverse_token: '' }],
  ])('to POST /api/token: %s for %j', async (allowed, body) => {
    expect(problem('POST', '/api/token', body)).toBe(allowed)
    expect((await createFixture().call('POST', '/api/token', body)).ok).toBe(allowed)
  })

  it.each<[boolean, object]>([
    [true, {}],
    [true, { label: 'é', enabled: false, expires_at: null, username: 'u', password: 'p' }],
    [true, { username: null, password: null }],
    [false, { username: null }],
    [false, { username: 'u', password: null }],
    [false, { password: 'p' }],
    [true, { policy: null }],
    [true, { policy: { ...POLICY, egress: [], hours: null } }],
    ...BAD_POLICIES.map((policy): [boolean, object] => [false, { policy }]),
    [false, { enabled: null }],
    [false, { token: 'x' }],
    [false, { proxy_protocols: null }],
    [false, { proxy_protocols: ['http'] }],
  ])('to PATCH /api/tokens/{id}: %s for %j', async (allowed, body) => {
    expect(problem('PATCH', '/api/tokens/x', body)).toBe(allowed)
    expect((await createFixture().call('PATCH', '/api/tokens/x', body)).status === 404).toBe(allowed)
  })

  it.each<[boolean, object]>([
    [true, { token: 'x', color: 'red' }],
    [false, {}],
    [false, { token: null }],
    [false, { token: '' }],
  ])('to DELETE /api/token: %s for %j', async (allowed, body) => {
    expect(problem('DELETE', '/api/token', body)).toBe(allowed)
    expect((await createFixture().call('DELETE', '/api/token', body)).ok).toBe(allowed)
  })

  it.each<[boolean, object]>([
    [true, { target: 'example.com:443' }],
    [true, { target: '[2001:db8::1]:22', protocol: 'udp', policy: POLICY }],
    [true, { target: 'a:1', protocol: null, policy: null }],
    [false, {}],
    [false, { target: 'example.com' }],
    [false, { target: 'a:1', protocol: 'icmp' }],
    [false, { target: 'a:1', color: 'red' }],
    ...BAD_POLICIES.map((policy): [boolean, object] => [false, { target: 'a:1', policy }]),
  ])('to POST /api/tokens/{id}/check: %s for %j', async (allowed, body) => {
    expect(problem('POST', '/api/tokens/x/check', body)).toBe(allowed)
    expect((await createFixture().call('POST', '/api/tokens/x/check', body)).status === 404).toBe(allowed)
  })
})
