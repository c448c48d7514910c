import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  handshakeUrl,
  isDowngrade,
  isSocketPath,
  parseHandshake,
  parseServerUrl,
  redirectUrl,
  sameHost,
} from '../../src/protocol/handshake.js'
import { NIL_UUID, parseUuid } from '../../src/protocol/uuid.js'
import { codePoint } from '../support/code-point.js'
import { id } from './arbitraries.js'
import { codeOf, errorOf } from './thrown.js'

const HASH = '80b3ad2d438bfafa1ea690c5a59f54548dcc76ad6a839c6704ac1d9d565d9c80'
const INSTANCE = '65c9bb62-d189-4ebc-a9e7-cb2d50827bb2'
const character = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(..."azAZ09-._~!$&'()*+,;=:@") },
  { weight: 1, arbitrary: codePoint.map(encodeURIComponent) },
)
const part = fc.string({ unit: character })
/** As fc.webUrl(), which first makes a table of all of Unicode. */
const webUrl = fc
  .tuple(fc.constantFrom('http', 'https'), fc.webAuthority(), fc.array(part), fc.option(part), fc.option(part))
  .map(([scheme, authority, path, query, fragment]) => {
    const rest = `${query === null ? '' : `?${query}`}${fragment === null ? '' : `#${fragment}`}`
    return `${scheme}://${authority}${path.map((each) => `/${each}`).join('')}${rest}`
  })
const instance = parseUuid(INSTANCE) ?? NIL_UUID

describe('parseServerUrl', () => {
  it.each([
    ['example.com', 'wss://example.com/socket'],
    ['example.com:8765', 'wss://example.com:8765/socket'],
    ['localhost:8765', 'wss://localhost:8765/socket'],
    ['example.com/', 'wss://example.com/socket'],
    ['example.com/socket', 'wss://example.com/socket'],
    ['ws://localhost:8765', 'ws://localhost:8765/socket'],
    ['http://example.com', 'ws://example.com/socket'],
    ['https://example.com', 'wss://example.com/socket'],
    ['HTTPS://Example.COM:443', 'wss://example.com/socket'],
    ['http://example.com:443', 'ws://example.com:443/socket'],
    ['ws://[::1]:8765', 'ws://[::1]:8765/socket'],
    ['[2001:db8::1]', 'wss://[2001:db8::1]/socket'],
    ['  ws://example.com \n', 'ws://example.com/socket'],
    ['ws://example.com?room=1&b=%20', 'ws://example.com/socket?room=1&b=%20'],
  ])('reads %s in the query form', (text, url) => {
    expect(parseServerUrl(text)).toEqual({ url, form: 'query' })
  })

  it.each([
    ['example.com/tunnel', 'wss://example.com/tunnel'],
    ['ws://example.com/socket/', 'ws://example.com/socket/'],
    ['ws://example.com/socket/eu', 'ws://example.com/socket/eu'],
    ['ws://example.com/Socket', 'ws://example.com/Socket'],
    ['ws://example.com/gate?token=of-the-gate', 'ws://example.com/gate?token=of-the-gate'],
  ])('reads %s in the in-band form', (text, url) => {
    expect(parseServerUrl(text)).toEqual({ url, form: 'in-band' })
  })

  it.each([
    '',
    '   ',
    'ws://',
    'wss:///socket',
    '/socket',
    '?token=x',
    '::1',
    'ws://[::1',
    'ws://example.com:99999',
    'example.com:port',
    'ftp://example.com',
    'javascript://example.com',
    'ws://example.com/#part',
  ])('refuses "%s"', (text) => {
    expect(codeOf(() => parseServerUrl(text))).toBe('ERR_URL')
  })

  it.each(['token', 'reverse', 'instance', 'ext'])('refuses a parameter %s that it would overwrite', (name) => {
    expect(() => parseServerUrl(`ws://example.com?${name}=s3cret`)).toThrow(`'${name}'`)
  })

  it.each([
    'ws://user:s3cret@example.com',
    'ws://s3cret@example.com',
    'user:s3cret@example.com',
    'ws://example.com:s3cret',
    'ws://example.com/socket?token=s3cret',
    'ftp://example.com/?key=s3cret',
  ])('refuses %s without repeating it', (text) => {
    const error = errorOf(() => parseServerUrl(text))
    expect(error.code).toBe('ERR_URL')
    expect(error.message).not.toContain('s3cret')
    expect(error.cause).toBeUndefined()
  })

  it.each(['ws://[fe80::1%25eth0]:80', 'ws://[fe80::1%eth0]/socket', 'fe80::1%eth0', 'wss://fe80::1%1'])(
    'says of %s that a URL carries no zone',
    (text) => {
      expect(() => parseServerUrl(text)).toThrow('give an address of the server that is not link-local')
      expect(codeOf(() => parseServerUrl(text))).toBe('ERR_URL')
    },
  )

  it('throws nothing but ERR_URL, and what it accepts it accepts again', () => {
    const text = fc.oneof(
      fc.string(),
      webUrl,
      fc.domain(),
      fc.ipV6().map((ip) => `[${ip}]`),
    )
    const property = fc.property(text, (given) => {
      let parsed: ReturnType<typeof parseServerUrl>
      try {
        parsed = parseServerUrl(given)
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_URL' })
        return
      }
      expect(parsed.url).toMatch(/^wss?:\/\/[^/]/)
      expect(parseServerUrl(parsed.url)).toEqual(parsed)
    })
    fc.assert(property, { numRuns: 500 })
  })
})

