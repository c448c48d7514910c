import { describe, expect, it } from 'vitest'
import { run } from '../harness.js'
import { failed, fakeApi, ID, KEY, OTHER_ID, type Reply, type Routes, routes, tokenOf } from './fake-api.js'

async function tell(table: Routes, argv: readonly string[]) {
  const { url, calls } = await fakeApi(routes(table))
  return { ...(await run(argv, { LINKSOCKS_API_URL: url, LINKSOCKS_API_KEY: KEY })), calls, url }
}

const ADDED: Routes = {
  'POST /api/token': { body: { success: true, token: 'made' }, headers: { location: `/api/tokens/${ID}` } },
}
const shown = (policy: unknown): Routes => ({ [`GET /api/tokens/${ID}`]: { body: tokenOf({ policy }) } })
const ADD = ['token', 'add', '--type', 'forward']

/** The policy that `linksocks token add` asks for. */
async function policyOf(...argv: readonly string[]): Promise<unknown> {
  let policy: unknown
  const table: Routes = {
    ...ADDED,
    'POST /api/token': ({ body }) => {
      policy = Object(body).policy
      return ADDED['POST /api/token'] as Reply
    },
    [`GET /api/tokens/${ID}`]: () => ({ body: tokenOf({ policy }) }),
  }
  const { code, io } = await tell(table, [...ADD, ...argv])
  expect([code, io.err]).toEqual([0, ''])
  return policy
}

const allow = (more: object) => ({ action: 'allow', ...more })

describe('a rule of --allow and --deny', () => {
  it.each([
    ['example.com', { hosts: ['example.com'] }],
    ['*.example.com:443', { hosts: ['*.example.com'], ports: [443] }],
    ['example.com:22,8000-8999,443', { hosts: ['example.com'], ports: [22, [8_000, 8_999], 443] }],
    ['bücher.example:80/tcp', { hosts: ['bücher.example'], ports: [80], protocol: 'tcp' }],
    ['10.0.0.0/8', { hosts: ['10.0.0.0/8'] }],
    ['10.0.0.0/8:53/udp', { hosts: ['10.0.0.0/8'], ports: [53], protocol: 'udp' }],
    ['192.0.2.1/udp', { hosts: ['192.0.2.1'], protocol: 'udp' }],
    ['192.0.2.1-255:1-65535', { hosts: ['192.0.2.1-255'], ports: [[1, 65_535]] }],
    ['[2001:db8::]/32:22', { hosts: ['2001:db8::/32'], ports: [22] }],
    ['[2001:db8::]/32', { hosts: ['2001:db8::/32'] }],
    ['2001:db8::/32', { hosts: ['2001:db8::/32'] }],
    ['2001:db8::/32:22/tcp', { hosts: ['2001:db8::/32'], ports: [22], protocol: 'tcp' }],
    ['[2001:db8::1]', { hosts: ['2001:db8::1'] }],
    ['[2001:db8::1-2001:db8::9]:22', { hosts: ['2001:db8::1-2001:db8::9'], ports: [22] }],
    ['@private', { hosts: ['@private'] }],
    ['@metadata:80', { hosts: ['@metadata'], ports: [80] }],
    [':22', { ports: [22] }],
    ['*:22', { ports: [22] }],
    ['*/udp', { protocol: 'udp' }],
    ['*', {}],
  ])('%s is %j', async (text, rule) => {
    expect(await policyOf('--allow', text)).toEqual({ egress: [allow(rule)] })
  })

  it.each([
    ['', 'must be HOST'],
    ['/tcp', 'must be HOST'],
    ['example.com:', 'must be HOST'],
    ['a:b:c', 'must be HOST'],
    ['::1', 'must be HOST'],
    ['::1:22', 'must be HOST'],
    ['[::1', 'must be HOST'],
    ['[::1]22', 'must be HOST'],
    ['http://a', '"http:" is no'],
    ['[::1]:x', "must be ports from 1 to 65535, not 'x'"],
    ['a:0', "must be ports from 1 to 65535, not '0'"],
    ['a:65536', "must be ports from 1 to 65535, not '65536'"],
    ['a:9-1', "must be ports from 1 to 65535, not '9-1'"],
    ['a:1,', "must be ports from 1 to 65535, not ''"],
    ['a b', '"a b" is no address, name, *.suffix or list'],
    ['*.', '"*." is no address'],
    ['@public', 'there is no list "@public"'],
    ['10.0.0.0/33', 'invalid CIDR "10.0.0.0/33"'],
    ['a/icmp', 'invalid CIDR "a/icmp"'],
    ['192.0.2.300', 'invalid address "192.0.2.300"'],
  ])('%j is a usage error', async (text, line) => {
    const { code, io, calls } = await tell({}, [...ADD, '--deny', text])
    expect([code, calls]).toEqual([2, []])
    expect(io.err).toContain('linksocks: --deny: ')
    if (text !== 'http://a') expect(io.err).toContain(line)
  })

  it('keeps its place among those of both flags', async () => {
    const argv = ['--deny', 'a', '--allow=b', '--allow', 'c', '--max-streams', '1', '--deny=d', '--allow', 'e']
    expect(await policyOf(...argv)).toEqual({
      egress: ['deny a', 'allow b', 'allow c', 'deny d', 'allow e'].map((text) => {
        const [action, host] = text.split(' ')
        return { action, hosts: [host] }
      }),
      max_streams: 1,
    })
  })
})

