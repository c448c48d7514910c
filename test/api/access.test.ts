import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { MAX_ACCESS_RULES } from '../../src/exit/dial/access-rules.js'
import { createFixture, createRequest, expectJson, failure, KEY, tokenInfo } from './fixture.js'

const PATH = '/api/config/access'
const ID = 'a'.repeat(24)
const RULES_ERROR = `rules must be a list of at most ${MAX_ACCESS_RULES}, each {"addrs":[...],"ports":[...]}`
const ADDRS_ERROR = 'addrs must be a list of CIDRs, IP addresses and ranges'
const PORTS_ERROR = 'ports must be a list of ports from 1 to 65535 and pairs [low, high]'

/** Rules that are none, with the text that says why. */
const BAD_RULES: readonly (readonly [rules: unknown, error: string])[] = [
  ['any', RULES_ERROR],
  [{}, RULES_ERROR],
  [[1], RULES_ERROR],
  [[null], RULES_ERROR],
  [[{}, []], RULES_ERROR],
  [new Array<object>(MAX_ACCESS_RULES + 1).fill({}), RULES_ERROR],
  [[{ addrs: '10.0.0.0/8' }], ADDRS_ERROR],
  [[{ addrs: [1] }], ADDRS_ERROR],
  [[{ addrs: [''] }], 'empty address spec'],
  [[{ ports: 80 }], PORTS_ERROR],
  [[{ ports: ['80'] }], PORTS_ERROR],
  [[{ ports: [0] }], PORTS_ERROR],
  [[{ ports: [65_536] }], PORTS_ERROR],
  [[{ ports: [1.5] }], PORTS_ERROR],
  [[{ ports: [[1]] }], PORTS_ERROR],
  [[{ ports: [[1, 2, 3]] }], PORTS_ERROR],
  [[{ ports: [[1, 0]] }], PORTS_ERROR],
  [[{ addrs: [], hosts: [] }], 'unknown field in a rule: hosts'],
  [[{ addrs: ['10.0.0.1'], Addrs: ['10.0.0.2'] }], 'unknown field in a rule: Addrs'],
]

describe('GET /api/config/access', () => {
  it('answers null for sides without a limit', async () => {
    expect(await expectJson(await createFixture().call('GET', PATH))).toEqual({ entry: null, dial: null })
  })

  it('writes rules with capitals, and null for any address or port', async () => {
    const { call, admin } = createFixture()
    admin.access = { entry: [{ addresses: ['192.168.1.0/24'], ports: [22, [90, 150]] }, {}], dial: [{ ports: [1] }] }
    expect(await expectJson(await call('GET', PATH))).toEqual({
      entry: [
        { Addrs: ['192.168.1.0/24'], Ports: [22, [90, 150]] },
        { Addrs: null, Ports: null },
      ],
      dial: [{ Addrs: null, Ports: [1] }],
    })
  })
})

describe('PUT /api/config/access', () => {
  it.each([
    [{}, {}],
    [{ entry: null, dial: null }, {}],
    [{ entry: [] }, { entry: [] }],
    [
      { dial: [{ addrs: ['10.0.0.1'], ports: [80, [90, 91]] }] },
      { dial: [{ addresses: ['10.0.0.1'], ports: [80, [90, 91]] }] },
    ],
  ])('takes %j', async (body, change) => {
    const { call, admin } = createFixture()
    const response = await call('PUT', PATH, body)
    expect([response.status, await expectJson(response)]).toEqual([200, { success: true }])
    expect(admin.accessChanges).toEqual([change])
  })

  it.each<readonly [object, string]>([
    ...BAD_RULES.map(([rules, error]) => [{ entry: [], dial: rules }, error] as const),
    [{ entries: [] }, 'unknown field: entries'],
    [{ entry: [], Entry: [] }, 'unknown field: Entry'],
  ])('refuses %j', async (body, error) => {
    const { call, admin } = createFixture()
    const response = await call('PUT', PATH, body)
    expect([response.status, await expectJson(response)]).toEqual([400, failure(error)])
    expect(admin.accessChanges).toEqual([])
  })

  it.each(['', '[]', 'x', '{"entry":'])('refuses the body %j as such', async (body) => {
    const response = await createFixture().call('PUT', PATH, body)
    expect([response.status, await expectJson(response)]).toEqual([400, failure('invalid request body')])
  })

  it('answers what the relay has against an address, and a disk that is full', async () => {
    const { call, admin } = createFixture()
    admin.failure = new LinkSocksError('ERR_OPTION', 'dial: access rule 1: invalid address "a"')
    const bad = await call('PUT', PATH, { dial: [{ addrs: ['a'] }] })
    expect([bad.status, await expectJson(bad)]).toEqual([400, failure('dial: access rule 1: invalid address "a"')])
    admin.failure = new LinkSocksError('ERR_NOT_STORED', 'disk')
    expect((await call('PUT', PATH, {})).status).toBe(507)
  })

  it('is for full keys, and leaves a line for each change', async () => {
    const { call, lines } = createFixture({ apiKey: KEY, apiKeys: [{ name: 'screen', role: 'read-only', key: 'r' }] })
    expect((await call('PUT', PATH, {}, { 'x-api-key': 'r' })).status).toBe(403)
    expect((await call('GET', PATH, undefined, { 'x-api-key': 'r' })).status).toBe(200)
    expect((await call('PUT', PATH, { entry: [{}] })).status).toBe(200)
    expect(lines.filter(({ event }) => event === 'api.audit')).toEqual([
      expect.objectContaining({
        fields: expect.objectContaining({ action: 'access.change', entry: 'any:any', dial: undefined }),
      }),
    ])
  })

  it.each([
    [{}, [undefined, undefined]],
    [{ entry: null, dial: [] }, [undefined, 'unlimited']],
    [
      { entry: [{ addrs: ['10.0.0.0/8', '::1'], ports: [22, [90, 150]] }, { ports: [443] }, { addrs: ['::/0'] }] },
      ['10.0.0.0/8,::1:22,90-150; any:443; ::/0:any', undefined],
    ],
  ])('says in the log which rules %j sets', async (body, [entry, dial]) => {
    const { call, lines } = createFixture()
    expect((await call('PUT', PATH, body)).status).toBe(200)
    expect(lines.map(({ fields }) => [fields.entry, fields.dial])).toEqual([[entry, dial]])
  })

  it('cuts many rules in the log, behind their number', async () => {
    const { call, lines } = createFixture()
    const rules = (count: number) => new Array<object>(count).fill({ ports: [443] })
    await call('PUT', PATH, { entry: rules(57), dial: rules(58) })
    const [entry = '', dial = ''] = [lines[0]?.fields.entry, lines[0]?.fields.dial].map(String)
    expect([entry.length, entry.endsWith('any:443')]).toEqual([511, true])
    expect(dial).toMatch(/^58 rules: any:443; .+\.\.\.$/)
    expect(dial.length).toBeLessThanOrEqual(515)
  })
})

