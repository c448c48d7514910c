import { describe, expect, it } from 'vitest'
import { MAX_EGRESS_RULES } from '../../src/policy/egress-rules.js'
import { MAX_CLIENT_SUBJECTS } from '../../src/policy/subject-list.js'
import type { TokenPolicy } from '../../src/policy-fields.js'
import type { PolicyChange } from '../../src/relay/tokens/token-spec.js'
import { createFixture, createRequest, expectJson, failure, KEY, tokenInfo } from './fixture.js'

const ID = 'a'.repeat(24)
const PATH = `/api/tokens/${ID}`

/** Every field, on the wire and in the relay. */
const WIRE = {
  egress: [
    { action: 'deny', hosts: ['@private', '*.corp.example'], ports: [22, [8_000, 8_999]], protocol: 'tcp' },
    { action: 'allow' },
  ],
  egress_default: 'allow',
  max_streams: 100,
  max_clients: 0,
  connects_per_minute: 600,
  sources: ['203.0.113.0/24'],
  client_subjects: ['CN=ann,O=Example\\, Ltd', 'CN=bob'],
  hours: [
    { days: ['mon', 'tue'], from: '08:00', to: '18:00', zone: 'Europe/Berlin' },
    { from: '22:00', to: '24:00' },
  ],
  rate: { up: 1, down: 1_250_000, burst: 4_096, stream_up: 250_000, stream_down: 1_000_000_000_000 },
  quota: { bytes: 50_000_000_000, period: 'month', direction: 'down' },
} as const
const POLICY: TokenPolicy = {
  egress: WIRE.egress,
  egressDefault: 'allow',
  maxStreams: 100,
  maxClients: 0,
  connectsPerMinute: 600,
  sources: WIRE.sources,
  clientSubjects: WIRE.client_subjects,
  hours: WIRE.hours,
  rate: { up: 1, down: 1_250_000, burst: 4_096, streamUp: 250_000, streamDown: 1_000_000_000_000 },
  quota: { bytes: 50_000_000_000, period: 'month', direction: 'down' },
}
const NULLS = Object.fromEntries(Object.keys(WIRE).map((name) => [name, null]))

const NUMBER = 'must be an integer from 0 to 1000000000'
const PORT = 'must be a port from 1 to 65535, or two of them as [low, high]'
const EMPTY = 'must not be empty: leave it out for no limit'
const inRule = (more: object) => ({ egress: [{ action: 'deny' }, { action: 'deny', ...more }] })
const inTime = (more: object) => ({ hours: [{ from: '08:00', to: '18:00', ...more }] })

