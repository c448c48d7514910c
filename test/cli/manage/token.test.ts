import { describe, expect, it } from 'vitest'
import { type Run, run, temporaryFile } from '../harness.js'
import {
  clientOf,
  failed,
  fakeApi,
  ID,
  KEY,
  OTHER_ID,
  page,
  type Routes,
  routes,
  serverOf,
  tokenOf,
} from './fake-api.js'

const TOKENS = 'GET /api/tokens?limit=1000'
const CLIENTS = 'GET /api/clients?limit=1000'
const OLD = {
  version: '0.1.0',
  tokens: [
    { token: 'laptop-secret', type: 'forward', clients_count: 2 },
    { token: 'office', type: 'reverse', clients_count: 1, port: 10_080, connector_tokens: ['guest'], error: 'in use' },
  ],
}

interface Told extends Run {
  readonly calls: Awaited<ReturnType<typeof fakeApi>>['calls']
}

async function tell(table: Routes, argv: readonly string[], env: Record<string, string> = {}): Promise<Told> {
  const { url, calls } = await fakeApi(routes(table))
  return { ...(await run(argv, { LINKSOCKS_API_URL: url, LINKSOCKS_API_KEY: KEY, ...env })), calls }
}

describe('linksocks token list', () => {
  const items = [
    tokenOf(),
    tokenOf({
      id: OTHER_ID,
      type: 'reverse',
      token: '办公室-secret',
      label: '办公室',
      clients: 0,
      port: 10_080,
      rules_count: 12,
      has_policy: true,
      quota: { bytes: 50e9, period: 'month', direction: 'both', used: 12_345_678_901, used_up: false, resets_at: null },
    }),
    tokenOf({
      label: null,
      token: 'abcd…',
      state: 'expired',
      expires_at: '2026-12-01T00:00:00.000Z',
      rules_count: 0,
      has_policy: false,
    }),
    tokenOf({ token: 'short', label: 'bad\u202e\u001b', type: 'reverse', port: 7, port_error: 'in use' }),
  ]

  it('shows a table in columns, tokens masked', async () => {
    const { code, io } = await tell({ [TOKENS]: page('tokens', items) }, ['token', 'list'])
    expect(code).toBe(0)
    expect(io.out).toBe(
      [
        'ID                        TYPE     LABEL              TOKEN     STATE    CLIENTS  PORT        EXPIRES                   QUOTA      RULES  POLICY',
        "0123456789abcdef01234567  forward  Ada's laptop       lapt…     active   1        -           -                         -          -      -",
        'fedcba987654321001234567  reverse  办公室             办公室-…  active   0        10080       -                         12.3G/50G  12     yes',
        '0123456789abcdef01234567  forward  -                  abcd…     expired  1        -           2026-12-01T00:00:00.000Z  -          0      no',
        '0123456789abcdef01234567  reverse  bad\\u{202e}\\u{1b}  sh…       active   1        7 (closed)  -                         -          -      -',
        '',
      ].join('\n'),
    )
  })

  it('shows whole tokens when asked to', async () => {
    const { io } = await tell({ [TOKENS]: page('tokens', items) }, ['token', 'list', '--show-tokens'])
    expect(io.out).toContain(' laptop-secret ')
  })

  it("gives a program the API's items in one document that no terminal acts on", async () => {
    const { io } = await tell({ [TOKENS]: page('tokens', items) }, ['token', 'list', '--json'])
    expect(JSON.parse(io.out)).toEqual({ tokens: items, total: 4 })
    for (const char of ['\u202e', '\u001b']) expect(io.out).not.toContain(char)
  })

  it('of an older server shows what its status says', async () => {
    const { io } = await tell({ 'GET /api/status': { body: OLD } }, ['token', 'list'])
    expect(io.out.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['ID', 'TYPE', 'LABEL', 'TOKEN', 'STATE', 'CLIENTS', 'PORT', 'EXPIRES', 'QUOTA', 'RULES', 'POLICY'],
      ['-', 'forward', '-', 'lapt…', '-', '2', '-', '-', '-', '-', '-'],
      ['-', 'reverse', '-', 'off…', '-', '1', '10080 (closed)', '-', '-', '-', '-'],
      ['-', 'connector', '-', 'gu…', '-', '0', '-', '-', '-', '-', '-'],
      [''],
    ])
    const { io: json } = await tell({ 'GET /api/status': { body: OLD } }, ['token', 'list', '--json'])
    expect(JSON.parse(json.out)).toEqual(OLD)
  })
})

