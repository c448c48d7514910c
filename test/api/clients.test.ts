import { describe, expect, it } from 'vitest'
import type { ClientInfo } from '../../src/relay/observe/client-info.js'
import { createFixture, expectJson, failure } from './fixture.js'

const TOKEN = 'a'.repeat(24)
const ASKER = 'c'.repeat(24)
const PROVIDER = 'd'.repeat(24)
const TIME = '1970-01-01T00:00:01.500Z'

function clientInfo(info: Partial<ClientInfo>): ClientInfo {
  const traits = {
    role: 'forward',
    tokenId: TOKEN,
    address: '203.0.113.9',
    subject: undefined,
    since: 1_500,
    state: 'connected',
  } as const
  const counts = { number: 1, roundTripMs: undefined, streams: 0, receivedBytes: 0, sentBytes: 0 }
  return { id: ASKER, ...traits, ...counts, ...info }
}

describe('GET /api/clients', () => {
  it('answers in the names of the wire', async () => {
    const { call, admin } = createFixture()
    admin.clientInfos = [
      clientInfo({ roundTripMs: 12.345_678, streams: 2, receivedBytes: 3, sentBytes: 4 }),
      clientInfo({ number: 2, id: PROVIDER, role: 'provider', state: 'suspended', address: '2001:db8::1' }),
      clientInfo({ number: 3, role: 'connector', roundTripMs: -0.000_1, subject: 'CN=ann' }),
    ]
    const since = { token_id: TOKEN, since: TIME, streams: 0, received_bytes: 0, sent_bytes: 0 }
    const near = { address: '203.0.113.9', state: 'connected' }
    expect(await expectJson(await call('GET', '/api/clients'))).toEqual({
      clients: [
        {
          ...since,
          ...near,
          id: ASKER,
          role: 'forward',
          subject: null,
          rtt_ms: 12.346,
          streams: 2,
          received_bytes: 3,
          sent_bytes: 4,
        },
        {
          ...since,
          id: PROVIDER,
          role: 'provider',
          state: 'suspended',
          address: '2001:db8::1',
          subject: null,
          rtt_ms: null,
        },
        { ...since, ...near, id: ASKER, role: 'connector', subject: 'CN=ann', rtt_ms: 0 },
      ],
      next: null,
      total: 3,
    })
  })

  it('goes page by page', async () => {
    const { call, admin } = createFixture()
    admin.clientInfos = [3, 7, 9].map((number) => clientInfo({ number }))
    const page = async (query: string) => await expectJson(await call('GET', `/api/clients?${query}`))
    expect(await page('limit=2')).toMatchObject({ next: '7', total: 3 })
    expect(await page('limit=2&after=7')).toMatchObject({ clients: [{}], next: null, total: 3 })
    expect(await page('after=9')).toMatchObject({ clients: [], next: null, total: 3 })
    expect(await page('limit=1000&after=999999999999999')).toMatchObject({ clients: [], total: 3 })
  })
})

describe('DELETE /api/clients/{id}', () => {
  it('ends the session and says nothing', async () => {
    const { call, admin } = createFixture()
    admin.clientInfos = [clientInfo({})]
    const response = await call('DELETE', `/api/clients/${ASKER}`)
    expect([response.status, response.body]).toEqual([204, null])
    expect(admin.disconnected).toEqual([ASKER])
  })

  it.each(['', PROVIDER, `${ASKER}/`, '203.0.113.9', '*'])('answers 404 for %j', async (segment) => {
    const { call, admin, lines } = createFixture()
    admin.clientInfos = [clientInfo({})]
    const response = await call('DELETE', `/api/clients/${segment}`)
    expect(response.status).toBe(404)
    expect(await expectJson(response)).toEqual(failure('client not found'))
    expect([admin.disconnected, lines]).toEqual([[], []])
  })
})
