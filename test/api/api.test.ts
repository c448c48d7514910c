import { describe, expect, it } from 'vitest'
import { createApi } from '../../src/api/api.js'
import { FailedAttempts } from '../../src/inbound/failed-attempts.js'
import { silentLogger } from '../../src/log.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { createFixture, crypto, expectJson, FakeAdmin, failure, KEY, streamOf, tokenInfo } from './fixture.js'

const ID = 'a'.repeat(24)

describe('paths', () => {
  it.each([
    '',
    '/favicon.ico',
    '/api',
    '/API/status',
    '//',
    '//api/status',
    '/socket',
    '/index.html',
    '*',
    '/constructor',
  ])('answers %j with 404, key or not', async (path) => {
    const { call } = createFixture()
    for (const headers of [{}, { 'x-api-key': KEY }]) {
      const response = await call('GET', path, undefined, headers)
      expect(response.status).toBe(404)
      expect(await expectJson(response)).toEqual(failure('not found'))
    }
  })

  it.each(['/api/', '/api/nothing', '/api/status/', '/api/statuses', '/api/tokenz', '/api/%73tatus', '/api/../'])(
    'answers %j with 404 behind the key',
    async (path) => {
      const { call } = createFixture()
      expect((await call('GET', path)).status).toBe(404)
      expect((await call('GET', path, undefined, {})).status).toBe(401)
    },
  )

  it('answers everything under /api/ with 404 while there is no key', async () => {
    const { call } = createFixture({})
    for (const [method, path] of [
      ['GET', '/api/status'],
      ['POST', '/api/token'],
      ['DELETE', '/api/token/x'],
      ['GET', '/api/nothing'],
      ['PATCH', '/api/status'],
    ] as const) {
      const response = await call(method, path)
      expect(response.status).toBe(404)
      expect(await expectJson(response)).toEqual(failure('API is not enabled'))
    }
  })

  it('refuses to be made with an empty key', () => {
    const clock = new ManualClock()
    const attempts = new FailedAttempts(clock)
    const apiKeys = [{ name: 'default', role: 'full', key: '' }] as const
    const options = { admin: new FakeAdmin(clock), version: '1', clock, attempts, crypto, log: silentLogger, apiKeys }
    expect(() => createApi(options)).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }))
  })
})

describe('the key', () => {
  it('is missed in a few log lines only, however many guess', async () => {
    const { call, lines } = createFixture()
    for (let guess = 0; guess < 200; guess += 1) void call('GET', '/api/status', undefined, { 'x-api-key': 'wrong' })
    await settle()
    expect(lines).toHaveLength(50)
  })

  it('is answered later and later when it is wrong, then with 429, and at once when it is right', async () => {
    const { call, clock } = createFixture()
    const guess = () => call('GET', '/api/status', undefined, { 'x-api-key': 'wrong' })
    for (let i = 0; i < 10; i += 1) expect((await guess()).status).toBe(401)
    let status: number | undefined
    void guess().then((response) => {
      status = response.status
    })
    await settle()
    expect(status).toBeUndefined()
    expect((await call('GET', '/api/status')).status).toBe(200)
    clock.advance(250)
    await settle()
    expect(status).toBe(401)
    const rest = Array.from({ length: 50 }, guess)
    await settle()
    clock.advance(3_000)
    const last = (await Promise.all(rest)).at(-1)
    expect([last?.status, last?.headers.get('retry-after')]).toEqual([429, '10'])
    expect((await call('GET', '/api/status')).status).toBe(200)
  })

  it.each([{}, { 'x-api-key': '' }, { 'x-api-key': 'wrong' }, { 'x-api-key': `${KEY}x` }, { authorization: KEY }])(
    'is missed in %j: 401 before the body is read',
    async (headers) => {
      const { call, admin } = createFixture()
      const { stream, seen } = streamOf([new Uint8Array(10)], true)
      const response = await call('POST', '/api/token', stream, headers as Record<string, string>)
      expect(response.status).toBe(401)
      expect(response.headers.has('www-authenticate')).toBe(true)
      expect(await expectJson(response)).toEqual(failure('invalid API key'))
      expect(seen.pulled).toBe(0)
      expect(admin.added).toEqual([])
    },
  )

  it('is checked before path, method and size', async () => {
    const { call } = createFixture()
    const large = { 'content-length': '9999999' }
    for (const [method, path] of [
      ['GET', '/api/nothing'],
      ['PUT', '/api/status'],
      ['POST', '/api/token'],
      ['OPTIONS', '/api/token'],
    ] as const) {
      expect((await call(method, path, undefined, large)).status).toBe(401)
    }
  })

  it('never reaches the log, nor does a wrong one', async () => {
    const { call, lines } = createFixture()
    await call('GET', '/api/status', undefined, { 'x-api-key': 'guess' })
    await call('GET', '/api/status')
    expect(lines).toEqual([{ level: 'warn', event: 'api.key.rejected', fields: { remote: '192.0.2.7' } }])
  })
})

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
  ])('of %s are listed in the answer to OPTIONS, 204, and to all others, 405', async (path, allow) => {
    const { call } = createFixture()
    for (const method of ['PUT', 'PROPFIND', 'LINK', 'constructor']) {
      const response = await call(method, path, {})
      expect([method, response.status, response.headers.get('allow')]).toEqual([method, 405, allow])
      expect(await expectJson(response)).toEqual(failure('method not allowed'))
    }
    // query and body are ignored
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

  it.each([
    ['/api/status', 'GET, HEAD, OPTIONS'],
    ['/api/token', 'POST, DELETE, OPTIONS'],
    ['/api/token/x', 'DELETE, OPTIONS'],
    ['/api/token/', 'DELETE, OPTIONS'],
  ])('of %s, a call on token text, are listed in the same way', async (path, allow) => {
    const { call } = createFixture()
    for (const method of ['PUT', 'PATCH', 'PROPFIND', 'constructor']) {
      const response = await call(method, path, {})
      expect([response.status, response.headers.get('allow')]).toEqual([405, allow])
      expect(await expectJson(response)).toEqual(failure('method not allowed'))
    }
    const options = await call('OPTIONS', path)
    expect([options.status, options.headers.get('allow'), await options.text()]).toEqual([204, allow, ''])
  })
})

