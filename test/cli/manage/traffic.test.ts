import { describe, expect, it } from 'vitest'
import { run } from '../harness.js'
import { failed, fakeApi, ID, KEY, OTHER_ID, type Reply, type Routes, routes, tokenOf } from './fake-api.js'

const GET = `GET /api/tokens/${ID}`
const PATCH = `PATCH /api/tokens/${ID}`
const ADD = ['token', 'add', '--type', 'forward']
const SET = ['token', 'set', ID]

async function tell(table: Routes, argv: readonly string[]) {
  const { url, calls } = await fakeApi(routes(table))
  return { ...(await run(argv, { LINKSOCKS_API_URL: url, LINKSOCKS_API_KEY: KEY })), calls }
}

/** The policy that `linksocks token add` asks for. */
async function added(...argv: readonly string[]): Promise<unknown> {
  let policy: unknown
  const table: Routes = {
    'POST /api/token': ({ body }) => {
      policy = Object(body).policy
      return { body: { success: true, token: 'made' }, headers: { location: `/api/tokens/${ID}` } }
    },
    [GET]: () => ({ body: tokenOf({ policy }) }),
  }
  const { code, io } = await tell(table, [...ADD, ...argv])
  expect([code, io.err]).toEqual([0, ''])
  return policy
}

describe('linksocks token add with rates and a quota', () => {
  it.each([
    [['--rate-up', '10M'], { rate: { up: 10_000_000 } }],
    [
      [
        ...['--rate-up=1', '--rate-down', '1T', '--rate-burst', '1GiB'],
        ...['--stream-rate-up', '1.5M', '--stream-rate-down', '64KiB'],
      ],
      { rate: { up: 1, down: 1e12, burst: 1_073_741_824, stream_up: 1_500_000, stream_down: 65_536 } },
    ],
    [['--quota', '50G/month'], { quota: { bytes: 50e9, period: 'month' } }],
    [['--quota', '1/day/down'], { quota: { bytes: 1, period: 'day', direction: 'down' } }],
    [['--quota', '10GiB/total/up'], { quota: { bytes: 10_737_418_240, period: 'total', direction: 'up' } }],
    [
      ['--quota', '9007199254740991/day/both'],
      { quota: { bytes: Number.MAX_SAFE_INTEGER, period: 'day', direction: 'both' } },
    ],
    [
      ['--rate-up', 'none', '--rate-down', '1K', '--quota', 'none', '--max-streams', '1'],
      { rate: { down: 1_000 }, max_streams: 1 },
    ],
    [['--rate-up', 'none', '--rate-burst', 'none', '--quota', 'none'], undefined],
  ])('%j asks for %j', async (argv, policy) => {
    expect(await added(...argv)).toEqual(policy)
  })

  const SIZE = 'such as 500K, 1.5M, 10G or 64MiB'
  const FORM = 'must be SIZE/PERIOD, PERIOD day, month or total, such as 50G/month or 500M/day/down, or none'
  it.each([
    [['--rate-up', '10Mbit'], `--rate-up: must be a size from 1 to 1T ${SIZE}, or none, not '10Mbit'`],
    [['--rate-down', '0'], '--rate-down: must be a size from 1 to 1T'],
    [['--stream-rate-up', '1000000000001'], '--stream-rate-up: must be a size from 1 to 1T'],
    [['--stream-rate-down', ''], '--stream-rate-down: must be a size from 1 to 1T'],
    [['--rate-up', '1', '--rate-burst', '1073741825'], '--rate-burst: must be a size from 1 to 1GiB'],
    [['--rate-burst', '1M'], '--rate-burst: needs a rate: --rate-up, --rate-down or another'],
    [['--rate-burst', '1M', '--rate-up', 'none'], '--rate-burst: needs a rate'],
    [['--quota', '50G'], `--quota: ${FORM}, not '50G'`],
    [['--quota', '50G/week'], `--quota: ${FORM}, not '50G/week'`],
    [['--quota', '50G/month/'], `--quota: ${FORM}`],
    [['--quota', '50G/month/left'], `--quota: ${FORM}`],
    [['--quota', '50G/month/up/down'], `--quota: ${FORM}`],
    [['--quota', '50Gb/month'], `--quota: must be a size from 1 to 9007199254740991 ${SIZE}, not '50Gb'`],
    [['--quota', '0/month'], '--quota: must be a size from 1 to'],
    [['--quota', '9007199254740992/day'], '--quota: must be a size from 1 to'],
  ])('%j is a usage error', async (argv, line) => {
    const { code, io, calls } = await tell({}, [...ADD, ...argv])
    expect([code, calls, io.err]).toEqual([2, [], expect.stringContaining(`linksocks: ${line}`)])
  })
})

