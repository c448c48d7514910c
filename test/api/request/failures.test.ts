import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { createFixture, expectJson, failure } from '../fixture.js'

describe('a failure', () => {
  it.each([
    [new LinkSocksError('ERR_TOKEN_INVALID', 'username must be shorter'), 400, 'username must be shorter'],
    [new LinkSocksError('ERR_TOKEN_RESERVED', 'x'), 400, "'anonymous' is reserved and cannot be used as a token"],
    [
      new LinkSocksError('ERR_TOKEN_AUTONOMY', 'x'),
      400,
      'connector tokens of this reverse token are managed by its providers',
    ],
    [new LinkSocksError('ERR_TOKEN_NOT_FOUND', 'x'), 404, 'token not found'],
    [new LinkSocksError('ERR_REVERSE_TOKEN_NOT_FOUND', 'x'), 404, 'reverse token not found'],
    [new LinkSocksError('ERR_TOKEN_EXISTS', 'x'), 409, 'token already exists'],
    [new LinkSocksError('ERR_PORT_UNAVAILABLE', 'x'), 409, 'port not available'],
    [new LinkSocksError('ERR_LIMIT', 'too many connector tokens'), 409, 'too many connector tokens'],
    [new LinkSocksError('ERR_SHUTTING_DOWN', 'x'), 503, 'server is shutting down'],
    [new LinkSocksError('ERR_NOT_STORED', 'x'), 507, 'not stored'],
  ])('of %s is answered %i', async (thrown, status, error) => {
    const { call, admin, lines } = createFixture()
    admin.failure = thrown
    const answers = [await call('POST', '/api/token', { type: 'forward' })]
    // removing finds nothing in its way
    if (status !== 409) answers.push(await call('DELETE', '/api/token/x'))
    for (const response of answers) {
      expect(response.status).toBe(status)
      expect(await expectJson(response)).toEqual(failure(error))
    }
    expect(lines).toEqual([])
  })

  it.each([
    [new Error('disk\nfull'), 'disk\\u{a}full'],
    [new LinkSocksError('ERR_LINK_LOST', 'gone'), 'gone'],
    ['text', 'string'],
    [Object.create(null), 'object'],
  ])('without a place in the table is 500, and only the log has its cause', async (thrown, logged) => {
    const { call, admin, lines } = createFixture()
    admin.failure = thrown
    for (const response of [await call('GET', '/api/status'), await call('DELETE', '/api/token/x')]) {
      expect(response.status).toBe(500)
      expect(await expectJson(response)).toEqual(failure('internal error'))
    }
    expect(lines.map(({ level, event, fields }) => [level, event, fields.error])).toEqual(
      Array(2).fill(['error', 'api.failed', logged]),
    )
    admin.failure = undefined
    expect((await call('GET', '/api/status')).status).toBe(200)
  })
})
