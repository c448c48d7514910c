import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import type { DryRun } from '../../src/relay/tokens/dry-run.js'
import { createFixture, expectJson, failure, tokenInfo } from './fixture.js'

const ID = 'a'.repeat(24)
const OTHER = 'b'.repeat(24)
const PATH = `/api/tokens/${ID}/check`
const TARGET_ERROR = 'target must be host:port with a port from 1 to 65535, IPv6 in brackets'

function withToken() {
  const fixture = createFixture()
  fixture.admin.infos = [tokenInfo({ id: ID, token: 'secret-token' })]
  return fixture
}

describe('POST /api/tokens/{id}/check', () => {
  const tcp = (host: string, port: number) => ({ target: { host, port }, protocol: 'tcp', policy: undefined }) as const

  it.each<[object, DryRun]>([
    [{ target: 'example.com:443' }, tcp('example.com', 443)],
    [{ target: '192.0.2.1:1', protocol: null }, tcp('192.0.2.1', 1)],
    [{ target: '[2001:db8::1]:65535' }, tcp('2001:db8::1', 65_535)],
    [
      { target: 'bücher.example:80', protocol: 'udp' },
      { ...tcp('bücher.example', 80), protocol: 'udp' },
    ],
    [
      { target: 'a:1', policy: null },
      { ...tcp('a', 1), policy: null },
    ],
    [
      { target: 'a:1', policy: { egress_default: 'deny', hours: null } },
      { ...tcp('a', 1), policy: { egressDefault: 'deny' } },
    ],
  ])('asks by %j', async (body, question) => {
    const { call, admin } = withToken()
    expect((await call('POST', PATH, body)).status).toBe(200)
    expect(admin.questions).toStrictEqual([[ID, question]])
  })

  it('answers what was found, leaves no audit line and changes nothing', async () => {
    const { call, admin, lines } = withToken()
    admin.verdict = { result: 'deny', rule: 3, tokenId: OTHER, reason: 'rule 3 of its policy denies it' }
    expect(await expectJson(await call('POST', PATH, { target: 'a:1' }))).toEqual({
      ...{ result: 'deny', rule: 3, token_id: OTHER, reason: 'rule 3 of its policy denies it' },
    })
    admin.verdict = { result: 'depends', reason: 'why' }
    expect(await expectJson(await call('POST', PATH, { target: 'a:1' }))).toEqual({
      ...{ result: 'depends', rule: null, token_id: null, reason: 'why' },
    })
    expect([lines, admin.changes]).toEqual([[], []])
  })

  it.each<readonly [object, string]>([
    [{}, 'target is missing'],
    ...[
      null,
      1,
      '',
      'a',
      'a:',
      ':1',
      'a:0',
      'a:65536',
      'a:99999',
      'a:1 ',
      'a b:1',
      '::1:80',
      '[::1]',
      '[::1]:',
      '[a]:1',
    ].map((target) => [{ target }, TARGET_ERROR] as const),
    ...['[::1]a:1', '[[::1]]:1', 'http://a:1', 'a:b:1', 'a\n:1', `${'x'.repeat(256)}:1`, '[2001:db8::g]:1'].map(
      (target) => [{ target }, TARGET_ERROR] as const,
    ),
    [{ target: 'a:1', protocol: 'icmp' }, 'protocol must be tcp or udp'],
    [{ target: 'a:1', color: 'red' }, 'unknown field: color'],
    [{ target: 'a:1', policy: [] }, 'policy must be an object'],
    [{ target: 'a:1', policy: { egress: [{ action: 'deny' }, {}] } }, 'policy.egress[1].action is missing'],
    [{ target: 'a:1', policy: { quotas: {} } }, 'unknown field: policy.quotas'],
  ])('refuses %j with 400', async (body, error) => {
    const { call, admin } = withToken()
    const response = await call('POST', PATH, body)
    expect([response.status, await expectJson(response)]).toEqual([400, failure(error)])
    expect(admin.questions).toEqual([])
  })

  it('tells why a policy is none', async () => {
    const { call, admin } = withToken()
    admin.failure = new LinkSocksError('ERR_TOKEN_INVALID', 'policy: egress rule 1: there is no list "@x"')
    const response = await call('POST', PATH, {
      target: 'a:1',
      policy: { egress: [{ action: 'deny', hosts: ['@x'] }] },
    })
    expect([response.status, await expectJson(response)]).toEqual([
      400,
      failure('policy: egress rule 1: there is no list "@x"'),
    ])
  })

  it('answers 404 for a token that is not there', async () => {
    const { call } = withToken()
    for (const segment of [OTHER, '', 'x/y', '%61']) {
      const response = await call('POST', `/api/tokens/${segment}/check`, { target: 'a:1' })
      expect([response.status, await expectJson(response)]).toEqual([404, failure('token not found')])
    }
  })

  it('is the only method of its path', async () => {
    const { call, admin } = withToken()
    for (const method of ['GET', 'PATCH', 'DELETE', 'PUT']) {
      const response = await call(method, PATH, method === 'GET' ? undefined : {})
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST, OPTIONS'])
    }
    expect([admin.removed, admin.changes]).toEqual([[], []])
    expect((await call('POST', `${PATH}/`, { target: 'a:1' })).status).toBe(405)
    expect((await call('POST', `${PATH}/more`, { target: 'a:1' })).status).toBe(405)
  })
})
