import { describe, expect, it } from 'vitest'
import { firstOf, serverText } from '../../src/client/failover.js'
import { type ErrorCode, LinkSocksError } from '../../src/errors.js'

/** What each server does: admit, or fail with a code. */
async function outcome(servers: Readonly<Record<string, ErrorCode | 'admits'>>, aborted = false) {
  const tried: string[] = []
  const failed: string[] = []
  const controller = new AbortController()
  const connect = async (url: string): Promise<string> => {
    tried.push(url)
    if (aborted) controller.abort()
    const code = servers[url]
    if (code === 'admits') return url
    throw new LinkSocksError(code ?? 'ERR_CONNECT', url)
  }
  const result = await firstOf(Object.keys(servers), {
    connect,
    failed: (error, url) => failed.push(`${url} ${error.code}`),
    signal: controller.signal,
  }).catch((error: LinkSocksError) => `${error.code} of ${error.message}`)
  return { tried, failed, result }
}

describe('firstOf', () => {
  it('takes the first server that admits, in their order', async () => {
    expect(await outcome({ a: 'ERR_CONNECT', b: 'ERR_AUTH_REJECTED', c: 'admits', d: 'admits' })).toEqual({
      tried: ['a', 'b', 'c'],
      failed: ['a ERR_CONNECT', 'b ERR_AUTH_REJECTED'],
      result: 'c',
    })
  })

  it.each([
    [{ a: 'ERR_CONNECT', b: 'ERR_AUTH_TIMEOUT' }, 'ERR_AUTH_TIMEOUT of b'],
    // a refusal ends a client, so it has to be everybody's
    [{ a: 'ERR_CONNECT', b: 'ERR_AUTH_REJECTED' }, 'ERR_CONNECT of a'],
    [{ a: 'ERR_AUTH_REJECTED', b: 'ERR_CONNECT' }, 'ERR_CONNECT of b'],
    [{ a: 'ERR_AUTH_REJECTED', b: 'ERR_AUTH_REJECTED' }, 'ERR_AUTH_REJECTED of a'],
  ] as const)('fails when none admits: %j', async (servers, expected) => {
    expect((await outcome(servers as Readonly<Record<string, ErrorCode>>)).result).toBe(expected)
  })

  it.each(['ERR_URL', 'ERR_OPTION'] as const)('tries no other server after %s', async (code) => {
    expect(await outcome({ a: code, b: 'admits' })).toEqual({ tried: ['a'], failed: [], result: `${code} of a` })
  })

  it('tries no other server once it was cancelled', async () => {
    expect((await outcome({ a: 'ERR_CONNECT', b: 'admits' }, true)).tried).toEqual(['a'])
  })
})

describe('serverText', () => {
  it('shows host and port, nothing else', () => {
    expect([serverText('wss://relay.test/secret?token=x'), serverText('127.0.0.1:8765')]).toEqual([
      'relay.test',
      '127.0.0.1:8765',
    ])
  })
})
