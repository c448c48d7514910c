import { describe, expect, it } from 'vitest'
import { createFixture, expectJson, failure, KEY, streamOf, tokenInfo } from './fixture.js'

const ID = 'a'.repeat(24)

describe('methods', () => {
  it.each([
    ['/api/server', 'GET, HEAD, OPTIONS'],
    ['/api/tokens', 'GET, HEAD, OPTIONS'],
    [`/api/tokens/${ID}`, 'GET, PATCH, DELETE, HEAD, OPTIONS'],
    ['/api/tokens/', 'GET, PATCH, DELETE, HEAD, OPTIONS'],
    ['/api/clients', 'GET, HEAD, OPTIONS'],
    [`/api/clients/${ID}`, 'DELETE, OPTIONS'],
    ['/api/streams', 'GET, HEAD, OPTIONS'],
    ['/api/events', 'GET, HEAD, OPTIONS'],
    ['/api/openapi.json', 'GET, HEAD, OPTIONS'],
    ['/metrics', 'GET, HEAD, OPTIONS'],
    ['/healthz', 'GET, HEAD, OPTIONS'],
    ['/readyz', 'GET, HEAD, OPTIONS'],
  ])('of %s are told by OPTIONS with 204 and by all others with 405', async (path, allow) => {
    const { call } = createFixture()
    for (const method of ['PUT', 'PROPFIND', 'LINK', 'constructor']) {
      const response = await call(method, path, {})
      expect([method, response.status, response.headers.get('allow')]).toEqual([method, 405, allow])
      expect(await expectJson(response)).toEqual(failure('method not allowed'))
    }
    // what stands in the query or the body is not looked at
    for (const target of [path, `${path}?no=thing`]) {
      const options = await call('OPTIONS', target, 'x')
      expect([options.status, options.headers.get('allow'), await options.text()]).toEqual([204, allow, ''])
    }
  })

  it.each(['/api/server', '/api/tokens', `/api/tokens/${ID}`, '/api/clients', '/api/streams', '/healthz', '/readyz'])(
    'answer HEAD %s with the headers of GET alone',
    async (path) => {
      const { call, admin } = createFixture()
      admin.infos = [tokenInfo({ id: ID })]
      const [get, head] = [await call('GET', path), await call('HEAD', path)]
      expect([head.status, head.body, [...head.headers]]).toEqual([200, null, [...get.headers]])
      expect(Number(head.headers.get('content-length'))).toBe((await get.arrayBuffer()).byteLength)
    },
  )

  it('answer HEAD on what fails without a body too', async () => {
    const { call } = createFixture()
    const [get, head] = [await call('GET', '/api/tokens/x'), await call('HEAD', '/api/tokens/x')]
    expect([head.status, head.body, [...head.headers]]).toEqual([404, null, [...get.headers]])
    const wrong = await call('HEAD', '/api/tokens', undefined, {})
    expect([wrong.status, wrong.body]).toEqual([401, null])
  })
})