describe('--hours', () => {
  it.each([
    ['08:00-18:00', { from: '08:00', to: '18:00' }],
    ['22:00-06:00 Europe/Berlin', { from: '22:00', to: '06:00', zone: 'Europe/Berlin' }],
    [
      'mon-fri 08:00-18:00 Europe/Berlin',
      { days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '08:00', to: '18:00', zone: 'Europe/Berlin' },
    ],
    ['sat-mon,Wed 00:00-24:00', { days: ['mon', 'wed', 'sat', 'sun'], from: '00:00', to: '24:00' }],
    ['  tue   08:00-09:00  UTC ', { days: ['tue'], from: '08:00', to: '09:00', zone: 'UTC' }],
  ])('%j is %j', async (text, hours) => {
    expect(await policyOf('--hours', text)).toEqual({ hours: [hours] })
  })

  it.each([
    ['always', 'must be [DAYS] FROM-TO [ZONE]'],
    ['mon-fri', 'must be [DAYS] FROM-TO [ZONE]'],
    ['08:00 - 18:00', 'must be [DAYS] FROM-TO [ZONE]'],
    ['8:00-18:00', 'from must be a time such as 08:00: "8:00"'],
    ['08:00-25:00', 'to must be a time'],
    ['08:00-08:00', 'must not be the same'],
    ['mon-may 08:00-18:00', "must be days such as mon,wed or mon-fri, not 'mon-may'"],
    ['mon- 08:00-18:00', 'must be days'],
    ['mon-tue-wed 08:00-18:00', 'must be days'],
    ['08:00-18:00 Mars/Base', 'there is no time zone "Mars/Base"'],
  ])('%j is a usage error', async (text, line) => {
    const { code, io } = await tell({}, [...ADD, '--hours', text])
    expect([code, io.err]).toEqual([2, expect.stringContaining(line)])
  })
})

