import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '../../src/errors.js'
import { LinkSocksError } from '../../src/errors.js'
import { dialErrorOf, Rep, repOf, repOfText, textOf } from '../../src/protocol/rep.js'

describe('repOf', () => {
  const cases: readonly (readonly [ErrorCode, number])[] = [
    ['ERR_DIAL_FAILED', 0x01],
    ['ERR_DIAL_NOT_ALLOWED', 0x02],
    ['ERR_DIAL_NETWORK_UNREACHABLE', 0x03],
    ['ERR_DIAL_HOST_UNREACHABLE', 0x04],
    ['ERR_DIAL_REFUSED', 0x05],
    ['ERR_DIAL_TIMEOUT', 0x06],
    ['ERR_DIAL_UNSUPPORTED', 0x07],
    ['ERR_SOCKS_COMMAND', 0x07],
    ['ERR_DIAL_ADDRESS', 0x08],
    ['ERR_SOCKS_ATYP', 0x08],
    ['ERR_LINK_LOST', 0x03],
    ['ERR_SESSION_CLOSED', 0x03],
    ['ERR_LIMIT', 0x01],
    ['ERR_CANCELLED', 0x01],
  ]

  it.each(cases)('answers %s with REP %i', (code, rep) => {
    expect(repOf(new LinkSocksError(code, 'x'))).toBe(rep)
  })
})

describe('repOfText', () => {
  it.each([
    ['dial tcp 127.0.0.1:1: connect: connection refused', 0x05],
    ['connect ECONNREFUSED 127.0.0.1:1', 0x05],
    ['dial tcp: lookup nowhere.test: no such host', 0x04],
    ['[Errno -2] Name or service not known', 0x04],
    ['dial tcp 10.0.0.1:80: connect: no route to host', 0x04],
    ['dial tcp [2001:db8::1]:80: connect: network is unreachable', 0x03],
    ['dial tcp 192.0.2.1:80: i/o timeout', 0x06],
    ['dial tcp 192.0.2.1:80: connect: connection timed out', 0x06],
    ['context deadline exceeded', 0x06],
    ['no available reverse clients', 0x03],
    ['connection not allowed by ruleset', 0x02],
    ['destination 10.0.0.1:80 blocked by access control', 0x02],
    ['something went wrong', 0x01],
    ['', 0x01],
  ])('reads "%s" as REP %i', (text, rep) => {
    expect(repOfText(text)).toBe(rep)
    expect(repOfText(text.toUpperCase())).toBe(rep)
  })

  it('goes by the cause at the end, not by a host name before it', () => {
    expect(repOfText('lookup refused.example: no such host')).toBe(0x04)
    expect(repOfText('dial tcp: lookup timeout.example on 192.0.2.53:53: connection refused')).toBe(0x05)
    expect(repOfText('lookup no-route.example: i/o timeout')).toBe(0x06)
  })
})

describe('textOf', () => {
  it.each([
    ['ERR_DIAL_HOST_UNREACHABLE', 'name does not resolve'],
    ['ERR_DIAL_TIMEOUT', 'looking up refused.example took too long'],
    ['ERR_DIAL_NOT_ALLOWED', 'x'],
    ['ERR_DIAL_NETWORK_UNREACHABLE', 'x'],
    ['ERR_DIAL_REFUSED', ''],
  ] as const)('lets whoever has the text of %s alone find its REP', (code, message) => {
    const error = new LinkSocksError(code, message)
    expect(textOf(error).startsWith(message)).toBe(true)
    expect(repOfText(textOf(error))).toBe(repOf(error))
  })

  it('leaves a text as it is that says enough, or for which there are no words', () => {
    expect(textOf(new LinkSocksError('ERR_DIAL_REFUSED', 'connection refused'))).toBe('connection refused')
    expect(textOf(new LinkSocksError('ERR_DIAL_UNSUPPORTED', 'no UDP'))).toBe('no UDP')
    expect(textOf(new LinkSocksError('ERR_DIAL_FAILED', ''))).toBe('failed')
  })
})

describe('dialErrorOf', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('keeps REP %i on the way to the next SOCKS client', (rep) => {
    expect(repOf(dialErrorOf(rep, 'x'))).toBe(rep)
  })

  it.each([Rep.Succeeded, 9, 255])('takes REP %i for a general failure', (rep) => {
    expect(dialErrorOf(rep, 'x').code).toBe('ERR_DIAL_FAILED')
  })

  it('marks the text as the far end’s and makes it safe', () => {
    expect(dialErrorOf(5, 'no\u001b[2J\u202e').message).toBe('far end: no\\u{1b}[2J\\u{202e}')
    expect(dialErrorOf(5, 'x'.repeat(10_000)).message.length).toBeLessThan(600)
  })

  it('names the failure when the far end says nothing', () => {
    expect(dialErrorOf(5, '').message).toBe('far end: connection refused')
  })
})
