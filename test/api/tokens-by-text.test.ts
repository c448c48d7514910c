import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { addedTokenSchema } from '../../src/api/tokens-by-text.js'
import type { TokenSpec } from '../../src/relay/tokens/token-spec.js'
import { BAD_TOKENS, createFixture, expectJson, failure, KEY, textError } from './fixture.js'

const credentialError = (field: string) => `${field} must be a string of 1 to 255 bytes of UTF-8`
const PORT_ERROR = 'port must be an integer from 1 to 65535'
const PAIR_ERROR = 'username and password must be given together'
const PROTOCOLS_ERROR =
  "proxy_protocols cannot be set for a token: the server's --proxy-protocols holds for all of them"

describe('POST /api/token', () => {
  it.each<[{ type: string; token?: string | null; [field: string]: unknown }, TokenSpec]>([
    [{ type: 'forward' }, { type: 'forward' }],
    [{ type: 'forward', token: '' }, { type: 'forward' }],
    [{ type: 'forward', token: null }, { type: 'forward' }],
    [
      { type: 'forward', token: 't' },
      { type: 'forward', token: 't' },
    ],
    [
      { type: 'forward', token: 't', port: 'x', color: 'red' },
      { type: 'forward', token: 't' },
    ],
    [{ type: 'reverse' }, { type: 'reverse' }],
    [{ type: 'reverse', token: null, port: null, username: null, password: null }, { type: 'reverse' }],
    [{ type: 'reverse', allow_manage_connector: null }, { type: 'reverse' }],
    [
      { type: 'reverse', allow_manage_connector: false },
      { type: 'reverse', allowManageConnector: false },
    ],
    [
      { type: 'reverse', token: 'r', port: 1, username: 'u', password: 'p', allow_manage_connector: true },
      { type: 'reverse', token: 'r', port: 1, username: 'u', password: 'p', allowManageConnector: true },
    ],
    [
      { type: 'reverse', port: 65_535 },
      { type: 'reverse', port: 65_535 },
    ],
    [
      { type: 'connector', reverse_token: 'r' },
      { type: 'connector', reverseToken: 'r' },
    ],
    [
      { type: 'connector', token: '', reverse_token: 'r' },
      { type: 'connector', reverseToken: 'r' },
    ],
    [
      { type: 'connector', token: 'c', reverse_token: 'r' },
      { type: 'connector', token: 'c', reverseToken: 'r' },
    ],
  ])('takes %j', async (body, spec) => {
    const { call, admin } = createFixture()
    const response = await call('POST', '/api/token', body)
    expect(response.status).toBe(200)
    expect(await expectJson(response)).toEqual({ success: true, token: body.token || 'generated' })
    expect(admin.added).toEqual([spec])
  })

  it('answers the port of a reverse token that has one', async () => {
    const { call, admin } = createFixture()
    admin.answer = { port: 10_000 }
    const body = await expectJson(await call('POST', '/api/token', { type: 'reverse', token: 'r' }))
    expect(body).toEqual({ success: true, token: 'r', port: 10_000 })
    expect(v.is(addedTokenSchema, body)).toBe(true)
  })

  it('says where the token is found by its id, though it may be gone again already', async () => {
    const { call, admin } = createFixture()
    admin.answer = { id: 'a'.repeat(24) }
    const response = await call('POST', '/api/token', { type: 'forward' })
    expect(response.headers.get('location')).toBe(`/api/tokens/${'a'.repeat(24)}`)
  })

  it.each(['anonymous', '..', '../x', 'ключ', '😀', 'a b', '"', 'x'.repeat(255), 'é'.repeat(127), ' '])(
    'passes the token %j on as it is',
    async (token) => {
      const { call, admin } = createFixture()
      expect((await call('POST', '/api/token', { type: 'forward', token })).status).toBe(200)
      expect(admin.added).toEqual([{ type: 'forward', token }])
    },
  )

  it.each([
    ...[{}, { token: 't' }, { type: null }, { type: '' }, { type: 'Forward' }, { type: 1 }, { type: ['forward'] }].map(
      (body) => [body, 'invalid token type'] as const,
    ),
    ...BAD_TOKENS.flatMap((token) => [
      [{ type: 'forward', token }, textError('token')] as const,
      [{ type: 'reverse', token }, textError('token')] as const,
      [{ type: 'connector', token, reverse_token: 'r' }, textError('token')] as const,
      [{ type: 'connector', reverse_token: token }, textError('reverse_token')] as const,
    ]),
    ...[0, -1, 65_536, 1.5, 1e300, '8080', true, [], {}].map(
      (port) => [{ type: 'reverse', port }, PORT_ERROR] as const,
    ),
    ...[{ username: 'u' }, { password: 'p' }, { username: 'u', password: null }, { username: null, password: 'p' }].map(
      (pair) => [{ type: 'reverse', ...pair }, PAIR_ERROR] as const,
    ),
    ...['', 'x'.repeat(256), '\ud800', 1, true, {}].flatMap((value) => [
      [{ type: 'reverse', username: value, password: 'p' }, credentialError('username')] as const,
      [{ type: 'reverse', username: 'u', password: value }, credentialError('password')] as const,
    ]),
    ...[0, 1, 'true', '', [], {}].map(
      (flag) =>
        [{ type: 'reverse', allow_manage_connector: flag }, 'allow_manage_connector must be true or false'] as const,
    ),
    ...[['socks5'], [], 'socks5', false].flatMap((proxy_protocols) =>
      [{ type: 'forward' }, { type: 'reverse' }, { type: 'connector', reverse_token: 'r' }].map(
        (body) => [{ ...body, proxy_protocols }, PROTOCOLS_ERROR] as const,
      ),
    ),
    ...[{}, { reverse_token: '' }, { reverse_token: null }].map(
      (body) => [{ type: 'connector', ...body }, 'reverse_token is required for connector token'] as const,
    ),
  ])('refuses %j with 400', async (body, error) => {
    const { call, admin } = createFixture()
    const response = await call('POST', '/api/token', body)
    expect(response.status).toBe(400)
    expect(await expectJson(response)).toEqual(failure(error))
    expect(admin.added).toEqual([])
  })

  it.each([undefined, '', 'null', '[]', '"forward"', '{"type":', 'type=forward', Uint8Array.of(0x7b, 0xff, 0x7d)])(
    'refuses the body %j as such',
    async (body) => {
      const { call } = createFixture()
      const response = await call('POST', '/api/token', body)
      expect(response.status).toBe(400)
      expect(await expectJson(response)).toEqual(failure('invalid request body'))
    },
  )

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1', 'nonsense'])(
    'reads JSON that calls itself %s',
    async (type) => {
      const { call } = createFixture()
      const headers = { 'x-api-key': KEY, 'content-type': type }
      expect((await call('POST', '/api/token', '{"type":"forward"}', headers)).status).toBe(200)
    },
  )

  it('goes by the last of duplicate fields', async () => {
    const { call, admin } = createFixture()
    await call('POST', '/api/token', '{"type":"reverse","token":"a","type":"forward","token":"b"}')
    expect(admin.added).toEqual([{ type: 'forward', token: 'b' }])
  })

  it('takes no field from a prototype', async () => {
    const { call, admin } = createFixture()
    await call('POST', '/api/token', '{"type":"forward","__proto__":{"token":"planted"}}')
    expect(admin.added).toEqual([{ type: 'forward' }])
  })

  it('leaves one audit line with the key, the id and where it came from, and no secret', async () => {
    const { call, admin, lines } = createFixture()
    admin.answer = { id: 'a'.repeat(24), port: 10_000 }
    const body = { type: 'reverse', token: 's3cret', username: 'u5er', password: 'pa55' }
    await call('POST', '/api/token', body)
    const fields = { key: 'default', action: 'token.add', type: 'reverse', token: 'a'.repeat(24), port: 10_000 }
    expect(lines).toEqual([{ level: 'info', event: 'api.audit', fields: { ...fields, remote: '192.0.2.7' } }])
  })
})

