import { describe, expect, it } from 'vitest'
import type { StreamInfo } from '../../src/relay/observe/streams.js'
import { createFixture, expectJson, failure } from './fixture.js'

const id = (digit: string): string => digit.repeat(24)
const [TOKEN, OTHER_TOKEN, ASKER, PROVIDER] = [id('a'), id('b'), id('c'), id('d')]
const TIME = '1970-01-01T00:00:01.500Z'

function streamInfo(info: Partial<StreamInfo>): StreamInfo {
  const traits = { mode: 'forward', protocol: 'tcp', target: 'example.com:443', tokenId: TOKEN, state: 'open' } as const
  const ends = {
    inbound: undefined,
    clientId: ASKER,
    providerId: undefined,
    since: 1_500,
    sentBytes: 0,
    receivedBytes: 0,
  }
  return { id: 1, ...traits, ...ends, ...info }
}

describe('GET /api/streams', () => {
  const LIST = [
    streamInfo({}),
    streamInfo({
      id: 2,
      mode: 'reverse',
      inbound: 'http',
      clientId: undefined,
      providerId: PROVIDER,
      tokenId: OTHER_TOKEN,
    }),
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
        ...{ ...common, id: '1', mode: 'forward', protocol: 'tcp', inbound: null },
        ...{ token_id: TOKEN, client_id: ASKER, provider_id: null },
      },
      {
        ...{ ...common, id: '2', mode: 'reverse', protocol: 'tcp', inbound: 'http' },
        ...{ token_id: OTHER_TOKEN, client_id: null, provider_id: PROVIDER },
      },
      {
        ...{ ...common, id: '5', mode: 'agent', protocol: 'tcp', inbound: null },
        ...{ token_id: OTHER_TOKEN, client_id: ASKER, provider_id: PROVIDER },
      },
      {
        ...{ id: '9', mode: 'forward', protocol: 'udp', inbound: null, target: null, state: 'opening', since: TIME },
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

  const noId = (name: string): string => `${name} must be an id of 24 hex digits`
  it.each([
    ...['', 'x', TOKEN.toUpperCase(), TOKEN.slice(1), `${TOKEN}0`, `${TOKEN}%0A`].flatMap((value) => [
      [`token=${value}`, noId('token')] as const,
      [`client=${value}`, noId('client')] as const,
    ]),
    ...['', 'Newest', 'desc'].map((order) => [`order=${order}`, 'order must be oldest or newest'] as const),
  ])('refuses ?%s, a query unknown to tokens and clients', async (query, error) => {
    const { call } = createFixture()
    expect(await expectJson(await call('GET', `/api/streams?${query}`))).toEqual(failure(error))
    for (const path of ['/api/tokens', '/api/clients']) {
      const { error: unknown } = (await expectJson(await call('GET', `${path}?${query}`))) as { error: string }
      expect(unknown).toMatch(/^unknown parameter: /)
    }
  })
})
