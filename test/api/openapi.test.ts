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
      ...[
        'GET /healthz',
        'GET /metrics',
        'GET /readyz',
        'PATCH /api/tokens/{id}',
        'POST /api/token',
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
})
