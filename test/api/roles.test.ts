import { describe, expect, it } from 'vitest'
import { maskToken } from '../../src/api/mask.js'
import { createFixture, expectJson, failure, KEY, streamOf, tokenInfo } from './fixture.js'

const ID = 'a'.repeat(24)
const SCREEN = { name: 'screen', role: 'read-only', key: 'key-of-the-screen' } as const
const READ_ONLY = { 'x-api-key': SCREEN.key }
const SECRETS = ['f0rward-secret', 'rev3rse-secret', 'c0nnector-secret'] as const
/** What the relay has and shows to nobody. */
const PASSWORD = 'pa55word-of-the-port'

const WRITES = [
  ['POST', '/api/token', { type: 'forward', token: 'new-secret' }],
  ['DELETE', '/api/token', { token: SECRETS[0] }],
  ['DELETE', `/api/token/${SECRETS[0]}`, undefined],
  ['PATCH', `/api/tokens/${ID}`, { enabled: false }],
  ['PATCH', `/api/tokens/${ID}`, { policy: { max_streams: 1 } }],
  ['POST', `/api/tokens/${ID}/check`, { target: 'example.com:443' }],
  ['DELETE', `/api/tokens/${ID}`, undefined],
  ['DELETE', `/api/clients/${ID}`, undefined],
] as const
const READS = [
  ...['/api/status', '/api/server', '/api/tokens', '/api/tokens?limit=1', `/api/tokens/${ID}`, '/api/clients'],
  ...['/api/streams', '/api/openapi.json', '/metrics', '/', '/healthz', '/readyz'],
]

function guarded() {
  const metrics = { contentType: 'text/plain', render: async () => 'up 1\n' }
  const fixture = createFixture({ apiKey: KEY, apiKeys: [SCREEN], metricsKey: 'key-of-the-metrics', metrics })
  const { admin } = fixture
  const [forward, reverse, connector] = SECRETS
  const port = {
    autonomy: false,
    port: 1,
    proxyProtocols: [],
    listening: true,
    portError: undefined,
    username: 'user',
    connectors: [ID],
  }
  admin.infos = [
    tokenInfo({ id: ID, token: forward }),
    tokenInfo({ number: 2, token: reverse, type: 'reverse', reverse: Object.assign(port, { password: PASSWORD }) }),
    tokenInfo({ number: 3, token: connector, type: 'connector', reverseId: ID }),
  ]
  admin.status = [
    { token: forward, type: 'forward', clientsCount: 0 },
    Object.assign({ token: reverse, type: 'reverse', clientsCount: 1, connectorTokens: [connector] } as const, {
      password: PASSWORD,
      username: 'user',
    }),
  ]
  return fixture
}

/** Everything that an answer says, headers included. */
async function wholeText(response: Response): Promise<string> {
  return `${[...response.headers].flat().join('\n')}\n${await response.text()}`
}