describe('a query', () => {
  const LIMIT = 'limit must be an integer from 1 to 1000'
  const AFTER = 'after must be what next of the page before was'
  const noId = (name: string): string => `${name} must be an id of 24 hex digits`
  it.each<readonly [query: string, error: string]>([
    ...['', '0', '0000', '1001', '-1', '1.0', '1e2', ' 1', '0x10', 'all', '00100', '١', '1%00'].map(
      (limit) => [`limit=${limit}`, LIMIT] as const,
    ),
    ...['', '-1', 'a', '1.5', '1'.repeat(16), 'null'].map((after) => [`after=${after}`, AFTER] as const),
    ['cursor=1', 'unknown parameter: cursor'],
    ['Limit=1', 'unknown parameter: Limit'],
    ['limit=1&x', 'unknown parameter: x'],
    ['=', 'unknown parameter: '],
    ['limit[]=1', 'unknown parameter: limit[]'],
    ['limit=1&limit=1', 'limit is given twice'],
    ['x=1&x=2', 'x is given twice'],
    ['constructor=1', 'unknown parameter: constructor'],
  ])('?%s is refused by every list', async (query, error) => {
    const { call } = createFixture()
    for (const path of ['/api/tokens', '/api/clients', '/api/streams']) {
      const response = await call('GET', `${path}?${query}`)
      expect([path, response.status, await expectJson(response)]).toEqual([path, 400, failure(error)])
    }
  })

  it.each(['limit=1', 'limit=1000', 'limit=0007', 'after=0', 'after=000000000000001', '', '&', '%6cimit=1'])(
    '?%s is taken by every list',
    async (query) => {
      for (const path of ['/api/tokens', '/api/clients', '/api/streams']) {
        expect((await createFixture().call('GET', `${path}?${query}`)).status).toBe(200)
      }
    },
  )

  it.each([
    ...['', 'x', ID.toUpperCase(), ID.slice(1), `${ID}0`, `${ID}%0A`].flatMap((value) => [
      [`token=${value}`, noId('token')] as const,
      [`client=${value}`, noId('client')] as const,
    ]),
    ...['', 'Newest', 'desc'].map((order) => [`order=${order}`, 'order must be oldest or newest'] as const),
  ])('?%s is refused by the streams, and not known to tokens and clients', async (query, error) => {
    const { call } = createFixture()
    expect(await expectJson(await call('GET', `/api/streams?${query}`))).toEqual(failure(error))
    for (const path of ['/api/tokens', '/api/clients']) {
      const { error: unknown } = (await expectJson(await call('GET', `${path}?${query}`))) as { error: string }
      expect(unknown).toMatch(/^unknown parameter: /)
    }
  })

  it.each([
    ['GET', '/api/server'],
    ['GET', `/api/tokens/${ID}`],
    ['PATCH', `/api/tokens/${ID}`],
    ['DELETE', `/api/tokens/${ID}`],
    ['DELETE', `/api/clients/${ID}`],
    ['GET', '/api/openapi.json'],
  ])('has no place at %s %s', async (method, path) => {
    const { call, admin } = createFixture()
    admin.infos = [tokenInfo({ id: ID })]
    const response = await call(method, `${path}?force=1`, method === 'PATCH' ? {} : undefined)
    expect([response.status, await expectJson(response)]).toEqual([400, failure('unknown parameter: force')])
    expect([admin.changes, admin.removed]).toEqual([[], []])
  })

  it('is not looked at by the documented calls', async () => {
    const { call } = createFixture()
    expect((await call('GET', '/api/status?x=1&x=2')).status).toBe(200)
    expect((await call('POST', '/api/token?x', { type: 'forward' })).status).toBe(200)
    expect((await call('DELETE', '/api/token/x?y')).status).toBe(200)
  })
})

describe('the order of judgement', () => {
  const readOnly = { 'x-api-key': 'screen' }
  const large = { 'content-length': '65537' }
  const guarded = () => createFixture({ apiKey: KEY, apiKeys: [{ name: 's', role: 'read-only', key: 'screen' }] })
  const path = `/api/tokens/${ID}`

  it('is key, path, method, right, query, size, JSON, fields, and only then whether it is there', async () => {
    const { call } = guarded()
    const key = { 'x-api-key': KEY }
    const steps: readonly [number, string, string, unknown, Record<string, string>][] = [
      [401, 'PUT', '/api/nothing?x', 'x', large],
      [404, 'PUT', '/api/nothing?x', 'x', { ...readOnly, ...large }],
      [405, 'PUT', `${path}?x`, 'x', { ...readOnly, ...large }],
      [403, 'PATCH', `${path}?x`, 'x', { ...readOnly, ...large }],
      [400, 'PATCH', `${path}?x`, 'x', { ...key, ...large }],
      [413, 'PATCH', path, 'x', { ...key, ...large }],
      [400, 'PATCH', path, 'x', key],
      [400, 'PATCH', path, { label: '' }, key],
      [404, 'PATCH', path, { label: 'x' }, key],
    ]
    for (const [status, method, target, body, headers] of steps) {
      expect([status, method, target]).toEqual([(await call(method, target, body, headers)).status, method, target])
    }
  })

  it('reads no byte of a body before all the rest is well', async () => {
    const { call } = guarded()
    for (const [target, headers] of [
      [path, {}],
      ['/api/nothing', { 'x-api-key': KEY }],
      [path, readOnly],
      [`${path}?x`, { 'x-api-key': KEY }],
      [path, { 'x-api-key': KEY, ...large }],
    ] as const) {
      const { stream, seen } = streamOf([new Uint8Array(10)], true)
      expect((await call('PATCH', target, stream, headers)).ok).toBe(false)
      expect(seen.pulled).toBe(0)
    }
  })

  it('stops reading at the limit', async () => {
    const { stream } = streamOf([new Uint8Array(4_096)], true)
    expect((await createFixture().call('PATCH', path, stream)).status).toBe(413)
  })
})