/** Policies that are none, with the text that says why. */
const BAD: readonly (readonly [policy: unknown, error: string])[] = [
  ...['any', 1, true, []].map((policy) => [policy, 'policy must be an object'] as const),
  ...['speed', 'maxStreams', 'Egress', 'rules', '', 'constructor'].map(
    (name) => [{ max_streams: 1, [name]: {} }, `unknown field: policy.${name}`] as const,
  ),
  ...['max_streams', 'max_clients', 'connects_per_minute'].flatMap((name) =>
    [-1, 1.5, 1_000_000_001, '5', true, []].map((value) => [{ [name]: value }, `policy.${name} ${NUMBER}`] as const),
  ),
  ...['maybe', 'Allow', true].map(
    (egress_default) => [{ egress_default }, 'policy.egress_default must be allow or deny'] as const,
  ),
  ...['up', 'down', 'stream_up', 'stream_down'].flatMap((name) =>
    [0, -1, 1.5, 1_000_000_000_001, '5', true].map(
      (value) =>
        [{ rate: { [name]: value } }, `policy.rate.${name} must be an integer from 1 to 1000000000000`] as const,
    ),
  ),
  [{ rate: { burst: 0 } }, 'policy.rate.burst must be an integer from 1 to 1073741824'],
  [{ rate: { streamUp: 1 } }, 'unknown field: policy.rate.streamUp'],
  [{ rate: 5 }, 'policy.rate must be an object'],
  [
    { quota: { bytes: 0, period: 'day' } },
    `policy.quota.bytes must be an integer from 1 to ${Number.MAX_SAFE_INTEGER}`,
  ],
  [{ quota: { bytes: 1, period: 'week' } }, 'policy.quota.period must be one of day, month, total'],
  [{ quota: { bytes: 1, period: 'day', direction: 'in' } }, 'policy.quota.direction must be one of up, down, both'],
  ...['any', {}, 1].map((egress) => [{ egress }, 'policy.egress must be a list of rules'] as const),
  [
    { egress: Array<object>(MAX_EGRESS_RULES + 1).fill({ action: 'deny' }) },
    `policy.egress must be a list of at most ${MAX_EGRESS_RULES} rules`,
  ],
  [{ egress: [{ action: 'deny' }, null] }, 'policy.egress[1] must be an object'],
  [{ egress: [{}] }, 'policy.egress[0].action is missing'],
  [{ egress: [{ action: 'pass' }] }, 'policy.egress[0].action must be allow or deny'],
  [inRule({ host: 'a' }), 'unknown field: policy.egress[1].host'],
  [inRule({ addrs: ['10.0.0.1'] }), 'unknown field: policy.egress[1].addrs'],
  [inRule({ protocol: 'icmp' }), 'policy.egress[1].protocol must be tcp or udp'],
  [inRule({ hosts: 'a' }), 'policy.egress[1].hosts must be a list of hosts'],
  [inRule({ hosts: [] }), `policy.egress[1].hosts ${EMPTY}`],
  [inRule({ hosts: ['a', 1] }), 'policy.egress[1].hosts[1] must be a host'],
  [inRule({ hosts: [''] }), 'policy.egress[1].hosts[0] must be a host'],
  [inRule({ ports: 80 }), 'policy.egress[1].ports must be a list of ports'],
  [inRule({ ports: [] }), `policy.egress[1].ports ${EMPTY}`],
  ...[0, 65_536, 1.5, '80', [1], [1, 2, 3], [0, 1], null].map(
    (port) => [inRule({ ports: [443, port] }), `policy.egress[1].ports[1] ${PORT}`] as const,
  ),
  [{ sources: '::/0' }, 'policy.sources must be a list of addresses'],
  [{ sources: [] }, `policy.sources ${EMPTY}`],
  [{ sources: [1] }, 'policy.sources[0] must be an address'],
  [{ client_subjects: 'CN=ann' }, 'policy.client_subjects must be a list of subjects'],
  [{ client_subjects: [] }, `policy.client_subjects ${EMPTY}`],
  [{ client_subjects: ['CN=ann', 1] }, 'policy.client_subjects[1] must be a subject'],
  [{ client_subjects: [''] }, 'policy.client_subjects[0] must be a subject'],
  [
    { client_subjects: Array<string>(MAX_CLIENT_SUBJECTS + 1).fill('CN=ann') },
    `policy.client_subjects must be a list of at most ${MAX_CLIENT_SUBJECTS} subjects`,
  ],
  [{ clientSubjects: ['CN=ann'] }, 'unknown field: policy.clientSubjects'],
  [{ hours: 'always' }, 'policy.hours must be a list of times'],
  [{ hours: [] }, `policy.hours ${EMPTY}`],
  [{ hours: [{ from: '08:00' }] }, 'policy.hours[0].to is missing'],
  [inTime({ until: '19:00' }), 'unknown field: policy.hours[0].until'],
  [inTime({ from: '8:00' }), 'policy.hours[0].from must be a time such as 08:00'],
  [inTime({ from: '24:00' }), 'policy.hours[0].from must be a time such as 08:00'],
  [inTime({ to: '25:00' }), 'policy.hours[0].to must be a time such as 18:00 or 24:00'],
  [inTime({ days: [] }), `policy.hours[0].days ${EMPTY}`],
  [inTime({ days: ['mon', 'Tue'] }), 'policy.hours[0].days[1] must be one of mon, tue, wed, thu, fri, sat, sun'],
  [inTime({ zone: 1 }), 'policy.hours[0].zone must be a time zone such as Europe/Berlin'],
]

function withToken(policy?: TokenPolicy) {
  const fixture = createFixture()
  fixture.admin.infos = [tokenInfo({ id: ID, token: 'secret-token', policy })]
  return fixture
}