describe('a read-only key', () => {
  it.each(WRITES)('is refused %s %s before its body is looked at', async (method, path, body) => {
    const { call, admin, lines } = guarded()
    const { stream, seen } = streamOf([new Uint8Array(10)], true)
    for (const sent of [body, 'no JSON', stream]) {
      const response = await call(method, path, sent, READ_ONLY)
      expect(response.status).toBe(403)
      expect(await expectJson(response)).toEqual(failure('this API key may only read'))
    }
    expect(seen.pulled).toBe(0)
    expect([admin.added, admin.removed, admin.changes, admin.disconnected, admin.questions, lines]).toEqual([
      [],
      [],
      [],
      [],
      [],
      [],
    ])
  })

  it.each(READS)('reads %s, and finds no secret in it', async (path) => {
    const response = await guarded().call('GET', path, undefined, READ_ONLY)
    expect(response.status).toBe(200)
    const text = await wholeText(response)
    for (const secret of [...SECRETS, PASSWORD, KEY, SCREEN.key, 'key-of-the-metrics']) {
      expect(text).not.toContain(secret)
      // nor more of it than its beginning
      expect(text).not.toContain(secret.slice(0, 5))
    }
  })

  it('is shown how tokens begin', async () => {
    const { call } = guarded()
    const status = (await expectJson(await call('GET', '/api/status', undefined, READ_ONLY))) as { tokens: unknown }
    expect(status.tokens).toMatchObject([{ token: 'f0rw…' }, { token: 'rev3…', connector_tokens: ['c0nn…'] }])
    const list = (await expectJson(await call('GET', '/api/tokens', undefined, READ_ONLY))) as { tokens: unknown }
    expect(list.tokens).toMatchObject([{ token: 'f0rw…' }, { token: 'rev3…', username: 'user' }, { token: 'c0nn…' }])
    const one = await expectJson(await call('GET', `/api/tokens/${ID}`, undefined, READ_ONLY))
    expect(one).toMatchObject({ token: 'f0rw…' })
    const server = await expectJson(await call('GET', '/api/server', undefined, READ_ONLY))
    expect(server).toMatchObject({ key: { name: 'screen', role: 'read-only' } })
  })

  it('asks for methods, and is told', async () => {
    const response = await guarded().call('OPTIONS', `/api/tokens/${ID}`, undefined, READ_ONLY)
    expect([response.status, response.headers.get('allow')]).toEqual([204, 'GET, PATCH, DELETE, HEAD, OPTIONS'])
  })
})

describe('a full key', () => {
  it.each(READS)('reads %s, and finds no password and no key in it', async (path) => {
    const text = await wholeText(await guarded().call('GET', path))
    for (const secret of [PASSWORD, KEY, SCREEN.key, 'key-of-the-metrics']) expect(text).not.toContain(secret)
  })

  it.each(WRITES)('is answered %s %s without passwords and keys', async (method, path, body) => {
    const text = await wholeText(await guarded().call(method, path, body))
    for (const secret of [PASSWORD, KEY, SCREEN.key, 'key-of-the-metrics']) expect(text).not.toContain(secret)
  })

  it('reads tokens in full', async () => {
    const { call } = guarded()
    for (const path of ['/api/status', '/api/tokens']) {
      const text = await (await call('GET', path)).text()
      for (const secret of SECRETS) expect(text).toContain(secret)
    }
  })

  it('gets a password back neither by adding nor by changing', async () => {
    const { call } = guarded()
    const login = { username: 'u', password: PASSWORD }
    for (const response of [
      await call('POST', '/api/token', { type: 'reverse', ...login }),
      await call('PATCH', `/api/tokens/${ID}`, login),
      await call('PATCH', `/api/tokens/${ID}`, { ...login, username: PASSWORD.repeat(20) }),
    ]) {
      expect(await wholeText(response)).not.toContain(PASSWORD)
    }
  })
})

describe('failures', () => {
  it('repeat neither a token nor a password of the request', async () => {
    const { call } = guarded()
    const token = `${'t0ken'.repeat(60)}`
    for (const response of [
      await call('POST', '/api/token', { type: 'forward', token }),
      await call('POST', '/api/token', `{"type":"forward","token":"${token}`),
      await call('DELETE', `/api/token/${token}`),
      await call('POST', '/api/token', { type: 'reverse', password: token }),
      await call('GET', `/api/streams?token=${token}`),
      await call('GET', `/api/tokens/${token}`),
    ]) {
      expect(response.ok).toBe(false)
      expect(await wholeText(response)).not.toContain('t0ken')
    }
  })
})

describe('maskToken()', () => {
  it.each([
    ['', '…'],
    ['a', '…'],
    ['ab', 'a…'],
    ['abc', 'a…'],
    ['abcdefg', 'abc…'],
    ['abcdefgh', 'abcd…'],
    ['a'.repeat(255), 'aaaa…'],
    ['😀', '…'],
    ['😀😀😀', '😀…'],
    ['😀a😀b😀c😀d😀', '😀a😀b…'],
    ['\ud83dabcdefgh', '\ud83dabc…'],
  ])('shows of %j %j', (token, shown) => {
    expect(maskToken(token)).toBe(shown)
  })
})