describe('linksocks token add with a policy', () => {
  it('asks for all of it at once', async () => {
    const argv = ['--default-deny', '--max-clients', '0', '--connects-per-minute', '1000000000']
    expect(
      await policyOf(
        ...argv,
        '--source',
        '203.0.113.0/24',
        '--source',
        '::1',
        '--client-subject',
        'CN=ann,O=Example\\, Ltd',
        '--client-subject=CN=bob',
        '--hours',
        '00:00-24:00',
      ),
    ).toEqual({
      egress_default: 'deny',
      max_clients: 0,
      connects_per_minute: 1_000_000_000,
      sources: ['203.0.113.0/24', '::1'],
      client_subjects: ['CN=ann,O=Example\\, Ltd', 'CN=bob'],
      hours: [{ from: '00:00', to: '24:00' }],
    })
    expect(await policyOf('--default-allow')).toEqual({ egress_default: 'allow' })
    expect(await policyOf()).toBeUndefined()
  })

  it.each([
    [['--max-streams', '-1'], "--max-streams: must be a number from 0 to 1000000000, not '-1'"],
    [['--max-clients', '1000000001'], '--max-clients: must be a number from 0'],
    [['--connects-per-minute', '10M'], '--connects-per-minute: must be a number from 0'],
    [['--source', 'a.example'], '--source: invalid address "a.example"'],
    [['--client-subject', 'ann'], "--client-subject: 'ann' is no subject such as CN=ann,O=Example"],
    [['--client-subject', `CN=${'x'.repeat(1_022)}`], '--client-subject: a subject has at most 1024 characters'],
    [['--no-client-subjects'], '--no-client-subjects: unknown flag'],
    [['--default-allow', '--default-deny'], '--default-deny: cannot be combined with --default-allow'],
    [['--no-policy'], '--no-policy: unknown flag'],
  ])('%j is a usage error', async (argv, line) => {
    const { code, io, calls } = await tell({}, [...ADD, ...argv])
    expect([code, calls, io.err]).toEqual([2, [], expect.stringContaining(line)])
  })

  const TOO_OLD =
    /^linksocks: --max-streams: the server at \S+ is too old for policies: it took the token without this one; the token was removed again\n$/
  it.each<[string, Routes, RegExp]>([
    ['shows none', shown(null), TOO_OLD],
    ['knows of none', { [`GET /api/tokens/${ID}`]: { body: tokenOf() } }, TOO_OLD],
    ['has no tokens by id', {}, TOO_OLD],
    [
      'has another one',
      shown({ max_streams: 2 }),
      /: the server at \S+ keeps another policy than it was given; the token was removed again\n$/,
    ],
    ['has more of it', shown({ max_streams: 1, max_clients: 1 }), /keeps another policy/],
    [
      'fails to say',
      { [`GET /api/tokens/${ID}`]: failed(500, 'internal error') },
      /: the policy could not be read back \(.*internal error\); the token was removed again\n$/,
    ],
  ])('removes the token where the server %s', async (_, table, line) => {
    const remove = { [`DELETE /api/tokens/${ID}`]: { status: 204 } }
    const { code, io, calls } = await tell({ ...ADDED, ...table, ...remove }, [...ADD, '--max-streams', '1', '-q'])
    expect([code, io.out, io.err]).toEqual([1, '', expect.stringMatching(line)])
    expect(calls.at(-1)).toMatchObject({ method: 'DELETE', url: `/api/tokens/${ID}` })
  })

  it('removes it by its text where the server says no id', async () => {
    const table: Routes = {
      'POST /api/token': { body: { success: true, token: 'made' } },
      'DELETE /api/token': { body: { success: true } },
    }
    const { code, io, calls } = await tell(table, [...ADD, '--deny', '@private'])
    expect([code, io.err]).toEqual([1, expect.stringContaining('--deny: the server at')])
    expect(calls.map(({ method, body }) => [method, body])).toEqual([
      ['POST', { type: 'forward', policy: { egress: [{ action: 'deny', hosts: ['@private'] }] } }],
      ['DELETE', { token: 'made' }],
    ])
  })

  it('says that the token is still there when it cannot be removed', async () => {
    const table = { ...ADDED, ...shown(null), [`DELETE /api/tokens/${ID}`]: failed(507, 'not stored') }
    const { code, io } = await tell(table, [...ADD, '--max-streams', '1'])
    expect(code).toBe(1)
    expect(io.err).toContain(`token ${ID} could not be removed, so that it is there without a limit: not stored`)
    expect(io.err).not.toContain('made')
  })
})

describe('linksocks token set with a policy', () => {
  const PATCH = `PATCH /api/tokens/${ID}`

  it.each([
    [['--max-streams', '5'], { max_streams: 5 }],
    [
      ['--allow', 'a', '--deny', 'b', '--default-deny'],
      {
        egress: [
          { action: 'allow', hosts: ['a'] },
          { action: 'deny', hosts: ['b'] },
        ],
        egress_default: 'deny',
      },
    ],
    [['--no-egress', '--max-clients', '1'], { egress: null, egress_default: null, max_clients: 1 }],
    [
      ['--no-max-streams', '--no-max-clients', '--no-connects-per-minute', '--no-sources', '--no-hours'],
      { max_streams: null, max_clients: null, connects_per_minute: null, sources: null, hours: null },
    ],
    [['--client-subject', 'CN=ann'], { client_subjects: ['CN=ann'] }],
    [['--no-client-subjects'], { client_subjects: null }],
    [['--max-streams', '5', '--no-max-streams'], { max_streams: null }],
    [['--no-hours', '--hours', '00:00-24:00'], { hours: [{ from: '00:00', to: '24:00' }] }],
    [['--no-policy'], null],
  ])('%j changes %j', async (argv, policy) => {
    const { code, calls } = await tell({ [PATCH]: { body: tokenOf({ has_policy: true }) } }, [
      'token',
      'set',
      ID,
      ...argv,
    ])
    expect([code, calls.at(-1)?.body]).toEqual([0, { policy }])
  })

  it('goes with other changes, and shows that there is one', async () => {
    const table = { [PATCH]: { body: tokenOf({ has_policy: true }) } }
    const { io, calls } = await tell(table, ['token', 'set', ID, '--label', 'x', '--no-policy'])
    expect(calls.at(-1)?.body).toEqual({ label: 'x', policy: null })
    expect(io.out).toMatch(/POLICY\n.* yes\n$/)
  })

  it.each([
    [['--no-policy', '--allow', 'a'], '--no-policy: cannot be combined with --allow'],
    [['--no-policy', '--no-hours'], '--no-policy: cannot be combined with --no-hours'],
    [['--no-policy', '--default-deny'], '--no-policy: cannot be combined with --default-deny'],
    [['--deny', 'a', '--no-egress'], '--no-egress: cannot be combined with --deny'],
    [['--source', '::1', '--no-sources'], '--no-sources: cannot be combined with --source'],
    [
      ['--no-client-subjects', '--client-subject', 'CN=ann'],
      '--no-client-subjects: cannot be combined with --client-subject',
    ],
    [['--no-policy', '--client-subject', 'CN=ann'], '--no-policy: cannot be combined with --client-subject'],
  ])('%j is a usage error', async (argv, line) => {
    const { code, io, calls } = await tell({}, ['token', 'set', ID, ...argv])
    expect([code, calls, io.err]).toEqual([2, [], expect.stringContaining(`linksocks: ${line}`)])
  })

  it('tells what an older server says', async () => {
    const { code, io } = await tell({ [PATCH]: failed(400, 'unknown field: policy') }, [
      'token',
      'set',
      ID,
      '--no-policy',
    ])
    expect([code, io.err]).toEqual([1, 'linksocks: the server refused it: unknown field: policy\n'])
  })
})

