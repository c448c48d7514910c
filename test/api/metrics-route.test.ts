import { describe, expect, it } from 'vitest'
import { createFixture, expectJson, failure, KEY } from './fixture.js'

const METRICS = { contentType: 'text/plain; version=0.0.4; charset=utf-8', render: async () => 'up 1\n' }
const METRICS_KEY = 'key-of-the-metrics'
const SCREEN = { name: 'screen', role: 'read-only', key: 'key-of-the-screen' } as const
const ALL = { apiKey: KEY, apiKeys: [SCREEN], metricsKey: METRICS_KEY, metrics: METRICS }

describe('GET /metrics', () => {
  it.each([
    { 'x-api-key': METRICS_KEY },
    { authorization: `Bearer ${METRICS_KEY}` },
    { authorization: `bearer   ${METRICS_KEY}` },
    { 'x-api-key': KEY },
    { authorization: `Bearer ${KEY}` },
    { 'x-api-key': SCREEN.key },
    { authorization: `BEARER ${SCREEN.key}` },
    { 'x-api-key': METRICS_KEY, authorization: 'Bearer wrong' },
  ])('is answered with %j', async (headers) => {
    const { call, lines } = createFixture(ALL)
    const response = await call('GET', '/metrics', undefined, headers as Record<string, string>)
    expect([response.status, await response.text()]).toEqual([200, 'up 1\n'])
    expect(response.headers.get('content-type')).toBe(METRICS.contentType)
    expect(lines).toEqual([])
  })

  it.each([
    {},
    { 'x-api-key': '' },
    { authorization: METRICS_KEY },
    { authorization: 'Bearer' },
    { authorization: 'Bearer wrong' },
    { authorization: `Basic ${METRICS_KEY}` },
    { authorization: `Bearer${METRICS_KEY}` },
    { 'x-api-key': 'wrong', authorization: `Bearer ${METRICS_KEY}` },
    { cookie: `key=${METRICS_KEY}` },
  ])('is refused with %j', async (headers) => {
    const { call, lines } = createFixture(ALL)
    for (const target of ['/metrics', `/metrics?key=${METRICS_KEY}`]) {
      const response = await call('GET', target, undefined, headers as Record<string, string>)
      expect(response.status).toBe(401)
      expect(await expectJson(response)).toEqual(failure('invalid API key'))
    }
    expect(JSON.stringify(lines)).not.toContain(METRICS_KEY)
    expect(lines).toHaveLength(2)
  })

  it('answers HEAD without a body, and other methods 405', async () => {
    const { call } = createFixture(ALL)
    const head = await call('HEAD', '/metrics')
    expect([head.status, head.body, head.headers.get('content-length')]).toEqual([200, null, '5'])
    expect((await call('POST', '/metrics', 'x')).status).toBe(405)
  })

  it.each([{}, { metrics: METRICS }])('is not there without any key (%j)', async (options) => {
    const { call, lines } = createFixture(options)
    for (const headers of [{}, { 'x-api-key': KEY }, { authorization: `Bearer ${KEY}` }]) {
      const response = await call('GET', '/metrics', undefined, headers as Record<string, string>)
      expect([response.status, await expectJson(response)]).toEqual([404, failure('metrics are not enabled')])
    }
    expect(lines).toEqual([])
  })

  it('is not there, though the API is, while nothing is measured', async () => {
    const { call } = createFixture()
    const response = await call('GET', '/metrics')
    expect([response.status, await expectJson(response)]).toEqual([404, failure('metrics are not enabled')])
    expect((await call('GET', '/metrics', undefined, {})).status).toBe(401)
  })

  it.each(['/metrics/', '/metric', '/Metrics', '//metrics', '/%6detrics'])(
    'has no other name, such as %s',
    async (path) => {
      expect((await createFixture(ALL).call('GET', path)).status).toBe(404)
    },
  )
})

describe('the metrics key', () => {
  const headers = { 'x-api-key': METRICS_KEY }

  it.each(['/api/status', '/api/server', '/api/tokens', '/api/events', '/api/openapi.json', '/api/nothing'])(
    'does not open %s',
    async (path) => {
      const { call } = createFixture(ALL)
      expect((await call('GET', path, undefined, headers)).status).toBe(401)
      expect((await call('GET', path, undefined, { authorization: `Bearer ${KEY}` })).status).toBe(401)
    },
  )

  it('switches nothing else on', async () => {
    const { call } = createFixture({ metricsKey: METRICS_KEY, metrics: METRICS })
    expect((await call('GET', '/metrics', undefined, headers)).status).toBe(200)
    const response = await call('GET', '/api/status', undefined, headers)
    expect([response.status, await expectJson(response)]).toEqual([404, failure('API is not enabled')])
    expect(await (await call('GET', '/')).text()).toMatch(/API is not enabled/)
  })

  it('refuses to be empty', () => {
    expect(() => createFixture({ metricsKey: '' })).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }))
  })
})
