import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { decodeAddress, encodeAddress } from '../../src/socks/socks-address.js'
import { bytesOf, concat, hex } from '../support/test-peer.js'
import { address, ipAddress, port } from './arbitraries.js'
import { addressBytes, hostText } from './oracle.js'

function hostOf(bytes: string): string | undefined {
  return decodeAddress(concat(hex(bytes), hex('0050')), 0)?.value.host
}

describe('decodeAddress', () => {
  it('reads what the oracle writes, at any offset, and nothing while a byte is missing', () => {
    fc.assert(
      fc.property(address, port, fc.uint8Array({ maxLength: 9 }), (source, number, before) => {
        const bytes = Uint8Array.from(addressBytes(source, number))
        const decoded = decodeAddress(concat(before, bytes, bytesOf('rest')), before.length)
        expect(decoded).toEqual({ value: { host: hostText(source), port: number }, bytesRead: bytes.length })
        for (let cut = 0; cut < bytes.length; cut++) expect(decodeAddress(bytes.subarray(0, cut), 0)).toBeUndefined()
      }),
    )
  })

  it('writes IPv6 as the URL standard does, IPv4-mapped addresses aside', () => {
    fc.assert(
      fc.property(ipAddress, (source) => {
        const host = decodeAddress(Uint8Array.from(addressBytes(source, 1)), 0)?.value.host ?? ''
        fc.pre(host.includes(':') && !host.includes('.'))
        expect(new URL(`http://[${host}]/`).hostname).toBe(`[${host}]`)
      }),
    )
  })

  it.each([
    ['04 20010db8000000000000000000000001', '2001:db8::1'],
    ['04 00000000000000000000000000000000', '::'],
    ['04 00000000000000000000000000000001', '::1'],
    ['04 20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['04 20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['04 0000000000000000000affff0a000001', '::a:ffff:a00:1'],
    ['04 00000000000000000000ffff0a000001', '::ffff:10.0.0.1'],
    ['01 00000000', '0.0.0.0'],
    ['03 09 6c6f63616c686f7374', 'localhost'],
    ['03 01 ff', '\ufffd'],
  ])('reads %s as %s', (bytes, host) => {
    expect(hostOf(bytes)).toBe(host)
  })

  it('refuses an address type nobody defined as soon as it is there', () => {
    for (const atyp of [0, 2, 5, 0x7f, 0xff]) {
      expect(() => decodeAddress(Uint8Array.of(atyp), 0)).toThrow(expect.objectContaining({ code: 'ERR_SOCKS_ATYP' }))
    }
  })

  it('refuses an empty domain', () => {
    expect(() => hostOf('03 00')).toThrow(expect.objectContaining({ code: 'ERR_SOCKS_MALFORMED' }))
  })

  it('reads an IPv6 address in brackets as that', () => {
    expect(hostOf('03 05 5b3a3a315d')).toBe('::1')
  })

  it.each([
    ['a NUL', '03 03 610062'],
    ['a space', '03 03 612062'],
    ['a line break', '03 03 610a62'],
    ['DEL', '03 01 7f'],
  ])('refuses a name with %s', (_, bytes) => {
    expect(() => hostOf(bytes)).toThrow(expect.objectContaining({ code: 'ERR_DIAL_HOST_UNREACHABLE' }))
  })

  it('throws nothing but its own errors, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          decodeAddress(bytes, 0)
        } catch (error) {
          expect(error).toBeInstanceOf(LinkSocksError)
        }
      }),
    )
  })
})

describe('encodeAddress', () => {
  it('writes what the oracle writes', () => {
    fc.assert(
      fc.property(address, port, (source, number) => {
        const encoded = encodeAddress({ host: hostText(source), port: number })
        expect(Array.from(encoded)).toEqual(addressBytes(source, number))
      }),
    )
  })

  it('takes every spelling of an IPv6 address', () => {
    for (const host of ['2001:DB8:0:0:0:0:0:1', '2001:db8::1', '2001:0db8::0:1', '2001:db8::0.0.0.1']) {
      expect(encodeAddress({ host, port: 0 })).toEqual(hex('04 20010db8000000000000000000000001 0000'))
    }
  })

  it.each(['', 'a'.repeat(256), 'ü'.repeat(128), 'fe80::1%eth0', 'fe80::1%eth0.100'])('refuses the host %j', (host) => {
    expect(() => encodeAddress({ host, port: 1 })).toThrow(expect.objectContaining({ code: 'ERR_SOCKS_MALFORMED' }))
  })

  it.each([-1, 65536, 1.5, Number.NaN])('refuses the port %d', (number) => {
    expect(() => encodeAddress({ host: 'a', port: number })).toThrow(
      expect.objectContaining({ code: 'ERR_SOCKS_MALFORMED' }),
    )
  })
})