describe('DELETE /api/token', () => {
  it('removes the token in the body', async () => {
    const { call, admin, lines } = createFixture()
    const response = await call('DELETE', '/api/token', { token: 'a/b', type: 'whatever' })
    expect(response.status).toBe(200)
    expect(await expectJson(response)).toEqual({ success: true, token: 'a/b' })
    expect(admin.removed).toEqual(['a/b'])
    expect(JSON.stringify(lines)).not.toContain('a/b')
  })

  it.each([undefined, '', {}, { token: '' }, { token: null }, { type: 'forward' }])(
    'misses the token in %j',
    async (body) => {
      const { call, admin } = createFixture()
      const response = await call('DELETE', '/api/token', body)
      expect(response.status).toBe(400)
      expect(await expectJson(response)).toEqual(failure('token not specified'))
      expect(admin.removed).toEqual([])
    },
  )

  it.each(['[]', 'x', 'null', '{"token":'])('refuses the body %j as such', async (body) => {
    const response = await createFixture().call('DELETE', '/api/token', body)
    expect(response.status).toBe(400)
    expect(await expectJson(response)).toEqual(failure('invalid request body'))
  })

  it.each(BAD_TOKENS.map((token) => ({ token })))('refuses $token', async ({ token }) => {
    const response = await createFixture().call('DELETE', '/api/token', { token })
    expect(response.status).toBe(400)
    expect(await expectJson(response)).toEqual(failure(textError('token')))
  })
})