describe('linksocks token check', () => {
  const POST = `POST /api/tokens/${ID}/check`
  const verdict = { result: 'deny', rule: 1, token_id: ID, reason: 'rule 1 of its policy denies it' }

  it.each([
    [['example.com:443'], { target: 'example.com:443' }],
    [['[::1]:53', '--protocol', 'udp'], { target: '[::1]:53', protocol: 'udp' }],
    [
      ['a:1', '--allow', 'a', '--default-deny'],
      { target: 'a:1', policy: { egress: [{ action: 'allow', hosts: ['a'] }], egress_default: 'deny' } },
    ],
  ])('%j asks by %j', async (argv, body) => {
    const { code, io, calls } = await tell({ [POST]: { body: verdict } }, ['token', 'check', ID, ...argv])
    expect([code, calls.at(-1)?.body]).toEqual([0, body])
    expect(io.out).toBe('deny: rule 1 of its policy denies it\n')
  })

  it('names the token that decides, if that is another', async () => {
    const { io } = await tell({ [POST]: { body: { ...verdict, token_id: OTHER_ID } } }, ['token', 'check', ID, 'a:1'])
    expect(io.out).toBe(`deny: rule 1 of its policy denies it (token ${OTHER_ID})\n`)
    const none = await tell({ [POST]: { body: { ...verdict, token_id: null, reason: 'a\u202e' } } }, [
      'token',
      'check',
      ID,
      'a:1',
    ])
    expect(none.io.out).toBe('deny: a\\u{202e}\n')
  })

  it('says once that it depends', async () => {
    const body = { result: 'depends', rule: null, token_id: ID, reason: 'depends on the addresses of the name' }
    const { io } = await tell({ [POST]: { body } }, ['token', 'check', ID, 'a:1'])
    expect(io.out).toBe('depends on the addresses of the name\n')
  })

  it('gives a program the answer', async () => {
    const { io } = await tell({ [POST]: { body: verdict } }, ['token', 'check', ID, 'a:1', '--json'])
    expect(JSON.parse(io.out)).toEqual(verdict)
  })

  it.each<[readonly string[], Routes, number, string]>([
    [['hunter2', 'a:1'], {}, 2, 'token check: a token is named by its id, 24 hex digits'],
    [[ID], {}, 2, '<host:port> is missing'],
    [[ID, 'a:1', 'b:2'], {}, 2, 'every value needs a flag before it'],
    [[ID, 'a:1', '--protocol', 'icmp'], {}, 2, "--protocol: must be tcp or udp, not 'icmp'"],
    [
      [ID, 'a'],
      { [POST]: failed(400, 'target must be host:port') },
      1,
      'the server refused it: target must be host:port',
    ],
    [[ID, 'a:1'], { [POST]: failed(404, 'token not found') }, 1, `${ID}: the server knows no token with this id`],
    [[ID, 'a:1'], { [POST]: failed(405, 'method not allowed') }, 1, 'method not allowed'],
    [[ID, 'a:1'], {}, 1, 'is too old for this command'],
    [[ID, 'a:1'], { [POST]: { body: {} } }, 1, 'its answer is of another kind'],
  ])('%j ends with an error', async (argv, table, exit, line) => {
    const { code, io } = await tell(table, ['token', 'check', ...argv])
    expect([code, io.err]).toEqual([exit, expect.stringContaining(line)])
    expect(io.err).not.toContain('hunter2')
  })
})
