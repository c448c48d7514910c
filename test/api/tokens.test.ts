import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import type { TokenChange } from '../../src/relay/tokens/token-spec.js'
import { createFixture, expectJson, failure, tokenInfo } from './fixture.js'

const ID = 'a'.repeat(24)
const OTHER = 'b'.repeat(24)
const PATH = `/api/tokens/${ID}`

const LABEL_ERROR = 'label must be a string of 1 to 200 bytes of UTF-8 without control characters'
const EXPIRY_ERROR = 'expires_at must be a time in UTC such as 2030-01-31T12:00:00Z'
const PAIR_ERROR = 'username and password must be given together'
const PROTOCOLS_ERROR =
  "proxy_protocols cannot be set for a token: the server's --proxy-protocols holds for all of them"
const credentialError = (field: string) => `${field} must be a string of 1 to 255 bytes of UTF-8`

/** Token `ID` in the names of the wire. */
const SHOWN = {
  ...{ id: ID, type: 'forward', token: 'secret-token', label: null, enabled: true, expires_at: null, state: 'active' },
  ...{ source: 'api', stored: false, created_at: '1970-01-01T00:00:00.000Z', clients: 0, streams: 0 },
  ...{ rules_count: 0, has_policy: false, policy_rules_count: 0, quota: null },
}
/** The same in an answer about it alone. */
const ALONE = { ...SHOWN, rules: [], policy: null }

function withToken() {
  const fixture = createFixture()
  fixture.admin.infos = [tokenInfo({ id: ID, token: 'secret-token' })]
  return fixture
}

describe('GET /api/tokens', () => {
  it('answers an empty list', async () => {
    expect(await expectJson(await createFixture().call('GET', '/api/tokens'))).toEqual({
      tokens: [],
      next: null,
      total: 0,
    })
  })

  it('answers each type in the names of the wire', async () => {
    const { call, admin } = createFixture()
    const rest = { autonomy: false, listening: true, portError: undefined, username: 'u', connectors: [OTHER] }
    const protocols = { proxyProtocols: ['socks5', 'http'] } as const
    const traits = { label: 'Büro', enabled: false, expiresAt: 1_000, state: 'disabled', stored: true } as const
    admin.infos = [
      tokenInfo({ id: ID, token: 'secret-token' }),
      tokenInfo({
        number: 2,
        type: 'reverse',
        ...traits,
        clients: 2,
        streams: 3,
        reverse: { ...rest, ...protocols, port: 10_000 },
      }),
      tokenInfo({
        ...{ number: 3, type: 'reverse', state: 'expired', source: 'command-line' },
        reverse: {
          ...rest,
          proxyProtocols: [],
          autonomy: true,
          port: undefined,
          listening: false,
          username: undefined,
          connectors: [],
        },
      }),
      tokenInfo({
        ...{ number: 4, type: 'reverse' },
        reverse: { ...rest, ...protocols, port: 1, listening: false, portError: 'in use', username: undefined },
      }),
      tokenInfo({ number: 5, type: 'connector', source: 'provider', reverseId: OTHER }),
    ]
    const { tokens, ...page } = (await expectJson(await call('GET', '/api/tokens'))) as { tokens: unknown[] }
    expect(page).toEqual({ next: null, total: 5 })
    const served = { proxy_protocols: ['socks5', 'http'] }
    const reverse = {
      ...served,
      allow_manage_connector: false,
      port: 10_000,
      listening: true,
      port_error: null,
      username: 'u',
    }
    const common = { ...SHOWN, id: '0'.repeat(24), token: 'token' }
    expect(tokens).toEqual([
      SHOWN,
      {
        ...{ ...common, type: 'reverse', label: 'Büro', enabled: false, state: 'disabled', stored: true },
        ...{ expires_at: '1970-01-01T00:00:01.000Z', clients: 2, streams: 3, ...reverse, connectors: [OTHER] },
      },
      {
        ...{ ...common, type: 'reverse', state: 'expired', source: 'command-line', allow_manage_connector: true },
        ...{ port: null, proxy_protocols: [], listening: false, port_error: null, username: null, connectors: [] },
      },
      {
        ...{ ...common, type: 'reverse', ...reverse, port: 1, listening: false, port_error: 'in use', username: null },
        connectors: [OTHER],
      },
      { ...common, type: 'connector', source: 'provider', reverse_id: OTHER },
    ])
  })

  it('goes page by page, though tokens come and go', async () => {
    const { call, admin } = createFixture()
    admin.infos = Array.from({ length: 5 }, (_, i) => tokenInfo({ number: i + 1, token: `t${i + 1}` }))
    const seen: string[] = []
    let path = '/api/tokens?limit=2'
    for (let next: string | null = ''; next !== null; path = `/api/tokens?limit=2&after=${next}`) {
      const page = (await expectJson(await call('GET', path))) as { tokens: { token: string }[]; next: string | null }
      seen.push(...page.tokens.map(({ token }) => token))
      next = page.next
      admin.infos = admin.infos.filter(({ token }) => token !== 't2' && token !== 't3')
    }
    expect(seen).toEqual(['t1', 't2', 't4', 't5'])
  })
})

describe('GET /api/tokens/{id}', () => {
  it('answers the one', async () => {
    expect(await expectJson(await withToken().call('GET', PATH))).toEqual(ALONE)
  })

  it.each([
    '',
    OTHER,
    ID.toUpperCase(),
    `${ID}/`,
    `${ID}a`,
    'secret-token',
    '%61'.repeat(24),
    '..',
    'a/b',
    '__proto__',
  ])('answers 404 for %j', async (segment) => {
    const { call } = withToken()
    for (const [method, body] of [['GET'], ['PATCH', {}], ['DELETE']] as const) {
      const response = await call(method, `/api/tokens/${segment}`, body)
      expect([method, response.status]).toEqual([method, 404])
      expect(await expectJson(response)).toEqual(failure('token not found'))
    }
  })
})

