import { describe, expect, it } from 'vitest'
import type { ClientInfo } from '../../src/relay/observe/client-info.js'
import type { StreamInfo } from '../../src/relay/observe/streams.js'
import { createFixture, expectJson, failure, tokenInfo } from './fixture.js'

const id = (digit: string): string => digit.repeat(24)
const [TOKEN, OTHER_TOKEN, ASKER, PROVIDER] = [id('a'), id('b'), id('c'), id('d')]

const TIME = '1970-01-01T00:00:01.500Z'

function clientInfo(info: Partial<ClientInfo>): ClientInfo {
  const traits = { role: 'forward', tokenId: TOKEN, address: '203.0.113.9', since: 1_500, state: 'connected' } as const
  const counts = { number: 1, roundTripMs: undefined, streams: 0, receivedBytes: 0, sentBytes: 0 }
  return { id: ASKER, ...traits, ...counts, ...info }
}

function streamInfo(info: Partial<StreamInfo>): StreamInfo {
  const traits = { mode: 'forward', protocol: 'tcp', target: 'example.com:443', tokenId: TOKEN, state: 'open' } as const
  const ends = { clientId: ASKER, providerId: undefined, since: 1_500, sentBytes: 0, receivedBytes: 0 }
  return { id: 1, ...traits, ...ends, ...info }
}