describe('keys in any case, which the document leaves out', () => {
  const send = async (method: string, rawPath: string, body: object) => {
    const fixture = createFixture()
    const request = createRequest(method, body, { 'x-api-key': KEY })
    const { status } = await fixture.handle(request, { rawPath, remoteAddress: '192.0.2.7' })
    return { ...fixture, status }
  }

  it('are taken by PUT /api/config/access, as by deployed servers', async () => {
    const { admin, status } = await send('PUT', PATH, { Entry: [{ Addrs: ['10.0.0.1'], PORTS: null }], DIAL: [{}] })
    expect(status).toBe(200)
    expect(admin.accessChanges).toEqual([{ entry: [{ addresses: ['10.0.0.1'] }], dial: [{}] }])
  })

  it('are taken inside the rules of a token', async () => {
    const { admin, status } = await send('POST', '/api/token', {
      type: 'forward',
      rules: [{ Addrs: null, Ports: [443] }],
    })
    expect(status).toBe(200)
    expect(admin.added[0]?.rules).toEqual([{ ports: [443] }])
  })
})

describe('the name of the rules of a token', () => {
  const RULES = [{ addrs: ['10.0.0.0/8'] }]

  it('is taken in any case: a token without its limit would be worse than none', async () => {
    const { call, admin } = createFixture()
    expect((await call('POST', '/api/token', { type: 'forward', Rules: RULES })).status).toBe(200)
    expect(admin.added[0]?.rules).toEqual([{ addresses: ['10.0.0.0/8'] }])
  })

  it('is refused when it is there twice', async () => {
    const { call, admin } = createFixture()
    const response = await call('POST', '/api/token', { type: 'forward', rules: [], RULES })
    expect([response.status, admin.added]).toEqual([400, []])
  })
})

describe('rules of a token', () => {
  it.each([
    [null, undefined],
    [[], []],
    [[{}], [{}]],
    [
      [
        { addrs: ['::/0'], ports: [[1, 2]] },
        { addrs: null, ports: [443] },
      ],
      [{ addresses: ['::/0'], ports: [[1, 2]] }, { ports: [443] }],
    ],
  ])('are taken by POST /api/token: %j', async (rules, expected) => {
    for (const body of [{ type: 'forward' }, { type: 'reverse' }, { type: 'connector', reverse_token: 'r' }]) {
      const { call, admin } = createFixture()
      expect((await call('POST', '/api/token', { ...body, rules })).status).toBe(200)
      expect(admin.added[0]?.rules).toEqual(expected)
    }
  })

  it.each(BAD_RULES)('are refused by POST /api/token: %j', async (rules, error) => {
    const { call, admin } = createFixture()
    const response = await call('POST', '/api/token', { type: 'forward', rules, color: 'red' })
    expect([response.status, await expectJson(response)]).toEqual([400, failure(error)])
    expect(admin.added).toEqual([])
  })

  it('are whole in GET /api/tokens/{id}, and a number in lists', async () => {
    const { call, admin } = createFixture()
    admin.infos = [tokenInfo({ id: ID, rules: [{ addresses: ['10.0.0.1'], ports: [80, [1, 2]] }, {}] })]
    expect(await expectJson(await call('GET', `/api/tokens/${ID}`))).toMatchObject({
      rules_count: 2,
      rules: [
        { addrs: ['10.0.0.1'], ports: [80, [1, 2]] },
        { addrs: [], ports: [] },
      ],
    })
    const { tokens } = (await expectJson(await call('GET', '/api/tokens'))) as { tokens: object[] }
    expect(tokens[0]).toMatchObject({ rules_count: 2 })
    expect(tokens[0]).not.toHaveProperty('rules')
  })
})