const POST = 'POST /api/token'
const added = (token: string, more: object = {}) => ({
  [POST]: { body: { success: true, token, ...more }, headers: { location: `/api/tokens/${ID}` } },
  'GET /api/server': { body: serverOf() },
})

describe('linksocks token add', () => {
  it.each([
    [['--type', 'forward'], { type: 'forward' }],
    [['--type', 'forward', '-t', 'tok'], { type: 'forward', token: 'tok' }],
    [
      ['--type', 'forward', '--label', '办公室', '--expires-at', '2999-01-01T01:00:00+01:00'],
      { type: 'forward', label: '办公室', expires_at: '2999-01-01T00:00:00.000Z' },
    ],
    [
      ['--type', 'reverse', '--port', '10080', '--socks-username', 'ann', '--socks-password', 'pw'],
      { type: 'reverse', port: 10_080, username: 'ann', password: 'pw' },
    ],
    [['--type', 'reverse', '--connector-autonomy'], { type: 'reverse', allow_manage_connector: true }],
    [['--type', 'connector', '--reverse-token', 'office'], { type: 'connector', reverse_token: 'office' }],
  ])('%j asks for %j', async (argv, body) => {
    const { code, calls, io } = await tell(added('made'), ['token', 'add', ...argv])
    expect([code, io.err]).toEqual([0, ''])
    expect(calls.at(-1)?.body).toEqual(body)
  })

  it('reads secrets from files and variables', async () => {
    const file = temporaryFile('from-file\n')
    const forward = await tell(added('x'), ['token', 'add', '--type', 'forward', '--token-file', file])
    expect(forward.calls[0]?.body).toEqual({ type: 'forward', token: 'from-file' })
    const env = { LINKSOCKS_TOKEN: 'tok', LINKSOCKS_REVERSE_TOKEN_FILE: file, LINKSOCKS_SOCKS_USERNAME: 'unused' }
    const connector = await tell(added('x'), ['token', 'add', '--type', 'connector'], env)
    expect(connector.calls[0]?.body).toEqual({ type: 'connector', token: 'tok', reverse_token: 'from-file' })
  })

  it('counts --expires-in from now', async () => {
    const before = Date.now()
    const { calls } = await tell(added('x'), ['token', 'add', '--type', 'forward', '--expires-in', '1d12h'])
    const at = Date.parse(String(Object(calls.at(-1)?.body).expires_at)) - 36 * 3_600_000
    expect(at).toBeGreaterThanOrEqual(before)
    expect(at).toBeLessThanOrEqual(Date.now())
  })

  it('prints token, id and the command for the other machine', async () => {
    const argv = ['token', 'add', '--type', 'reverse']
    const { io } = await tell(added(`it's $(x) \`y\` "z"`, { port: 10_000 }), argv)
    expect(io.out.replace(/:\d+\n$/, ':PORT\n')).toBe(
      [
        `token  it's $(x) \`y\` "z"`,
        `id     ${ID}`,
        'port   10000 (proxy port of the server)',
        '',
        'On the other machine:',
        `  LINKSOCKS_TOKEN='it'\\''s $(x) \`y\` "z"' linksocks provider -u ws://SERVER:PORT`,
        '',
      ].join('\n'),
    )
    const odd = await tell(added('a\u202eb'), argv)
    expect(odd.io.out).toBe(`token  a\\u{202e}b\nid     ${ID}\n`)
  })

  it('sends access rules to a server that knows them', async () => {
    const table = { ...added('x'), 'GET /api/config/access': { body: { entry: null, dial: null } } }
    const argv = ['--access-rule', '10.0.0.0/8:443', '--access-rule', '::1:1-9']
    const { code, calls } = await tell(table, ['token', 'add', '--type', 'forward', ...argv])
    expect([code, calls.at(-1)?.body]).toEqual([
      0,
      {
        type: 'forward',
        rules: [
          { addrs: ['10.0.0.0/8'], ports: [443] },
          { addrs: ['::1'], ports: [[1, 9]] },
        ],
      },
    ])
  })

  it('prints the token alone for a script, or the answer for a program', async () => {
    const quiet = await tell(added('made'), ['token', 'add', '--type', 'forward', '-q'])
    expect([quiet.io.out, quiet.io.err]).toEqual(['made\n', ''])
    const json = await tell(added('made'), ['token', 'add', '--type', 'forward', '--json'])
    expect(JSON.parse(json.io.out)).toEqual({ success: true, token: 'made' })
  })

  it.each([
    ['--label', 'x'],
    ['--expires-in', '1d'],
    ['--expires-at', '2999-01-01T00:00:00Z'],
    ['--access-rule', '10.0.0.1:80'],
  ])('adds nothing at a server that would leave %s out', async (...flag) => {
    const table = { [POST]: { body: { success: true, token: 'x' } } }
    const { code, io, calls } = await tell(table, ['token', 'add', '--type', 'forward', ...flag])
    expect([code, io.err]).toEqual([1, expect.stringMatching(new RegExp(`^linksocks: ${flag[0]}: .* is too old`))])
    expect(calls.map(({ method }) => method)).toEqual(['GET'])
  })

  it.each([
    [[], '--type: is needed: forward, reverse or connector'],
    [['--type', 'x'], "--type: must be forward, reverse or connector, not 'x'"],
    [['--type', 'forward', '-p', '1'], '--port: is for --type reverse'],
    [['--type', 'reverse', '--reverse-token', 'x'], '--reverse-token: is for --type connector'],
    [['--type', 'reverse', '-a', '-p', '1'], '--port: cannot be combined with --connector-autonomy'],
    [
      ['--type', 'reverse', '-a', '--access-rule', '::/0:1'],
      '--access-rule: cannot be combined with --connector-autonomy',
    ],
    [['--type', 'reverse', '-p', '0'], "--port: must be a port from 1 to 65535, not '0'"],
    [['--type', 'reverse', '-n', 'a'], '--socks-username: needs --socks-password as well'],
    [['--type', 'connector'], '--reverse-token: is needed for --type connector'],
    [['--type', 'forward', '-t', 'anonymous'], "--token: 'anonymous' is reserved and cannot be used as a token"],
    [['--type', 'forward', '-l', 'x'.repeat(201)], '--label: must be 1 to 200 bytes without control characters'],
    [['--type', 'forward', '-l', 'a\tb'], '--label: must be 1 to 200 bytes without control characters'],
    [['--type', 'forward', '--expires-at', 'tomorrow'], '--expires-at: must be a time such as 2030-01-31T12:00:00Z'],
    [['--type', 'forward', '--expires-at', '2001-01-01T00:00:00Z'], '--expires-at: must be in the future'],
    [['--type', 'forward', '--expires-in', '0d'], '--expires-in: must be a time such as 30d, 12h or 1d12h'],
    [['--type', 'forward', '--expires-in', '3661d'], '--expires-in: must be a time such as 30d'],
    [
      ['--type', 'forward', '--expires-in', '1d', '--expires-at', '2999-01-01T00:00:00Z'],
      '--expires-in: cannot be combined with --expires-at',
    ],
  ])('%j is a usage error, and nothing is asked', async (argv, line) => {
    const { code, io, calls } = await tell({}, ['token', 'add', ...argv])
    expect([code, calls]).toEqual([2, []])
    expect(io.err).toContain(`linksocks: ${line}`)
  })

  it('tells of a reverse token that is not there', async () => {
    const table = { [POST]: failed(404, 'reverse token not found') }
    const { code, io } = await tell(table, ['token', 'add', '--type', 'connector', '--reverse-token', 'hunter2'])
    expect([code, io.err]).toEqual([1, 'linksocks: --reverse-token: the server knows no such token\n'])
  })
})

