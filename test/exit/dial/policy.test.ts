import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultEgressPolicy } from '../../../src/exit/dial/policy.js'

function judge(host: string): string | undefined {
  return defaultEgressPolicy({ host, port: 80 }, 'tcp')
}

describe('defaultEgressPolicy', () => {
  it.each([
    ['0.0.0.0', 'unspecified address'],
    ['0.255.255.255', 'unspecified address'],
    ['255.255.255.255', 'broadcast address'],
    ['224.0.0.1', 'multicast address'],
    ['239.255.255.255', 'multicast address'],
    ['169.254.0.1', 'link-local address'],
    ['169.254.169.254', 'link-local address'],
    ['::', 'unspecified address'],
    ['ff02::1', 'multicast address'],
    ['fe80::1', 'link-local address'],
    ['febf::1', 'link-local address'],
  ])('refuses %s', (host, why) => {
    expect(judge(host)).toBe(why)
  })

  it.each([
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '0:0:0:0:0:FFFF:A9FE:A9FE',
    '::ffff:0.0.0.0',
    '::ffff:224.0.0.1',
    '::ffff:255.255.255.255',
    '::169.254.169.254',
    '::a9fe:a9fe',
    '::2',
    '::ffff:0:169.254.169.254',
    '64:ff9b::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b::e000:1',
    '64:ff9b:1::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    '2002:0:1::',
    '2002:e000:1::1',
  ])('refuses %s for the IPv4 address inside', (host) => {
    expect(judge(host)).toMatch(/address inside an IPv6 address$|^(?:link-local|multicast) address$/)
  })

  it.each([
    'fe80::1%eth0',
    '::1%lo',
    '::1%',
    '',
    'localhost',
    '127.1',
    '0x7f.0.0.1',
    '010.0.0.1',
    '2130706433',
    '[::1]',
    '1.2.3.4.',
    ' 1.2.3.4',
    '1.2.3.4:80',
    '::ffff:0xa9.254.169.254',
    '::ffff:1.2.3',
    ':::',
    '1::2::3',
    '12345::',
  ])('refuses %j, which is no plain IP address', (host) => {
    expect(judge(host)).toBe('not an IP address')
  })

  it.each([
    '1.1.1.1',
    '1.0.0.0',
    '10.0.0.1',
    '127.0.0.1',
    '172.16.0.1',
    '192.168.0.255',
    '100.64.0.1',
    '169.253.255.255',
    '169.255.0.0',
    '223.255.255.255',
    '240.0.0.1',
    '::1',
    'fc00::1',
    'fec0::1',
    '2001:db8::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::8.8.8.8',
    '64:ff9b::127.0.0.1',
    '2002:808:808::1',
  ])('allows %s', (host) => {
    expect(judge(host)).toBeUndefined()
  })

  it('allows nothing that the system would not take for an IP address', () => {
    const odd = fc.string({ unit: fc.constantFrom(...'0123456789abcdef.:%x[] '), maxLength: 24 })
    fc.assert(
      fc.property(fc.oneof(odd, fc.ipV4Extended(), fc.ipV6()), (host) => {
        if (judge(host) === undefined) expect(isIP(host)).not.toBe(0)
      }),
      { numRuns: 2_000 },
    )
  })

  it('judges every IPv4 address alike, however IPv6 wraps it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (octets) => {
        const plain = octets.join('.')
        const refused = judge(plain) !== undefined
        for (const wrapped of [`::ffff:${plain}`, `64:ff9b::${plain}`, `::ffff:0:${plain}`]) {
          expect(judge(wrapped) !== undefined, wrapped).toBe(refused)
        }
      }),
    )
  })
})