describe('PATCH /api/tokens/{id}', () => {
  const end = '2030-01-31T12:00:00Z'
  it('changes nothing, tells nobody and leaves no audit line when no field is named', async () => {
    const { call, admin, lines } = createFixture()
    const info = tokenInfo({})
    admin.infos = [info]
    const response = await call('PATCH', `/api/tokens/${info.id}`, {})
    expect([response.status, admin.changes, lines]).toEqual([200, [], []])
    expect(await expectJson(response)).toMatchObject({ id: info.id, token: info.token })
    expect((await call('PATCH', `/api/tokens/${'f'.repeat(24)}`, {})).status).toBe(404)
  })

  it.each<[object, TokenChange]>([
    [{ label: 'Büro 😀' }, { label: 'Büro 😀' }],
    [{ label: 'é'.repeat(100) }, { label: 'é'.repeat(100) }],
    [{ label: null }, { label: null }],
    [{ enabled: false }, { enabled: false }],
    [{ enabled: true }, { enabled: true }],
    [{ expires_at: end }, { expiresAt: Date.parse(end) }],
    [{ expires_at: null }, { expiresAt: null }],
    [
      { username: 'u', password: '\u0000\n' },
      { username: 'u', password: '\u0000\n' },
    ],
    [
      { username: null, password: null },
      { username: null, password: null },
    ],
    [
      { label: 'a', enabled: false, expires_at: null, username: 'u', password: 'p' },
      { label: 'a', enabled: false, expiresAt: null, username: 'u', password: 'p' },
    ],
  ])('takes %j', async (body, change) => {
    const { call, admin } = withToken()
    const response = await call('PATCH', PATH, body)
    expect(response.status).toBe(200)
    expect(await expectJson(response)).toEqual(ALONE)
    expect(admin.changes).toEqual([[ID, { expiresAt: undefined, ...change }]])
  })

  it.each([
    ...['', 'x'.repeat(201), 'é'.repeat(101), 'a\nb', '\u0085', '\ud800', 1, true, [], {}].map(
      (label) => [{ label }, LABEL_ERROR] as const,
    ),
    ...[null, 0, 1, 'true', [], {}].map((enabled) => [{ enabled }, 'enabled must be true or false'] as const),
    ...['', 'never', '2030-01-31', '2030-01-31T12:00:00', `${end} `, '2030-01-31T12:00:00+00:00', 1, true, [], {}].map(
      (expires_at) => [{ expires_at }, EXPIRY_ERROR] as const,
    ),
    ...['', 'x'.repeat(256), 'é'.repeat(128), '\udfff', 1, true, [], {}].flatMap((value) => [
      [{ username: value, password: 'p' }, credentialError('username')] as const,
      [{ username: 'u', password: value }, credentialError('password')] as const,
    ]),
    ...[
      { username: 'u' },
      { password: 'p' },
      { username: null },
      { password: null },
      { username: 'u', password: null },
      { username: null, password: 'p' },
    ].map((pair) => [pair, PAIR_ERROR] as const),
    ...[['socks5'], [], null].map((proxy_protocols) => [{ label: 'a', proxy_protocols }, PROTOCOLS_ERROR] as const),
    ...['id', 'token', 'type', 'port', 'Label', 'constructor', ''].map(
      (name) => [{ label: 'a', [name]: 'x' }, `unknown field: ${name}`] as const,
    ),
  ])('refuses %j with 400', async (body, error) => {
    const { call, admin, lines } = withToken()
    const response = await call('PATCH', PATH, body)
    expect(response.status).toBe(400)
    expect(await expectJson(response)).toEqual(failure(error))
    expect([admin.changes, lines]).toEqual([[], []])
  })

  it.each([undefined, '', '[]', 'null', '"x"', '{"label":', 'label=a'])('refuses the body %j as such', async (body) => {
    const { call, admin } = withToken()
    const response = await call('PATCH', PATH, body)
    expect(response.status).toBe(400)
    expect(await expectJson(response)).toEqual(failure('invalid request body'))
    expect(admin.changes).toEqual([])
  })

  it('refuses a field from a prototype as one that is not known', async () => {
    const response = await withToken().call('PATCH', PATH, '{"__proto__":{"enabled":false}}')
    expect(response.status).toBe(400)
  })

  it.each([
    ['ERR_TOKEN_INVALID', 400, 'expires_at must be in the future'],
    ['ERR_TOKEN_NOT_FOUND', 404, 'token not found'],
    ['ERR_NOT_STORED', 507, 'not stored'],
    ['ERR_SHUTTING_DOWN', 503, 'server is shutting down'],
  ] as const)('tells %s as %i', async (code, status, error) => {
    const { call, admin, lines } = withToken()
    admin.failure = new LinkSocksError(code, error)
    const answers = [await call('PATCH', PATH, { enabled: true })]
    if (status !== 400) answers.push(await call('DELETE', PATH))
    for (const response of answers) {
      expect(response.status).toBe(status)
      expect(await expectJson(response)).toEqual(failure(error))
    }
    expect(lines).toEqual([])
  })
})

describe('DELETE /api/tokens/{id}', () => {
  it('removes it and says nothing', async () => {
    const { call, admin } = withToken()
    const response = await call('DELETE', PATH)
    expect([response.status, response.body, response.headers.get('cache-control')]).toEqual([204, null, 'no-store'])
    expect(response.headers.has('content-type')).toBe(false)
    expect(admin.removed).toEqual(['secret-token'])
  })
})