describe('DELETE /api/token/{token}', () => {
  it.each([
    ['plain', 'plain'],
    ['a+b', 'a+b'],
    ['%2e%2e', '..'],
    ['..', '..'],
    ['.', '.'],
    ['%2E', '.'],
    ['a%2Fb', 'a/b'],
    ['a/b', 'a/b'],
    ['a/', 'a/'],
    ['/', '/'],
    ['%3F%23', '?#'],
    ['%25', '%'],
    ['%2565', '%65'],
    ['%F0%9F%98%80', '😀'],
    ['\xc3\xa9', 'é'],
    ['status', 'status'],
    ['x'.repeat(255), 'x'.repeat(255)],
  ])('takes the segment %s', async (segment, token) => {
    const { call, admin } = createFixture()
    const response = await call('DELETE', `/api/token/${segment}`)
    expect(response.status).toBe(200)
    expect(await expectJson(response)).toEqual({ success: true, token })
    expect(admin.removed).toEqual([token])
  })

  it.each(['%', '%2', '%zz', '%FF', '%ED%A0%80', 'é'.repeat(3)])(
    'refuses %j, which does not decode',
    async (segment) => {
      const response = await createFixture().call('DELETE', `/api/token/${segment}`)
      expect(response.status).toBe(400)
      expect(await expectJson(response)).toEqual(failure('token is not valid percent-encoded UTF-8'))
    },
  )

  it.each(['%00', '%0A', '%7F', 'x'.repeat(256)])('refuses %j, which can be no token', async (segment) => {
    const response = await createFixture().call('DELETE', `/api/token/${segment}`)
    expect(response.status).toBe(400)
    expect(await expectJson(response)).toEqual(failure(textError('token')))
  })

  it('misses the token in an empty segment, whatever the body says', async () => {
    const { call, admin } = createFixture()
    const response = await call('DELETE', '/api/token/', { token: 'x' })
    expect(response.status).toBe(400)
    expect(await expectJson(response)).toEqual(failure('token not specified'))
    expect(admin.removed).toEqual([])
  })

  it.each([{ token: 'other' }, 'no json', '[]'])('goes by the path beside the body %j', async (body) => {
    const { call, admin } = createFixture()
    expect((await call('DELETE', '/api/token/mine', body)).status).toBe(200)
    expect(admin.removed).toEqual(['mine'])
  })
})
