import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { statusSchema } from '../../src/api/server.js'
import { createFixture, expectJson, failure, tokenInfo } from './fixture.js'

const TOKEN = 'a'.repeat(24)
const TIME = '1970-01-01T00:00:01.500Z'

describe('GET /', () => {
  it('says that the API is there', async () => {
    const response = await createFixture().call('GET', '/', undefined, {})
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await response.text()).toBe('LinkSocks 1.2.3 is running. API endpoints available at /api/*\n')
  })

  it('says that the API is not enabled', async () => {
    const response = await createFixture({}).call('GET', '/', undefined, {})
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('LinkSocks 1.2.3 is running but API is not enabled.\n')
  })

  it('answers HEAD with the headers of GET alone', async () => {
    const { call } = createFixture()
    const [get, head] = [await call('GET', '/'), await call('HEAD', '/')]
    expect([...head.headers]).toEqual([...get.headers])
    expect(head.headers.get('content-length')).toBe(String((await get.text()).length))
    expect(await head.text()).toBe('')
  })

  it('answers other methods 405 with Allow', async () => {
    const response = await createFixture().call('POST', '/', {})
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, HEAD, OPTIONS')
    expect(await expectJson(response)).toEqual(failure('method not allowed'))
  })
})

describe('GET /api/status', () => {
  it('answers the version and no tokens', async () => {
    const response = await createFixture().call('GET', '/api/status')
    expect(response.status).toBe(200)
    expect(await expectJson(response)).toEqual({ version: '1.2.3', tokens: [] })
  })

  it('answers each token in the names of the wire', async () => {
    const { call, admin } = createFixture()
    admin.status = [
      { token: 'f', type: 'forward', clientsCount: 2 },
      {
        token: 'r',
        type: 'reverse',
        clientsCount: 1,
        port: 10_000,
        proxyProtocols: ['socks4', 'http'],
        connectorTokens: ['c1', 'c2'],
        listening: true,
      },
      {
        token: 'late',
        type: 'reverse',
        clientsCount: 0,
        port: 80,
        connectorTokens: [],
        listening: false,
        error: 'in use',
      },
      { token: 'auto', type: 'reverse', clientsCount: 3, connectorTokens: [] },
    ]
    const body = await expectJson(await call('GET', '/api/status'))
    expect(body).toEqual({
      version: '1.2.3',
      tokens: [
        { token: 'f', type: 'forward', clients_count: 2 },
        {
          token: 'r',
          type: 'reverse',
          clients_count: 1,
          port: 10_000,
          proxy_protocols: ['socks4', 'http'],
          connector_tokens: ['c1', 'c2'],
          listening: true,
        },
        {
          token: 'late',
          type: 'reverse',
          clients_count: 0,
          port: 80,
          connector_tokens: [],
          listening: false,
          error: 'in use',
        },
        { token: 'auto', type: 'reverse', clients_count: 3, connector_tokens: [] },
      ],
    })
    expect(v.is(statusSchema, body)).toBe(true)
  })

  it('shows nothing that a status holds beyond its fields', async () => {
    const { call, admin } = createFixture()
    const status = { token: 'r', type: 'reverse', clientsCount: 1, connectorTokens: [], password: 'pa55' } as const
    admin.status = [status]
    expect(await (await call('GET', '/api/status')).text()).not.toContain('pa55')
  })

  it('answers HEAD with the headers of GET alone', async () => {
    const { call } = createFixture()
    const [get, head] = [await call('GET', '/api/status'), await call('HEAD', '/api/status')]
    expect(head.status).toBe(200)
    expect([...head.headers]).toEqual([...get.headers])
    expect(await head.text()).toBe('')
  })
})

describe('GET /api/server', () => {
  it('answers version, key, counts and alarms', async () => {
    const { call, admin, clock } = createFixture()
    admin.infos = [tokenInfo({})]
    admin.durable = true
    const draining = { pid: 12, version: '1.2.2', clients: 1, streams: 3 }
    admin.drainingOthers = [{ ...draining, since: 1_500, until: 1_500 }]
    admin.alarmInfos = [
      { code: 'port-unavailable', subject: TOKEN, message: 'port 80 is in use', since: 1_500 },
      { code: 'not-stored', subject: undefined, message: 'disk full', since: 1_500 },
    ]
    clock.advance(5_000)
    expect(await expectJson(await call('GET', '/api/server'))).toEqual({
      ...{ version: '1.2.3', started_at: '2026-01-01T00:00:00.000Z', key: { name: 'default', role: 'full' } },
      ...{ durable: true, draining: false, tokens: 1, clients: 0, streams: 0 },
      ...{ received_bytes: 1_000, sent_bytes: 2_000 },
      draining_processes: [{ ...draining, since: TIME, until: TIME }],
      alarms: [
        { code: 'port-unavailable', subject: TOKEN, message: 'port 80 is in use', since: TIME },
        { code: 'not-stored', subject: null, message: 'disk full', since: TIME },
      ],
    })
  })

  it('says that the server takes nothing new', async () => {
    const { call, admin } = createFixture()
    admin.draining = true
    expect(await expectJson(await call('GET', '/api/server'))).toMatchObject({ draining: true, durable: false })
  })
})

describe.each([{}, { apiKey: 'key' }])('GET /healthz and /readyz with %j', (options) => {
  it('ask for no key', async () => {
    const { call, lines } = createFixture(options)
    for (const path of ['/healthz', '/readyz', '/readyz?verbose']) {
      const response = await call('GET', path, undefined, {})
      expect([response.status, await expectJson(response)]).toEqual([200, { status: 'ok' }])
    }
    expect(lines).toEqual([])
  })

  it('tell draining apart from failing', async () => {
    const { call, admin } = createFixture(options)
    admin.draining = true
    expect((await call('GET', '/healthz', undefined, {})).status).toBe(200)
    for (const method of ['GET', 'HEAD']) expect((await call(method, '/readyz', undefined, {})).status).toBe(503)
    expect(await expectJson(await call('GET', '/readyz', undefined, {}))).toEqual({ status: 'draining' })
  })
})
