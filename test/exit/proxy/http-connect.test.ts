import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { decodeHttpAnswer, encodeHttpConnect } from '../../../src/exit/proxy/http-connect.js'
import { codePoint } from '../../support/code-point.js'
import { bytes } from '../fakes.js'

function request(host: string, port = 443, credentials?: { username: string; password: string }): string {
  return new TextDecoder().decode(encodeHttpConnect({ host, port }, credentials))
}

describe('encodeHttpConnect', () => {
  it('names the destination twice and nothing else', () => {
    expect(request('example.com')).toBe('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n')
    expect(request('2001:DB8::1', 80)).toBe('CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n')
    expect(request('192.0.2.1', 80)).toContain('CONNECT 192.0.2.1:80 ')
  })

  it('carries Basic credentials in UTF-8', () => {
    // the example of RFC 7617 section 2.1
    const line = 'Proxy-Authorization: Basic dGVzdDoxMjPCow==\r\n\r\n'
    expect(request('a', 1, { username: 'test', password: '123£' }).endsWith(line)).toBe(true)
  })

  it.each([
    'a b',
    'a\r\nX-Evil: 1',
    'a\nb',
    'a\tb',
    'a/b',
    'a:b',
    'a@b',
    'a?b',
    'a#b',
    'a%00',
    '[a]',
    'ü.example',
    '::1%eth0',
    '',
  ])('refuses the host %j', (host) => {
    expect(() => request(host)).toThrow(LinkSocksError)
  })

  it('writes two lines and an empty one, whatever the host', () => {
    fc.assert(
      fc.property(fc.string({ unit: codePoint }), (host) => {
        let text: string
        try {
          text = request(host)
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(LinkSocksError)
          return
        }
        expect(text.split('\r\n')).toHaveLength(4)
        expect(text).toMatch(/^[\x21-\x7e \r\n]+$/)
      }),
    )
  })
})

describe('decodeHttpAnswer', () => {
  it.each([
    ['HTTP/1.1 200 Connection established\r\n\r\n', 200, 'Connection established'],
    ['HTTP/1.0 200 OK\r\nProxy-Agent: x\r\nContent-Length: 5\r\n\r\n', 200, 'OK'],
    ['HTTP/1.1 200\r\n\r\n', 200, ''],
    ['HTTP/1.1 200 \r\n\r\n', 200, ''],
    ['HTTP/1.1 502 Bad Gateway\nA: b\n\n', 502, 'Bad Gateway'],
    ['HTTP/1.1 407 evil\u001b[31m\r\n\r\n', 407, 'evil\\u{1b}[31m'],
  ])('reads %j and leaves what follows', (text, status, reason) => {
    const whole = bytes(`${text}early bytes`)
    for (let length = 0; length < text.length; length += 1) {
      expect(decodeHttpAnswer(whole.subarray(0, length)), `${length} bytes`).toBeUndefined()
    }
    expect(decodeHttpAnswer(whole)).toEqual({ value: { status, reason }, bytesRead: text.length })
  })

  it.each([
    'x',
    'HTTP/2 200\r\n',
    'HTTX',
    'http/1.1 200 OK\r\n',
    ' HTTP/1.1 200 OK\r\n',
    'HTTP/1.1  200 OK\r\n',
    'HTTP/1.1 200OK\r\n',
    'HTTP/1.1 20 OK\r\n',
    'HTTP/1.1 2000\r\n',
    'HTTP/1.1 600 No\r\n',
    'HTTP/1.1 099 No\r\n',
    'HTTP/1.x 200 OK\r\n',
    'HTTP/1.1 OK 200\r\n',
    'HTTP/1.1\r\n',
    'HTTP/1.1 200\rOK\r\n',
    '\u0005\u0000',
  ])('refuses %j before the header is whole', (text) => {
    expect(() => decodeHttpAnswer(bytes(text))).toThrow(LinkSocksError)
  })

  it('throws nothing but a LinkSocksError, whatever comes', () => {
    const answer = fc.tuple(fc.constantFrom('', 'HTTP/1.1 ', 'HTTP/1.1 200 '), fc.string({ unit: codePoint }))
    fc.assert(
      fc.property(answer, ([start, rest]) => {
        const buf = bytes(start + rest)
        try {
          const decoded = decodeHttpAnswer(buf)
          if (decoded !== undefined) expect(decoded.bytesRead).toBeLessThanOrEqual(buf.length)
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(LinkSocksError)
        }
      }),
    )
  })
})