describe('GET /api/clients', () => {
  it('answers in the names of the wire', async () => {
    const { call, admin } = createFixture()
    admin.clientInfos = [
      clientInfo({ roundTripMs: 12.345_678, streams: 2, receivedBytes: 3, sentBytes: 4 }),
      clientInfo({ number: 2, id: PROVIDER, role: 'provider', state: 'suspended', address: '2001:db8::1' }),
      clientInfo({ number: 3, role: 'connector', roundTripMs: -0.000_1 }),
    ]
    const since = { token_id: TOKEN, since: TIME, streams: 0, received_bytes: 0, sent_bytes: 0 }
    const near = { address: '203.0.113.9', state: 'connected' }
    expect(await expectJson(await call('GET', '/api/clients'))).toEqual({
      clients: [
        { ...since, ...near, id: ASKER, role: 'forward', rtt_ms: 12.346, streams: 2, received_bytes: 3, sent_bytes: 4 },
        { ...since, id: PROVIDER, role: 'provider', state: 'suspended', address: '2001:db8::1', rtt_ms: null },
        { ...since, ...near, id: ASKER, role: 'connector', rtt_ms: 0 },
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

describe('GET /api/streams', () => {
  const LIST = [
    streamInfo({}),
    streamInfo({ id: 2, mode: 'reverse', clientId: undefined, providerId: PROVIDER, tokenId: OTHER_TOKEN }),
    streamInfo({ id: 5, mode: 'agent', providerId: PROVIDER, tokenId: OTHER_TOKEN }),
    streamInfo({ id: 9, protocol: 'udp', target: undefined, state: 'opening', sentBytes: 1, receivedBytes: 2 }),
  ]
  const ask = async (query: string) => {
    const { call, admin } = createFixture()
    admin.streamInfos = LIST
    const body = (await expectJson(await call('GET', `/api/streams${query}`))) as { streams: { id: string }[] }
    return { ...body, ids: body.streams.map(({ id }) => id) }
  }

  it('answers in the names of the wire', async () => {
    const common = { target: 'example.com:443', state: 'open', since: TIME, sent_bytes: 0, received_bytes: 0 }
    const { streams } = await ask('')
    expect(streams).toEqual([
      {
        ...{ ...common, id: '1', mode: 'forward', protocol: 'tcp' },
        ...{ token_id: TOKEN, client_id: ASKER, provider_id: null },
      },
      {
        ...{ ...common, id: '2', mode: 'reverse', protocol: 'tcp' },
        ...{ token_id: OTHER_TOKEN, client_id: null, provider_id: PROVIDER },
      },
      {
        ...{ ...common, id: '5', mode: 'agent', protocol: 'tcp' },
        ...{ token_id: OTHER_TOKEN, client_id: ASKER, provider_id: PROVIDER },
      },
      {
        ...{ id: '9', mode: 'forward', protocol: 'udp', target: null, state: 'opening', since: TIME },
        ...{ token_id: TOKEN, client_id: ASKER, provider_id: null, sent_bytes: 1, received_bytes: 2 },
      },
    ])
  })

  it.each([
    ['', ['1', '2', '5', '9']],
    ['?order=oldest', ['1', '2', '5', '9']],
    ['?order=newest', ['9', '5', '2', '1']],
    [`?token=${OTHER_TOKEN}`, ['2', '5']],
    [`?token=${id('f')}`, []],
    [`?client=${ASKER}`, ['1', '5', '9']],
    [`?client=${PROVIDER}`, ['2', '5']],
    [`?client=${ASKER}&token=${OTHER_TOKEN}&order=newest`, ['5']],
    ['?after=2', ['5', '9']],
    ['?order=newest&after=5', ['2', '1']],
    [`?order=newest&after=6&client=${PROVIDER}`, ['5', '2']],
  ])('gives %s', async (query, ids) => {
    expect(await ask(query)).toMatchObject({ ids, next: null })
  })

  it.each(['oldest', 'newest'])(
    'goes through all pages, %s first, and counts what the filter leaves',
    async (order) => {
      const filter = `?client=${ASKER}&order=${order}&limit=1`
      const seen: string[] = []
      let next: unknown = null
      do {
        const page = await ask(`${filter}${next === null ? '' : `&after=${next}`}`)
        expect(page).toMatchObject({ total: 3 })
        seen.push(...page.ids)
        next = (page as { next?: unknown }).next
      } while (next !== null)
      expect(seen).toEqual(order === 'oldest' ? ['1', '5', '9'] : ['9', '5', '1'])
    },
  )
})

describe('GET /api/server', () => {
  it('answers version, key, counts and alarms', async () => {
    const { call, admin, clock } = createFixture()
    admin.infos = [tokenInfo({})]
    admin.durable = true
    admin.alarmInfos = [
      { code: 'port-unavailable', subject: TOKEN, message: 'port 80 is in use', since: 1_500 },
      { code: 'not-stored', subject: undefined, message: 'disk full', since: 1_500 },
    ]
    clock.advance(5_000)
    expect(await expectJson(await call('GET', '/api/server'))).toEqual({
      ...{ version: '1.2.3', started_at: '2026-01-01T00:00:00.000Z', key: { name: 'default', role: 'full' } },
      ...{ durable: true, draining: false, tokens: 1, clients: 0, streams: 0 },
      ...{ received_bytes: 1_000, sent_bytes: 2_000 },
      alarms: [
        { code: 'port-unavailable', subject: TOKEN, message: 'port 80 is in use', since: TIME },
        { code: 'not-stored', subject: null, message: 'disk full', since: TIME },
      ],
    })
  })

  it('says that the server takes nothing new', async () => {
    const { call, admin } = createFixture()
    admin.draining = true
    expect(await expectJson(await call('GET', '/api/server'))).toMatchObject({ draining: true, durable: false })
  })
})

describe.each([{}, { apiKey: 'key' }])('GET /healthz and /readyz with %j', (options) => {
  it('ask for no key', async () => {
    const { call, lines } = createFixture(options)
    for (const path of ['/healthz', '/readyz', '/readyz?verbose']) {
      const response = await call('GET', path, undefined, {})
      expect([response.status, await expectJson(response)]).toEqual([200, { status: 'ok' }])
    }
    expect(lines).toEqual([])
  })

  it('tell draining apart from failing', async () => {
    const { call, admin } = createFixture(options)
    admin.draining = true
    expect((await call('GET', '/healthz', undefined, {})).status).toBe(200)
    for (const method of ['GET', 'HEAD']) expect((await call(method, '/readyz', undefined, {})).status).toBe(503)
    expect(await expectJson(await call('GET', '/readyz', undefined, {}))).toEqual({ status: 'draining' })
  })
})