describe('linksocks token rm', () => {
  it('removes by id, and by text that is in no URL', async () => {
    const table = { [`DELETE /api/tokens/${ID}`]: { status: 204 }, 'DELETE /api/token': { body: { success: true } } }
    const { code, io, calls } = await tell(table, ['token', 'rm', ID, 'hunter2', '--', '-dash'])
    expect([code, io.out]).toEqual([0, `removed ${ID}\nremoved token 2\nremoved token 3\n`])
    expect(calls.map(({ method, url, body }) => [method, url, body])).toEqual([
      ['DELETE', `/api/tokens/${ID}`, undefined],
      ['DELETE', '/api/token', { token: 'hunter2' }],
      ['DELETE', '/api/token', { token: '-dash' }],
    ])
  })

  it('takes what looks like an id and is none for a token', async () => {
    const { code, calls } = await tell({ 'DELETE /api/token': { body: { success: true } } }, ['token', 'rm', ID])
    expect([code, calls.at(-1)?.body]).toEqual([0, { token: ID }])
  })

  it('removes the others when one is not there, and fails without repeating it', async () => {
    const table: Routes = {
      'DELETE /api/token': ({ body }) =>
        Object(body).token === 'hunter2' ? failed(404, 'token not found') : { body: { success: true } },
    }
    const { code, io } = await tell(table, ['token', 'rm', 'hunter2', 'b'])
    expect([code, io.out]).toEqual([1, 'removed token 2\n'])
    expect(io.err).toBe('linksocks: token rm: the server does not know token 1 of 2\n')
    expect((await tell(table, ['token', 'rm', 'hunter2'])).io.err).toContain('does not know this token')
    expect((await tell(table, ['token', 'rm', ''])).io.err).toContain('token rm: token 1: must be 1 to 255 bytes')
  })
})