describe('handshakeUrl', () => {
  const fields = {
    tokenHash: HASH,
    reverse: false,
    instance,
    extensions: false,
    resumable: false,
    knowsPolicies: false,
  }

  it('writes the captured request target', () => {
    const url = handshakeUrl('ws://localhost:8765/socket', fields)
    expect(url).toBe(`ws://localhost:8765/socket?instance=${INSTANCE}&reverse=false&token=${HASH}`)
  })

  it('asks for extensions and keeps the parameters of the user, sorted', () => {
    const url = handshakeUrl('wss://example.com/socket?room=1&a=2', { ...fields, reverse: true, extensions: true })
    expect(url).toBe(`wss://example.com/socket?a=2&ext=1&instance=${INSTANCE}&reverse=true&room=1&token=${HASH}`)
  })

  it('is read back by parseHandshake()', () => {
    const property = fc.property(id, fc.boolean(), fc.boolean(), (bits, reverse, extensions) => {
      const more = { resumable: extensions && reverse, knowsPolicies: extensions && !reverse }
      const asked = { tokenHash: HASH, reverse, instance: bits, extensions, ...more }
      const read = parseHandshake(new URL(handshakeUrl('ws://h/socket', asked)).searchParams)
      expect(read).toEqual({ form: 'query', ...asked })
    })
    fc.assert(property)
  })

  it('refuses a server URL that is none', () => {
    expect(codeOf(() => handshakeUrl('example.com', fields))).toBe('ERR_URL')
  })
})

