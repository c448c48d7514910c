import { describe, expect, it } from 'vitest'
import { run } from '../harness.js'
import { failed, fakeApi, ID, KEY, OTHER_ID, type Routes, routes, tokenOf } from './fake-api.js'

const GET = `GET /api/tokens/${ID}`

async function show(table: Routes, ...argv: readonly string[]) {
  const { url } = await fakeApi(routes(table))
  return run(['token', 'show', ...argv], { LINKSOCKS_API_URL: url, LINKSOCKS_API_KEY: KEY })
}

async function shown(more: Readonly<Record<string, unknown>>): Promise<string> {
  const { code, io } = await show({ [GET]: { body: tokenOf(more) } }, ID)
  expect([code, io.err]).toEqual([0, ''])
  return io.out
}

/** The lines about the policy. */
async function policyLines(policy: unknown): Promise<readonly string[]> {
  const [, lines = ''] = (await shown({ rules: [], policy })).split('policy:\n')
  return lines.trimEnd().split('\n')
}

describe('linksocks token show', () => {
  it('shows a token with all of its rules and its policy', async () => {
    const policy = {
      egress: [
        { action: 'deny', hosts: ['@private', '*.corp.example'] },
        { action: 'allow', hosts: ['*.example.com'], ports: [443], protocol: 'tcp' },
        { action: 'allow', ports: [[8_000, 8_999]] },
        { action: 'allow', ports: [22, [80, 81]] },
      ],
      egress_default: 'deny',
      max_streams: 100,
      max_clients: 0,
      connects_per_minute: 600,
      sources: ['198.51.100.0/24', '2001:db8::/32'],
      client_subjects: ['CN=ann,O=Example\\, Ltd', 'CN=bob'],
      hours: [
        { days: ['mon', 'tue'], from: '08:00', to: '18:00', zone: 'Europe/Berlin' },
        { from: '22:00', to: '24:00' },
      ],
      rate: { up: 10_000_000, down: 1_500_000, burst: 65_536, stream_up: 1_234, stream_down: 1_000_000_000_000 },
      quota: { bytes: 50_000_000_000, period: 'month', direction: 'down' },
    }
    const rules = [{ addrs: ['10.0.0.0/8', '192.0.2.1'], ports: [443, [8_000, 8_999]] }, { ports: [53] }, {}]
    const quota = { ...policy.quota, used: 50_000_000_000, used_up: true, resets_at: '2030-02-01T00:00:00.000Z' }
    expect(await shown({ rules, policy, quota })).toBe(
      [
        `id       ${ID}`,
        'type     forward',
        "label    Ada's laptop",
        'token    lapt…',
        'state    active',
        'expires  -',
        'clients  1',
        'used     50G of 50G/month/down, exhausted, from 0 again at 2030-02-01T00:00:00.000Z',
        '',
        'access rules:',
        '  1  10.0.0.0/8, 192.0.2.1; ports 443, 8000-8999',
        '  2  any address; port 53',
        '  3  any address',
        '',
        'policy:',
        '  1  deny  @private, *.corp.example',
        '  2  allow *.example.com; port 443; tcp',
        '  3  allow any host; ports 8000-8999',
        '  4  allow any host; ports 22, 80-81',
        '  otherwise          deny',
        '  max streams        100',
        '  max clients        0',
        '  connects a minute  600',
        '  sources            198.51.100.0/24, 2001:db8::/32',
        '  client subject     CN=ann,O=Example\\, Ltd',
        '  client subject     CN=bob',
        '  hours              mon,tue 08:00-18:00 Europe/Berlin',
        '  hours              every day 22:00-24:00 UTC',
        '  rate up            10M',
        '  rate down          1.5M',
        '  rate burst         64KiB',
        '  stream rate up     1234',
        '  stream rate down   1T',
        '  quota              50G/month/down',
        '',
      ].join('\n'),
    )
  })

  it('shows what the other types have', async () => {
    const reverse = { type: 'reverse', port: 7, port_error: 'in use', username: 'ada', rules: [], policy: null }
    expect(await shown(reverse)).toContain('\nport       7 (closed: in use)\nuser name  ada\n\naccess rules: none\n')
    expect(await shown({ type: 'connector', reverse_id: OTHER_ID })).toContain(`\nreverse  ${OTHER_ID}\n`)
  })

  it('tells a token without a policy from a server that knows none', async () => {
    expect(await shown({ rules: [], policy: null })).toMatch(/\naccess rules: none\n\npolicy: none\n$/)
    expect(await shown({ rules: [], policy: {} })).toMatch(/\n\npolicy: none\n$/)
    expect(await shown({})).toMatch(/\naccess rules: -\n\npolicy: -\n$/)
  })

  it.each([
    [{ egress: [{ action: 'allow' }] }, 'deny'],
    [{ egress: [{ action: 'deny' }] }, 'allow'],
    [{ egress: [{ action: 'deny' }], egress_default: null }, 'allow'],
    [{ egress_default: 'deny' }, 'deny'],
  ])('says of %j that otherwise it is %s', async (policy, expected) => {
    expect((await policyLines(policy)).at(-1)).toBe(`  otherwise  ${expected}`)
  })

  it('says nothing of destinations where the policy does not', async () => {
    expect(await policyLines({ max_streams: 1 })).toEqual(['  max streams  1'])
  })

  it('aligns the numbers of many rules', async () => {
    const lines = await policyLines({ egress: Array.from({ length: 10 }, () => ({ action: 'deny' })) })
    expect([lines[0], lines[9]]).toEqual(['   1  deny  any host', '  10  deny  any host'])
  })

  it('shows what a newer server limits by', async () => {
    const policy = {
      egress: [{ action: 'deny', weekday: 1 }],
      rate: { up: null, idle: {} },
      delay: [1],
      max_streams: null,
    }
    expect(await policyLines(policy)).toEqual([
      '  1  deny  any host; weekday 1',
      '  otherwise  allow',
      '  rate idle  {}',
      '  delay      [1]',
    ])
  })

  it('shows nothing that a terminal acts on', async () => {
    const policy = {
      egress: [{ action: 'deny', hosts: ['a\u202e'] }],
      sources: ['\u001b[0m'],
      client_subjects: ['CN=\u009b'],
    }
    const out = await shown({ policy, username: '\u0007' })
    for (const char of ['\u202e', '\u001b', '\u0007', '\u009b']) expect(out).not.toContain(char)
  })

  it('shows the whole token when asked to', async () => {
    const { io } = await show({ [GET]: { body: tokenOf() } }, ID, '--show-tokens')
    expect(io.out).toContain('\ntoken    laptop-secret\n')
  })

  it('gives a program the answer as it is', async () => {
    const body = tokenOf({ policy: { egress: [], of_later: 1 }, more: true })
    const { io } = await show({ [GET]: { body } }, ID, '--json')
    expect(JSON.parse(io.out)).toEqual(body)
  })

  it.each<[readonly string[], Routes, number, string]>([
    [['hunter2'], {}, 2, 'token show: a token is named by its id, 24 hex digits'],
    [[], {}, 2, '<id> is missing'],
    [[ID, OTHER_ID], {}, 2, 'every value needs a flag before it'],
    [[ID], { [GET]: failed(404, 'token not found') }, 1, `${ID}: the server knows no token with this id`],
    [[ID], {}, 1, 'is too old for this command'],
    [[ID], { [GET]: { body: tokenOf({ policy: { egress: 'all' } }) } }, 1, 'its answer is of another kind'],
  ])('%j ends with an error', async (argv, table, exit, line) => {
    const { code, io } = await show(table, ...argv)
    expect([code, io.err]).toEqual([exit, expect.stringContaining(line)])
    expect(io.err).not.toContain('hunter2')
  })
})