describe('linksocks token set', () => {
  const PATCH = `PATCH /api/tokens/${ID}`
  const table = { [PATCH]: { body: tokenOf({ state: 'disabled' }) } }

  it.each([
    [['--disable'], { enabled: false }],
    [['--enable', '--no-label', '--no-expiry'], { enabled: true, label: null, expires_at: null }],
    [['-l', 'x', '--expires-at', '2999-01-01T00:00:00Z'], { label: 'x', expires_at: '2999-01-01T00:00:00.000Z' }],
    [['--label', 'x', '--no-label'], { label: null }],
    [['--no-label', '--label', 'x'], { label: 'x' }],
    [['-n', 'ann', '-w', 'pw'], { username: 'ann', password: 'pw' }],
    [['--no-socks-auth'], { username: null, password: null }],
  ])('%j changes %j', async (argv, body) => {
    const { code, calls, io } = await tell(table, ['token', 'set', ID, ...argv], { LINKSOCKS_SOCKS_USERNAME: 'ann' })
    expect([code, calls.at(-1)?.body]).toEqual([0, body])
    expect(io.out).toContain(' disabled ')
    expect(io.out).not.toContain('laptop-secret')
  })

  it('gives a program the answer', async () => {
    const { io } = await tell(table, ['token', 'set', ID, '--enable', '--json'])
    expect(JSON.parse(io.out)).toEqual(tokenOf({ state: 'disabled' }))
    const two = await tell(table, ['token', 'set', ID, ID, '--enable', '--json'])
    expect(JSON.parse(two.io.out)).toHaveLength(2)
  })

  it.each([
    [[ID], 2, 'token set: what to change? --enable'],
    [['hunter2', '--enable'], 2, 'token set: a token is named by its id, 24 hex digits'],
    [[ID, '--enable', '--disable'], 2, '--disable: cannot be combined with --enable'],
    [[ID, '--no-expiry', '--expires-in', '1d'], 2, '--no-expiry: cannot be combined with --expires-in'],
    [[ID, '-n', 'x', '--no-socks-auth'], 2, '--no-socks-auth: cannot be combined with --socks-username'],
    [[OTHER_ID, '--enable'], 1, 'is too old for this command'],
  ])('%j ends with %d: %s', async (argv, exit, line) => {
    const { code, io } = await tell(table, ['token', 'set', ...argv])
    expect([code, io.err]).toEqual([exit, expect.stringContaining(line)])
    expect(io.err).not.toContain('hunter2')
  })

  it('tells of an id that is not there', async () => {
    const { code, io } = await tell({ [PATCH]: failed(404, 'token not found') }, ['token', 'set', ID, '--enable'])
    expect([code, io.err]).toEqual([1, `linksocks: ${ID}: the server knows no token with this id\n`])
  })
})

