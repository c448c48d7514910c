import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clientAddress, trustedProxies } from '../../../src/node/http/trusted-proxy.js'

const trusted = trustedProxies(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'])

describe('clientAddress', () => {
  it('believes nobody by default', () => {
    expect(clientAddress('127.0.0.1', '203.0.113.9', trustedProxies([]))).toBe('127.0.0.1')
  })

  it('does not believe a peer that is no trusted proxy', () => {
    expect(clientAddress('203.0.113.1', '198.51.100.1', trusted)).toBe('203.0.113.1')
  })

  it('takes the address a trusted proxy saw', () => {
    expect(clientAddress('10.1.1.1', '203.0.113.9', trusted)).toBe('203.0.113.9')
    expect(clientAddress('2001:db8::5', '203.0.113.9', trusted)).toBe('203.0.113.9')
    expect(clientAddress('192.0.2.7', '2001:0db9::0001', trusted)).toBe('2001:db9::1')
  })

  it('goes right to left through trusted proxies alone, so that forged entries do not count', () => {
    expect(clientAddress('10.1.1.1', '6.6.6.6, 203.0.113.9, 10.2.2.2', trusted)).toBe('203.0.113.9')
  })

  it('gives the farthest proxy when all are trusted, none was named, or an entry is no address', () => {
    expect(clientAddress('10.1.1.1', '10.3.3.3, 10.2.2.2', trusted)).toBe('10.3.3.3')
    expect(clientAddress('10.1.1.1', undefined, trusted)).toBe('10.1.1.1')
    expect(clientAddress('10.1.1.1', '', trusted)).toBe('10.1.1.1')
    expect(clientAddress('10.1.1.1', '6.6.6.6, unknown, 10.2.2.2', trusted)).toBe('10.2.2.2')
    expect(clientAddress('10.1.1.1', '0x7f.1', trusted)).toBe('10.1.1.1')
  })

  it('reads IPv4-mapped addresses as IPv4 and drops ports', () => {
    expect(clientAddress('::ffff:10.1.1.1', '203.0.113.9:4711', trusted)).toBe('203.0.113.9')
    expect(clientAddress('10.1.1.1', '[2001:db9::1]:99', trusted)).toBe('2001:db9::1')
    expect(clientAddress('::ffff:203.0.113.9', undefined, trusted)).toBe('203.0.113.9')
    expect(trustedProxies(['::ffff:10.0.0.0/104'])('10.9.9.9')).toBe(true)
  })

  it('leaves zones out, of IPv6 only', () => {
    expect(clientAddress('fe80::1%eth0', '203.0.113.9', trustedProxies(['fe80::/10']))).toBe('203.0.113.9')
    expect(clientAddress('10.1.1.1', '2001:db9::1%eth0', trusted)).toBe('2001:db9::1')
    expect(clientAddress('10.1.1.1', '10.2.2.2%eth0', trusted)).toBe('10.1.1.1')
  })

  it.each(['2001:db9::1%', '2001:db9::1%eth-0', '::ffff:203.0.113.9%'])(
    'ends at %s: no zone looks like that',
    (entry) => {
      expect(clientAddress('10.1.1.1', entry, trusted)).toBe('10.1.1.1')
    },
  )

  it('ends at an entry that reads as another address elsewhere', () => {
    expect(clientAddress('10.1.1.1', '::ffff:012.2.2.2', trusted)).toBe('10.1.1.1')
  })

  it('gives an address or what the socket said, whatever the header holds', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        expect(clientAddress('10.1.1.1', header, trusted)).toMatch(/^[\da-f.:]+$/)
      }),
    )
  })
})

describe('trustedProxies', () => {
  it.each(['10.0.0.0/33', 'proxy.example.com', '', '10.0.0', '10.0.0.0/'])('refuses %j by name', (entry) => {
    expect(() => trustedProxies([entry])).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }))
    expect(() => trustedProxies([entry])).toThrow(`'${entry}'`)
  })
})
