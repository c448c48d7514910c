import { describe, expect, it } from 'vitest'
import { createApi } from '../../src/api/api.js'
import { LinkSocksError } from '../../src/errors.js'
import { silentLogger } from '../../src/log.js'
import { FailedAttempts } from '../../src/relay/admission/failed-attempts.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { createFixture, crypto, expectJson, FakeAdmin, failure, KEY, streamOf } from './fixture.js'

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

  it('is judged before path, method and size', async () => {
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

describe('judgement', () => {
  const large = { 'x-api-key': KEY, 'content-length': '65537' }

  it('puts the path before the method, the method before the size, the size before the JSON', async () => {
    const { call } = createFixture()
    expect((await call('PATCH', '/api/nothing', 'x', large)).status).toBe(404)
    expect((await call('PATCH', '/api/token', 'x', large)).status).toBe(405)
    expect((await call('POST', '/api/token', 'x', large)).status).toBe(413)
    expect((await call('POST', '/api/token', 'x')).status).toBe(400)
  })

  it.each([
    ['/api/status', 'GET, HEAD, OPTIONS'],
    ['/api/token', 'POST, DELETE, OPTIONS'],
    ['/api/token/x', 'DELETE, OPTIONS'],
    ['/api/token/', 'DELETE, OPTIONS'],
  ])('answers other methods on %s 405, OPTIONS 204, both with Allow', async (path, allow) => {
    const { call } = createFixture()
    for (const method of ['PUT', 'PATCH', 'PROPFIND', 'constructor']) {
      const response = await call(method, path, {})
      expect([response.status, response.headers.get('allow')]).toEqual([405, allow])
      expect(await expectJson(response)).toEqual(failure('method not allowed'))
    }
    const options = await call('OPTIONS', path)
    expect([options.status, options.headers.get('allow'), await options.text()]).toEqual([204, allow, ''])
  })

  it('answers 413 without reading for an announced length, on every call that takes a body', async () => {
    const { call, admin } = createFixture()
    for (const [method, path] of [
      ['POST', '/api/token'],
      ['DELETE', '/api/token'],
      ['DELETE', '/api/token/x'],
    ] as const) {
      const { stream, seen } = streamOf([new Uint8Array(10)], true)
      const response = await call(method, path, stream, large)
      expect(response.status).toBe(413)
      expect(await expectJson(response)).toEqual(failure('request body is larger than 65536 bytes'))
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

  it.each([
    [new LinkSocksError('ERR_TOKEN_INVALID', 'username must be shorter'), 400, 'username must be shorter'],
    [new LinkSocksError('ERR_TOKEN_RESERVED', 'x'), 400, "'anonymous' is reserved and cannot be used as a token"],
    [
      new LinkSocksError('ERR_TOKEN_AUTONOMY', 'x'),
      400,
      'connector tokens of this reverse token are managed by its providers',
    ],
    [new LinkSocksError('ERR_TOKEN_NOT_FOUND', 'x'), 404, 'token not found'],
    [new LinkSocksError('ERR_REVERSE_TOKEN_NOT_FOUND', 'x'), 404, 'reverse token not found'],
    [new LinkSocksError('ERR_TOKEN_EXISTS', 'x'), 409, 'token already exists'],
    [new LinkSocksError('ERR_PORT_UNAVAILABLE', 'x'), 409, 'port not available'],
    [new LinkSocksError('ERR_LIMIT', 'too many connector tokens'), 409, 'too many connector tokens'],
    [new LinkSocksError('ERR_SHUTTING_DOWN', 'x'), 503, 'server is shutting down'],
    [new LinkSocksError('ERR_NOT_STORED', 'x'), 507, 'not stored'],
  ])('tells %s as %i', async (thrown, status, error) => {
    const { call, admin, lines } = createFixture()
    admin.failure = thrown
    const answers = [await call('POST', '/api/token', { type: 'forward' })]
    // removing finds nothing in its way
    if (status !== 409) answers.push(await call('DELETE', '/api/token/x'))
    for (const response of answers) {
      expect(response.status).toBe(status)
      expect(await expectJson(response)).toEqual(failure(error))
    }
    expect(lines).toEqual([])
  })

  it.each([
    [new Error('disk\nfull'), 'disk\\u{a}full'],
    [new LinkSocksError('ERR_LINK_LOST', 'gone'), 'gone'],
    ['text', 'string'],
    [Object.create(null), 'object'],
  ])('is 500 for a failure of our own, whose cause only the log tells', async (thrown, logged) => {
    const { call, admin, lines } = createFixture()
    admin.failure = thrown
    for (const response of [await call('GET', '/api/status'), await call('DELETE', '/api/token/x')]) {
      expect(response.status).toBe(500)
      expect(await expectJson(response)).toEqual(failure('internal error'))
    }
    expect(lines.map(({ level, event, fields }) => [level, event, fields.error])).toEqual(
      Array(2).fill(['error', 'api.failed', logged]),
    )
    admin.failure = undefined
    expect((await call('GET', '/api/status')).status).toBe(200)
  })
})