describe('a policy in POST /api/token', () => {
  const BODIES = [{ type: 'forward' }, { type: 'reverse' }, { type: 'connector', reverse_token: 'r' }]

  it.each<[unknown, TokenPolicy | undefined]>([
    [WIRE, POLICY],
    [null, undefined],
    [{}, {}],
    [NULLS, {}],
    [{ egress: [{ action: 'allow', hosts: null, ports: null, protocol: null }] }, { egress: [{ action: 'allow' }] }],
    [inTime({ days: null, zone: null }), inTime({})],
    [{ egress: [] }, { egress: [] }],
    [{ max_streams: 1_000_000_000 }, { maxStreams: 1_000_000_000 }],
  ])('is taken for every type: %j', async (policy, expected) => {
    for (const body of BODIES) {
      const { call, admin } = createFixture()
      expect((await call('POST', '/api/token', { ...body, policy })).status).toBe(200)
      expect(admin.added[0]?.policy).toStrictEqual(expected)
    }
  })

  it.each(BAD)('is refused: %j', async (policy, error) => {
    const { call, admin } = createFixture()
    const response = await call('POST', '/api/token', { type: 'forward', policy, color: 'red' })
    expect([response.status, await expectJson(response)]).toEqual([400, failure(error)])
    expect(admin.added).toEqual([])
  })

  it('is found by its name in any case, for a token without its limit would be worse than none', async () => {
    const { call, admin } = createFixture()
    for (const name of ['Policy', 'POLICY'])
      expect((await call('POST', '/api/token', { type: 'forward', [name]: { max_clients: 1 } })).status).toBe(200)
    expect(admin.added.map(({ policy }) => policy)).toEqual([{ maxClients: 1 }, { maxClients: 1 }])
    const response = await call('POST', '/api/token', { type: 'forward', policy: {}, Policy: { max_clients: 1 } })
    expect([response.status, await expectJson(response)]).toEqual([400, failure('policy must be an object')])
    expect(admin.added).toHaveLength(2)
  })

  it('may make the body as long as a token may be in the store', async () => {
    const { handle, admin } = createFixture()
    const post = (length: number) => {
      const body = JSON.stringify({ type: 'forward', policy: { max_clients: 1 } }).padEnd(length)
      const request = createRequest('POST', body, { 'x-api-key': KEY })
      return handle(request, { rawPath: '/api/token', remoteAddress: '::1' })
    }
    expect((await post(262_144)).status).toBe(200)
    expect((await post(262_145)).status).toBe(413)
    expect(admin.added).toHaveLength(1)
  })
})

describe('a policy in PATCH /api/tokens/{id}', () => {
  it.each<[unknown, PolicyChange | null]>([
    [WIRE, POLICY],
    [null, null],
    [{}, {}],
    [
      { max_streams: null, hours: null },
      { maxStreams: null, hours: null },
    ],
    [{ egress_default: 'deny' }, { egressDefault: 'deny' }],
    [{ client_subjects: null }, { clientSubjects: null }],
    [{ client_subjects: ['CN=ann'] }, { clientSubjects: ['CN=ann'] }],
    [{ egress: [] }, { egress: [] }],
    [
      { egress: null, sources: ['::1'] },
      { egress: null, sources: ['::1'] },
    ],
  ])('is taken: %j', async (policy, change) => {
    const { call, admin } = withToken(POLICY)
    const response = await call('PATCH', PATH, { policy })
    expect([response.status, admin.changes[0]?.[1].policy]).toStrictEqual([200, change])
    expect(await expectJson(response)).toMatchObject({ id: ID, policy: WIRE })
  })

  it.each(BAD)('is refused: %j', async (policy, error) => {
    const { call, admin } = withToken()
    const response = await call('PATCH', PATH, { label: 'x', policy })
    expect([response.status, await expectJson(response)]).toEqual([400, failure(error)])
    expect(admin.changes).toEqual([])
  })

  it('has one spelling', async () => {
    const response = await withToken().call('PATCH', PATH, { Policy: null })
    expect([response.status, await expectJson(response)]).toEqual([400, failure('unknown field: Policy')])
  })

  it('is left as it is by a change that does not name it', async () => {
    const { call, admin } = withToken(POLICY)
    await call('PATCH', PATH, { label: 'x' })
    expect(admin.changes[0]?.[1]).not.toHaveProperty('policy')
  })
})

describe('a policy in answers', () => {
  it('is whole for one token, and takes the way back', async () => {
    const { call, admin } = withToken(POLICY)
    const { policy } = (await expectJson(await call('GET', PATH))) as { policy: unknown }
    expect(policy).toStrictEqual(WIRE)
    expect((await call('PATCH', PATH, { policy })).status).toBe(200)
    expect(admin.changes).toEqual([[ID, { expiresAt: undefined, policy: POLICY }]])
  })

  it('is null where there is none, and shows no field that is not set', async () => {
    expect(await expectJson(await withToken().call('GET', PATH))).toMatchObject({ policy: null })
    const empty = withToken({ egress: [{ action: 'allow', hosts: [], ports: [] }], maxClients: undefined })
    expect(await expectJson(await empty.call('GET', PATH))).toMatchObject({ policy: { egress: [{ action: 'allow' }] } })
  })

  it('is a count in lists', async () => {
    const { call, admin } = createFixture()
    admin.infos = [
      tokenInfo({ number: 1 }),
      tokenInfo({ number: 2, policy: { maxClients: 1 } }),
      tokenInfo({ number: 3, policy: POLICY }),
    ]
    const { tokens } = (await expectJson(await call('GET', '/api/tokens'))) as { tokens: Record<string, unknown>[] }
    expect(tokens.map(({ has_policy, policy_rules_count }) => [has_policy, policy_rules_count])).toEqual([
      [false, 0],
      [true, 0],
      [true, 2],
    ])
    for (const token of tokens) expect(token).not.toHaveProperty('policy')
  })
})
