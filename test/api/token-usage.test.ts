import { describe, expect, it } from 'vitest'
import type { TokenUsageInfo } from '../../src/relay/tokens/token-spec.js'
import type { QuotaState } from '../../src/relay/traffic/token-traffic.js'
import { createFixture, expectJson, failure, tokenInfo } from './fixture.js'

const ID = 'a'.repeat(24)
const PATH = `/api/tokens/${ID}/usage`

const NONE = { egress: 0, depends: 0, streams: 0, connects: 0, hours: 0, sources: 0, subjects: 0, clients: 0, quota: 0 }
const QUOTA: QuotaState = {
  quota: { bytes: 1_000, period: 'month', direction: 'both' },
  ...{ used: 1_000, usedUp: true, resetsAt: Date.UTC(2030, 0, 1) },
}
const USAGE: TokenUsageInfo = {
  id: ID,
  since: Date.UTC(2029, 11, 24),
  ...{ total: { up: 1, down: 2 }, month: { up: 3, down: 4 }, day: { up: 5, down: 6 }, rate: { up: 7, down: 8 } },
  ...{ throttled: { up: 9, down: 10 }, droppedDatagrams: 11, refusals: { ...NONE, quota: 12 }, quota: QUOTA },
}
const QUOTA_WIRE = {
  ...{ bytes: 1_000, period: 'month', direction: 'both', used: 1_000, used_up: true },
  resets_at: '2030-01-01T00:00:00.000Z',
}
const WIRE = {
  ...{ token_id: ID, since: '2029-12-24T00:00:00.000Z', total: { up: 1, down: 2 }, month: { up: 3, down: 4 } },
  ...{ day: { up: 5, down: 6 }, rate: { up: 7, down: 8 }, throttled: { up: 9, down: 10 }, dropped_datagrams: 11 },
  ...{ refusals: { ...NONE, quota: 12 }, quota: QUOTA_WIRE },
}

async function expectAnswer(answered: Promise<Response>, status: number, body: unknown): Promise<void> {
  const response = await answered
  expect([response.status, await expectJson(response)]).toEqual([status, body])
}

describe('GET /api/tokens/{id}/usage', () => {
  it('shows what went through a token', async () => {
    const { admin, call } = createFixture()
    admin.usages = [USAGE]
    await expectAnswer(call('GET', PATH), 200, WIRE)
  })

  it('shows no quota as null, and of a total no end', async () => {
    const { admin, call } = createFixture()
    admin.usages = [{ ...USAGE, quota: undefined }]
    await expectAnswer(call('GET', PATH), 200, { ...WIRE, quota: null })
    const total: QuotaState = { ...QUOTA, quota: { ...QUOTA.quota, period: 'total' }, resetsAt: undefined }
    admin.usages = [{ ...USAGE, quota: total }]
    const quota = { ...QUOTA_WIRE, period: 'total', resets_at: null }
    await expectAnswer(call('GET', PATH), 200, { ...WIRE, quota })
  })

  it('knows no other token', async () => {
    const { call } = createFixture()
    await expectAnswer(call('GET', PATH), 404, failure('token not found'))
  })
})

describe('POST /api/tokens/{id}/usage/reset', () => {
  it('begins to count anew', async () => {
    const { admin, call } = createFixture()
    admin.usages = [USAGE]
    await expectAnswer(call('POST', `${PATH}/reset`), 200, WIRE)
    expect(admin.resets).toEqual([ID])
  })

  it('knows no other token', async () => {
    const { call } = createFixture()
    await expectAnswer(call('POST', `${PATH}/reset`), 404, failure('token not found'))
  })
})

describe('GET /api/tokens', () => {
  it('shows what is used of quotas', async () => {
    const { admin, call } = createFixture()
    admin.infos = [tokenInfo({ id: ID, quota: QUOTA }), tokenInfo({ id: 'b'.repeat(24) })]
    const response = await call('GET', '/api/tokens')
    const { tokens } = (await response.json()) as { tokens: { quota: unknown }[] }
    expect(tokens.map(({ quota }) => quota)).toEqual([QUOTA_WIRE, null])
  })
})