describe('linksocks token set with rates', () => {
  const STORED = { up: 1_000, down: 2_000, burst: 3_000 }

  it.each<[readonly string[], unknown, unknown]>([
    [['--rate-down', '10M'], STORED, { ...STORED, down: 10_000_000 }],
    [['--rate-up', 'none'], STORED, { down: 2_000, burst: 3_000 }],
    [['--rate-burst', 'none', '--stream-rate-up', '1K'], STORED, { up: 1_000, down: 2_000, stream_up: 1_000 }],
    [['--rate-burst', '1M'], STORED, { ...STORED, burst: 1_000_000 }],
    [['--rate-up', 'none', '--rate-down', 'none'], STORED, null],
    [['--rate-up', 'none'], null, null],
    [['--rate-down', '10M'], null, { down: 10_000_000 }],
    [['--rate-down', '10M'], { up: 1, of_later: 2 }, { up: 1, of_later: 2, down: 10_000_000 }],
    [['--stream-rate-down', '10M'], { up: null, down: 7 }, { down: 7, stream_down: 10_000_000 }],
  ])('%j changes %j to %j', async (argv, stored, rate) => {
    const policy = stored === null ? null : { rate: stored, max_streams: 5 }
    const table = { [GET]: { body: tokenOf({ policy }) }, [PATCH]: { body: tokenOf() } }
    const { code, calls } = await tell(table, [...SET, ...argv])
    expect(calls.map(({ method }) => method)).toEqual(['GET', 'PATCH'])
    expect([code, calls.at(-1)?.body]).toEqual([0, { policy: { rate } }])
  })

  it('keeps the rates of each of several tokens', async () => {
    const table = {
      [GET]: { body: tokenOf({ policy: { rate: { up: 1 } } }) },
      [PATCH]: { body: tokenOf() },
      [`GET /api/tokens/${OTHER_ID}`]: { body: tokenOf({ id: OTHER_ID, policy: { rate: { down: 2, stream_up: 3 } } }) },
      [`PATCH /api/tokens/${OTHER_ID}`]: { body: tokenOf({ id: OTHER_ID }) },
    }
    const { calls } = await tell(table, ['token', 'set', ID, OTHER_ID, '--rate-down', '9', '--label', 'x'])
    expect(calls.flatMap(({ method, body }) => (method === 'PATCH' ? [body] : []))).toEqual([
      { label: 'x', policy: { rate: { up: 1, down: 9 } } },
      { label: 'x', policy: { rate: { down: 9, stream_up: 3 } } },
    ])
  })

  it.each([
    [['--quota', '50G/month'], { quota: { bytes: 50e9, period: 'month' } }],
    [['--quota', 'none', '--max-streams', '1'], { quota: null, max_streams: 1 }],
  ])('asks nothing before %j', async (argv, policy) => {
    const { code, calls } = await tell({ [PATCH]: { body: tokenOf() } }, [...SET, ...argv])
    expect([code, calls.map(({ body }) => body)]).toEqual([0, [{ policy }]])
  })

  it.each<[readonly string[], Routes, number, string]>([
    [['--no-policy', '--rate-up', '1M'], {}, 2, '--no-policy: cannot be combined with --rate-up'],
    [['--no-policy', '--quota', 'none'], {}, 2, '--no-policy: cannot be combined with --quota'],
    [['--rate-burst', '1M'], { [GET]: { body: tokenOf({ policy: null }) } }, 2, '--rate-burst: needs a rate'],
    [
      ['--rate-up', '1M'],
      { [GET]: failed(404, 'token not found') },
      1,
      `${ID}: the server knows no token with this id`,
    ],
    [['--rate-up', '1M'], { [GET]: { body: {} } }, 1, 'its answer is of another kind'],
    [
      ['--rate-up', '1M'],
      { [GET]: { body: tokenOf({ policy: null }) }, [PATCH]: failed(400, 'unknown field: policy.rate') },
      1,
      'the server refused it: unknown field: policy.rate',
    ],
  ])('%j ends with an error', async (argv, table, exit, line) => {
    const { code, io, calls } = await tell(table, [...SET, ...argv])
    expect([code, io.err]).toEqual([exit, expect.stringContaining(`linksocks: `)])
    expect(io.err).toContain(line)
    if (PATCH in table) return
    expect(calls.filter(({ method }) => method === 'PATCH')).toEqual([])
  })
})

