import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { statusAnswerSchema } from '../../src/api/schemas.js'
import { BAD_TOKENS, createFixture, expectJson, failure, textError } from './fixture.js'

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
      { token: 'r', type: 'reverse', clientsCount: 1, port: 10_000, connectorTokens: ['c1', 'c2'], listening: true },
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
    expect(v.is(statusAnswerSchema, body)).toBe(true)
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