describe('linksocks status', () => {
  const alarm = { code: 'port-unavailable', subject: OTHER_ID, message: 'port 10080: in use', since: 'long ago\u001b' }
  const table = {
    'GET /api/server': { body: serverOf({ alarms: [alarm], durable: false, draining: true }) },
    [TOKENS]: page('tokens', [tokenOf(), tokenOf({ id: OTHER_ID, label: null })]),
    [CLIENTS]: page('clients', [
      clientOf({ id: 'c2', token_id: OTHER_ID, rtt_ms: null, role: 'provider', state: 'suspended' }),
      clientOf(),
    ]),
  }

  it('shows processes that drain beside the one that took over', async () => {
    const moment = (ms: number): string => new Date(Date.now() + ms).toISOString()
    const first = { pid: 12, version: '1.0.0', since: moment(-65_500), until: moment(600_500), clients: 2, streams: 3 }
    const second = { ...first, pid: 13, version: '1\u001b[2J', until: 'soon', clients: 1, streams: 1 }
    const body = serverOf({ draining_processes: [first, second] })
    const { code, io } = await tell({ ...table, 'GET /api/server': { body } }, ['status'])
    expect([code, io.err]).toEqual([0, ''])
    const lines = io.out.split('\n').filter((line) => line.includes('process 1'))
    expect(lines).toEqual([
      expect.stringMatching(
        /^draining {2}process 12 \(LinkSocks 1\.0\.0\), 3 streams of 2 clients, for 1 min \d+ s, (10 min|9 min 5\d s) left at most$/,
      ),
      expect.stringMatching(
        /^ {10}process 13 \(LinkSocks 1\\u\{1b\}\[2J\), 1 stream of 1 client, .*, soon left at most$/,
      ),
    ])
  })

  it('shows the server, its alarms, and clients beside their tokens', async () => {
    const { code, io } = await tell(table, ['status'])
    expect([code, io.err]).toEqual([0, ''])
    const [title, ...lines] = io.out.split('\n').map((line) => line.trim().split(/ {2,}/))
    expect(title?.[0]).toMatch(/^LinkSocks 9\.8\.7 at http:\/\/127\.0\.0\.1:\d+$/)
    expect(lines).toEqual([
      ['up', expect.stringMatching(/^2 d \(since 20.*Z\), draining$/)],
      ['key', 'default (full)'],
      ['tokens', '2, those of the API in memory only'],
      ['clients', '1'],
      ['streams', '3'],
      ['received', '4.8 MiB'],
      ['sent', '0 B'],
      ['alarms', '1'],
      [`port-unavailable ${OTHER_ID}: port 10080: in use (for long ago\\u{1b})`],
      [''],
      ['TOKEN', 'ROLE', 'ADDRESS', 'STATE', 'SINCE', 'RTT', 'STREAMS', 'RECEIVED', 'SENT', 'CLIENT ID'],
      [
        "Ada's laptop",
        'forward',
        '203.0.113.9',
        'connected',
        expect.stringMatching(/^1 min 3\d s$/),
        '12 ms',
        '3',
        '1.5 KiB',
        '10 B',
        'c1',
      ],
      [
        'lapt…',
        'provider',
        '203.0.113.9',
        'suspended',
        expect.stringMatching(/^1 min 3\d s$/),
        '-',
        '3',
        '1.5 KiB',
        '10 B',
        'c2',
      ],
      [''],
    ])
  })

  it('gives a program all three answers in one document', async () => {
    const { io } = await tell(table, ['status', '--json'])
    expect(Object.keys(JSON.parse(io.out))).toEqual(['server', 'tokens', 'clients'])
  })

  it('of an older server shows its tokens', async () => {
    const { io } = await tell({ 'GET /api/status': { body: OLD } }, ['status'])
    expect(io.out).toMatch(/^LinkSocks 0\.1\.0 at http:.*, which tells no more than its tokens\n\nID {2}TYPE/)
    const { io: json } = await tell({ 'GET /api/status': { body: OLD } }, ['status', '--json'])
    expect(JSON.parse(json.out)).toEqual(OLD)
  })

  it('refuses another kind of answer', async () => {
    const { code, io } = await tell({ 'GET /api/server': { body: { version: 7 } } }, ['status'])
    expect([code, io.err]).toEqual([1, expect.stringContaining('its answer is of another kind')])
  })
})