describe('linksocks token usage', () => {
  const USAGE = `GET /api/tokens/${ID}/usage`
  const RESET = `POST /api/tokens/${ID}/usage/reset`
  const QUOTA = {
    bytes: 50e9,
    period: 'month',
    direction: 'both',
    used: 12_345_678_901,
    used_up: false,
    resets_at: '2030-02-01T00:00:00.000Z',
  }
  const REFUSALS = {
    egress: 0,
    depends: 0,
    streams: 3,
    connects: 0,
    hours: 0,
    sources: 0,
    subjects: 0,
    clients: 0,
    quota: 12,
  }
  const usageOf = (more: object = {}) => ({
    token_id: ID,
    since: '2030-01-01T00:00:00.000Z',
    total: { up: 12_345_678_901, down: 999 },
    month: { up: 65_536, down: 999 },
    day: { up: 1_000, down: 0 },
    rate: { up: 1_500.7, down: 0 },
    throttled: { up: 0, down: 4_000_000 },
    dropped_datagrams: 7,
    refusals: REFUSALS,
    quota: QUOTA,
    ...more,
  })
  const usage = async (more: object, ...argv: readonly string[]): Promise<string> => {
    const { code, io } = await tell({ [USAGE]: { body: usageOf(more) } }, ['token', 'usage', ID, ...argv])
    expect([code, io.err]).toEqual([0, ''])
    return io.out
  }

  it('shows what a token carried, its quota, and what was refused', async () => {
    expect(await usage({})).toBe(
      [
        `id     ${ID}`,
        'since  2030-01-01T00:00:00.000Z',
        '',
        'BYTES           UP     DOWN',
        'total           12.3G  999',
        'this month      65.5K  999',
        'today           1K     0',
        'per second now  1.5K   0',
        'held back       0      4M',
        '',
        'quota              12.3G of 50G/month, from 0 again at 2030-02-01T00:00:00.000Z',
        'refused            streams 3, quota 12',
        'datagrams dropped  7',
        '',
      ].join('\n'),
    )
  })

  it.each([
    [null, 'none'],
    [{ ...QUOTA, period: 'total', resets_at: null }, '12.3G of 50G/total'],
    [
      { ...QUOTA, direction: 'up', used: 60e9, used_up: true },
      '60G of 50G/month/up, exhausted, from 0 again at 2030-02-01T00:00:00.000Z',
    ],
  ])('of the quota %j says %s', async (quota, text) => {
    expect(await usage({ quota })).toContain(`\nquota              ${text}\n`)
  })

  it('says that nothing was refused', async () => {
    expect(await usage({ refusals: { ...REFUSALS, streams: 0, quota: 0 } })).toContain('\nrefused            none\n')
  })

  it('shows reasons of a newer server, and nothing that a terminal acts on', async () => {
    const out = await usage({ refusals: { of_later: 1, '\u202e': 2 }, since: '\u001b' })
    expect(out).toContain('\nrefused            of_later 1, \\u{202e} 2\n')
    expect(out).not.toContain('\u001b')
  })

  it('gives a program the answer as it is', async () => {
    expect(JSON.parse(await usage({ more: true }, '--json'))).toEqual(usageOf({ more: true }))
  })

  it('begins to count from 0, and says so', async () => {
    const body = usageOf({ quota: { ...QUOTA, used: 0 } })
    const { code, io, calls } = await tell({ [RESET]: { body } }, ['token', 'usage', ID, '--reset'])
    expect([code, io.err]).toEqual([0, ''])
    expect(calls.map(({ method, url, body }) => [method, url, body])).toEqual([
      ['POST', `/api/tokens/${ID}/usage/reset`, undefined],
    ])
    expect(io.out).toMatch(/^reset: its bytes and its quota are counted from 0 now\n\nid {5}/)
    expect(io.out).toContain('\nquota              0 of 50G/month, from 0 again at ')
    const json = await tell({ [RESET]: { body } }, ['token', 'usage', ID, '--reset', '--json'])
    expect(JSON.parse(json.io.out)).toEqual(body)
  })

  it('resets a token without a quota too', async () => {
    const { io } = await tell({ [RESET]: { body: usageOf({ quota: null }) } }, ['token', 'usage', ID, '--reset'])
    expect(io.out).toMatch(/^reset: its bytes are counted from 0 now\n\n/)
  })

  const readOnly: Reply = failed(403, 'this API key may only read')
  it.each<[readonly string[], Routes, number, string]>([
    [['hunter2'], {}, 2, 'token usage: a token is named by its id, 24 hex digits'],
    [[], {}, 2, '<id> is missing'],
    [[ID, OTHER_ID], {}, 2, 'every value needs a flag before it'],
    [[ID], { [USAGE]: failed(404, 'token not found') }, 1, `${ID}: the server knows no token with this id`],
    [[ID], {}, 1, 'is too old for this command'],
    [[ID, '--reset'], {}, 1, 'is too old for this command'],
    [[ID], { [USAGE]: { body: usageOf({ total: 5 }) } }, 1, 'its answer is of another kind'],
    [[ID, '--reset'], { [RESET]: readOnly }, 3, 'LINKSOCKS_API_KEY: this API key may only read'],
  ])('%j ends with an error', async (argv, table, exit, line) => {
    const { code, io } = await tell(table, ['token', 'usage', ...argv])
    expect([code, io.out, io.err]).toEqual([exit, '', expect.stringContaining(line)])
    expect(io.err).not.toContain('hunter2')
  })
})