describe('a query', () => {
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

  it('is ignored by the status and the calls on token text', async () => {
    const { call } = createFixture()
    expect((await call('GET', '/api/status?x=1&x=2')).status).toBe(200)
    expect((await call('POST', '/api/token?x', { type: 'forward' })).status).toBe(200)
    expect((await call('DELETE', '/api/token/x?y')).status).toBe(200)
  })
})

describe('the order of checks', () => {
  const readOnly = { 'x-api-key': 'screen' }
  const large = { 'content-length': '262145' }
  const largeWithKey = { ...large, 'x-api-key': KEY }
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

  it('puts the path before the method, the method before the size, the size before the JSON', async () => {
    const { call } = createFixture()
    expect((await call('PATCH', '/api/nothing', 'x', largeWithKey)).status).toBe(404)
    expect((await call('PATCH', '/api/token', 'x', largeWithKey)).status).toBe(405)
    expect((await call('POST', '/api/token', 'x', largeWithKey)).status).toBe(413)
    expect((await call('POST', '/api/token', 'x')).status).toBe(400)
  })

  it('answers 413 without reading for an announced length, on every call that takes a body', async () => {
    const { call, admin } = createFixture()
    for (const [method, target, most = 65_536] of [
      ['DELETE', '/api/token'],
      ['DELETE', '/api/token/x'],
      ['PUT', '/api/config/access'],
      ['POST', '/api/token', 262_144],
      ['PATCH', path, 262_144],
      ['POST', `${path}/check`, 262_144],
    ] as const) {
      const { stream, seen } = streamOf([new Uint8Array(10)], true)
      const headers = { 'x-api-key': KEY, 'content-length': String(most + 1) }
      const response = await call(method, target, stream, headers)
      expect(response.status).toBe(413)
      expect(await expectJson(response)).toEqual(failure(`request body is larger than ${most} bytes`))
      expect(seen.pulled).toBe(0)
    }
    expect([...admin.added, ...admin.removed]).toEqual([])
  })

  it('answers 413 for a body that turns out too long', async () => {
    const { call } = createFixture()
    const { stream } = streamOf([new Uint8Array(4_096)], true)
    expect((await call('DELETE', '/api/token', stream)).status).toBe(413)
  })
})

describe('every answer', () => {
  it('is JSON that no cache keeps and no other origin reads', async () => {
    const { call } = createFixture()
    const answers = [
      await call('GET', '/api/status', undefined, { 'x-api-key': KEY, origin: 'http://elsewhere.test' }),
      await call('POST', '/api/token', { type: 'forward' }),
      await call('DELETE', '/api/token/x'),
      await call('GET', '/api/status', undefined, {}),
      await call('GET', '/nothing'),
    ]
    for (const { headers } of answers) {
      expect(headers.get('content-type')).toBe('application/json')
      expect(headers.get('cache-control')).toBe('no-store')
      expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    }
  })
})
