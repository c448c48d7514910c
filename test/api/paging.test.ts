import { describe, expect, it } from 'vitest'
import { DEFAULT_PAGE } from '../../src/api/paging.js'
import { createFixture, expectJson, failure, tokenInfo } from './fixture.js'

describe('the query of a list', () => {
  const LIMIT = 'limit must be an integer from 1 to 1000'
  const AFTER = 'after must be what next of the page before was'
  it.each<readonly [query: string, error: string]>([
    ...['', '0', '0000', '1001', '-1', '1.0', '1e2', ' 1', '0x10', 'all', '00100', '١', '1%00'].map(
      (limit) => [`limit=${limit}`, LIMIT] as const,
    ),
    ...['', '-1', 'a', '1.5', '1'.repeat(16), 'null'].map((after) => [`after=${after}`, AFTER] as const),
    ['cursor=1', 'unknown parameter: cursor'],
    ['Limit=1', 'unknown parameter: Limit'],
    ['limit=1&x', 'unknown parameter: x'],
    ['=', 'unknown parameter: '],
    ['limit[]=1', 'unknown parameter: limit[]'],
    ['limit=1&limit=1', 'limit is given twice'],
    ['x=1&x=2', 'x is given twice'],
    ['constructor=1', 'unknown parameter: constructor'],
  ])('is refused by every list: ?%s', async (query, error) => {
    const { call } = createFixture()
    for (const path of ['/api/tokens', '/api/clients', '/api/streams']) {
      const response = await call('GET', `${path}?${query}`)
      expect([path, response.status, await expectJson(response)]).toEqual([path, 400, failure(error)])
    }
  })

  it.each(['limit=1', 'limit=1000', 'limit=0007', 'after=0', 'after=000000000000001', '', '&', '%6cimit=1'])(
    'is taken by every list: ?%s',
    async (query) => {
      for (const path of ['/api/tokens', '/api/clients', '/api/streams']) {
        expect((await createFixture().call('GET', `${path}?${query}`)).status).toBe(200)
      }
    },
  )

  it('gets one page of the default size without a limit', async () => {
    const { call, admin } = createFixture()
    admin.infos = Array.from({ length: DEFAULT_PAGE + 1 }, (_, index) => tokenInfo({ number: index + 1 }))
    const { tokens, next } = (await expectJson(await call('GET', '/api/tokens'))) as { tokens: unknown[]; next: string }
    expect([tokens.length, next]).toEqual([DEFAULT_PAGE, String(DEFAULT_PAGE)])
  })
})
