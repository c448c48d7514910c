import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { redactAnswer, redactReason, redactSecrets } from '../../src/redact.js'

const HASH = '0123456789abcdef'.repeat(4)

describe('redactSecrets', () => {
  it.each([
    [`GET /socket?token=${HASH}&reverse=true&instance=x HTTP/1.1`, 'GET /socket?[redacted] HTTP/1.1'],
    ['ws://relay/socket/deep?a=b', 'ws://relay/socket/deep?[redacted]'],
    [`"wss://relay/SOCKET?x=${HASH}"`, '"wss://relay/SOCKET?[redacted]"'],
    [`https://other/path?a=1&token=${HASH}&b=2`, 'https://other/path?a=1&token=[redacted]&b=2'],
    [`token=${HASH}`, 'token=[redacted]'],
    ['?instance=0000-11', '?instance=[redacted]'],
    ['api_key=secret api-key=secret APIKEY=secret', 'api_key=[redacted] api-key=[redacted] APIKEY=[redacted]'],
    ['DELETE /api/token/my%2Ftoken?x', 'DELETE /api/token/[redacted]?x'],
    ['socks5://ann:p@ss@proxy:1080', 'socks5://[redacted]@proxy:1080'],
    ['http://ann@proxy', 'http://[redacted]@proxy'],
  ])('masks %s', (text, masked) => {
    expect(redactSecrets(text)).toBe(masked)
  })

  it.each([
    '/socket',
    '/socket/a/b',
    '/sockets?x',
    'GET /api/token',
    'GET /api/status',
    'wss://relay.example.com:443/socket',
    'mail ann@example.com',
    'example.com:443',
    'the token was refused',
  ])('leaves %s alone', (text) => {
    expect(redactSecrets(text)).toBe(text)
  })

  it('hides a hash wherever it stands in a query, twice as well as once', () => {
    const rest = fc.stringMatching(/^[\w=&%./-]{0,40}$/)
    fc.assert(
      fc.property(fc.constantFrom('/socket?', '/x?', 'wss://h/socket/y?'), rest, rest, (start, before, after) => {
        const masked = redactSecrets(`${start}${before}&token=${HASH}&${after}`)
        expect(masked).not.toContain(HASH)
        expect(redactSecrets(masked)).toBe(masked)
      }),
    )
  })
})

describe('redactReason', () => {
  it.each([
    [`bad ws://relay/socket?token=${HASH} given`, 'bad [url] given'],
    [`no token ${HASH}`, 'no token [hidden]'],
    [`no token ${HASH.toUpperCase()}!`, 'no token [hidden]!'],
    ['instance 01234567-89ab-cdef-0123-456789abcdef', 'instance [hidden]'],
    ['32 digits: 0123456789abcdef0123456789abcdef', '32 digits: [hidden]'],
    ['31 digits: 0123456789abcdef0123456789abcde', '31 digits: 0123456789abcdef0123456789abcde'],
    ['too many connections', 'too many connections'],
  ])('hides URLs with a query and long hex: %s', (text, shown) => {
    expect(redactReason(text, undefined)).toBe(shown)
  })

  it('hides the token, unless it is so short that it stands within words', () => {
    expect(redactReason("no 'eight-ch', no eight-ch", 'eight-ch')).toBe("no '[hidden]', no [hidden]")
    expect(redactReason('no token', 'token')).toBe('no token')
  })
})

describe('redactAnswer', () => {
  it('leaves out the query, with its question mark or without, and hides long hex', () => {
    const query = `?token=${HASH}&reverse=true`
    expect(redactAnswer(`no /socket${query} here`, query)).toBe('no /socket here')
    expect(redactAnswer(`query ${query.slice(1)}.`, query)).toBe('query .')
    expect(redactAnswer(`no ${HASH}, no ${HASH.toUpperCase()}`, query)).toBe('no ..., no ...')
  })

  it('leaves the rest as it is when there is no query', () => {
    expect(redactAnswer('404 Not Found: is /a?b there?', '')).toBe('404 Not Found: is /a?b there?')
  })
})
