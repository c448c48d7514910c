import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { decodeSocks4Request, encodeSocks4Reply, MAX_SOCKS4_TEXT_BYTES } from '../../src/socks/codec4.js'
import { concat, hex } from '../support/test-peer.js'

const ADDRESS = hex('04 01 0050 c6336401')
const NAMED = hex('04 01 01bb 00000001')
const text = (length: number): Uint8Array => concat(new Uint8Array(length).fill(0x61), Uint8Array.of(0))
const codeOf = (bytes: Uint8Array): unknown => {
  try {
    return decodeSocks4Request(bytes)
  } catch (thrown) {
    return thrown instanceof LinkSocksError ? thrown.code : thrown
  }
}

describe('decodeSocks4Request()', () => {
  it.each([
    ['an address', concat(ADDRESS, hex('00')), { cd: 1, target: { host: '198.51.100.1', port: 80 } }],
    ['an address behind a USERID', concat(ADDRESS, text(3)), { cd: 1, target: { host: '198.51.100.1', port: 80 } }],
    ['a name', concat(NAMED, hex('00'), text(5)), { cd: 1, target: { host: 'aaaaa', port: 443 } }],
    [
      '0.0.0.0, which is no name',
      concat(hex('04 02 0001 00000000'), hex('00')),
      { cd: 2, target: { host: '0.0.0.0', port: 1 } },
    ],
  ])('reads %s, cut at every byte, and nothing behind it', (_, bytes, value) => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decodeSocks4Request(bytes.subarray(0, length)), `${length} bytes`).toBeUndefined()
    }
    expect(decodeSocks4Request(concat(bytes, hex('ffff')))).toEqual({ value, bytesRead: bytes.length })
  })

  it('takes texts up to their limit', () => {
    expect(codeOf(concat(NAMED, text(MAX_SOCKS4_TEXT_BYTES), text(MAX_SOCKS4_TEXT_BYTES)))).toMatchObject({
      value: { target: { host: 'a'.repeat(MAX_SOCKS4_TEXT_BYTES) } },
    })
    const long = new Uint8Array(MAX_SOCKS4_TEXT_BYTES + 1).fill(0x61)
    expect(codeOf(concat(NAMED, long))).toBe('ERR_SOCKS_MALFORMED')
    expect(codeOf(concat(NAMED, hex('00'), long))).toBe('ERR_SOCKS_MALFORMED')
    expect(codeOf(concat(NAMED, long.subarray(1)))).toBeUndefined()
  })

  it.each([
    ['another version', hex('05'), 'ERR_SOCKS_VERSION'],
    ['an empty name', concat(NAMED, hex('00 00')), 'ERR_SOCKS_MALFORMED'],
    ['a name that is not ASCII', concat(NAMED, hex('00 c3a4 00')), 'ERR_SOCKS_MALFORMED'],
  ])('refuses %s', (_, bytes, code) => {
    expect(codeOf(bytes)).toBe(code)
  })
})

describe('encodeSocks4Reply()', () => {
  it('writes eight bytes that begin with 0', () => {
    expect([...encodeSocks4Reply(90)]).toEqual([0, 90, 0, 0, 0, 0, 0, 0])
  })
})