describe('parseHandshake', () => {
  const read = (query: string): unknown => parseHandshake(new URLSearchParams(query))
  const base = {
    form: 'query',
    tokenHash: HASH,
    reverse: undefined,
    instance: NIL_UUID,
    extensions: false,
    resumable: false,
    knowsPolicies: false,
  }

  it.each(['', 'token=', 'reverse=true', `instance=${INSTANCE}`, 'token=&token=x'])(
    'takes "%s" as in-band',
    (query) => {
      expect(read(query)).toEqual({ form: 'in-band', extensions: false })
    },
  )

  it.each(['token=x', `token=${HASH}0`, `token=${HASH.slice(1)}`, `token=${' '.repeat(65)}`])(
    'refuses %s by its length',
    (query) => {
      expect(read(query)).toEqual({ form: 'invalid', error: 'invalid token format' })
    },
  )

  it.each([HASH.toUpperCase(), 'z'.repeat(64), ' '.repeat(64)])(
    'leaves the 64 characters %s to the look-up',
    (text) => {
      expect(read(`token=${text}`)).toEqual({ ...base, tokenHash: text })
    },
  )

  it.each([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
    ['TRUE', false],
    ['yes', false],
    ['', false],
  ])('reads reverse=%s as %s', (text, reverse) => {
    expect(read(`token=${HASH}&reverse=${text}`)).toEqual({ ...base, reverse })
  })

  it('leaves reverse open when it is absent', () => {
    expect(read(`token=${HASH}`)).toEqual(base)
  })

  it.each([
    [INSTANCE, instance],
    [INSTANCE.toUpperCase(), instance],
    ['', NIL_UUID],
    ['nonsense', NIL_UUID],
  ])('reads instance=%s', (text, expected) => {
    expect(read(`token=${HASH}&instance=${text}`)).toEqual({ ...base, instance: expected })
  })

  it.each([
    ['1', true],
    ['0', false],
    ['true', false],
    ['', false],
  ])('reads ext=%s as %s in both forms', (text, extensions) => {
    expect(read(`ext=${text}`)).toEqual({ form: 'in-band', extensions })
    expect(read(`token=${HASH}&ext=${text}`)).toEqual({ ...base, extensions })
  })

  it.each([
    ['ext=1&resume=1', true],
    ['ext=1&resume=0', false],
    ['resume=1', false],
  ])('reads %s as a wish for a resumable session: %s', (query, resumable) => {
    expect(read(`token=${HASH}&${query}`)).toMatchObject({ form: 'query', resumable })
  })

  it.each([
    ['ext=1&policy=1', true],
    ['ext=1&policy=0', false],
    ['ext=1&policy=true', false],
    ['ext=1&policy=0&policy=1', false],
    ['policy=1', false],
  ])('reads %s as knowing policies: %s', (query, knowsPolicies) => {
    expect(read(`token=${HASH}&${query}`)).toMatchObject({ form: 'query', knowsPolicies })
  })

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (query) => void expect(read(query)).toHaveProperty('form')))
  })
})

describe('redirectUrl', () => {
  const from = `wss://a.example:8443/socket?token=${HASH}`

  it.each([
    ['https://b.example/socket', 'wss://b.example/socket'],
    ['http://b.example:8080/x?y=1', 'ws://b.example:8080/x?y=1'],
    ['wss://b.example/socket', 'wss://b.example/socket'],
    ['//b.example/socket', 'wss://b.example/socket'],
    ['/other?token=1', 'wss://a.example:8443/other?token=1'],
    ['eu', 'wss://a.example:8443/eu'],
    ['?x=1', 'wss://a.example:8443/socket?x=1'],
    ['/other#part', 'wss://a.example:8443/other'],
  ])('follows %s', (location, url) => {
    expect(redirectUrl(from, location)).toBe(url)
  })

  it('does not carry the token along by itself', () => {
    expect(redirectUrl(from, '/other')).not.toContain(HASH)
  })

  it.each(['ftp://b.example/', 'file:///etc/passwd', 'https://user:pw@b.example/', 'https://[', 'data:,x'])(
    'refuses %s',
    (location) => {
      expect(codeOf(() => redirectUrl(from, location))).toBe('ERR_URL')
    },
  )
})

describe('what a redirect gives up', () => {
  it('is TLS only from wss to ws', () => {
    expect(isDowngrade('wss://a/', 'ws://a/')).toBe(true)
    expect(isDowngrade('wss://a/', 'wss://b/')).toBe(false)
    expect(isDowngrade('ws://a/', 'wss://a/')).toBe(false)
    expect(isDowngrade('ws://a/', 'ws://a/')).toBe(false)
  })

  it('is the host when name or port differ', () => {
    expect(sameHost('ws://a.example/x', 'ws://A.example:80/y')).toBe(true)
    expect(sameHost('ws://a.example/', 'wss://a.example/')).toBe(true)
    expect(sameHost('ws://a.example/', 'ws://b.example/')).toBe(false)
    expect(sameHost('wss://a.example/', 'wss://a.example:8443/')).toBe(false)
  })
})

describe('isSocketPath', () => {
  it.each(['/socket', '/socket/', '/socket/eu/1', '/socket//'])('accepts %s', (path) => {
    expect(isSocketPath(path)).toBe(true)
  })

  it.each(['', '/', '/socke', '/sockets', '/Socket', '/api/socket', 'socket', '/socket?x'])('refuses "%s"', (path) => {
    expect(isSocketPath(path)).toBe(false)
  })
})
