import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import {
  addressText,
  bareHost,
  canonicalHost,
  canonicalIp,
  checkTarget,
  isInNetwork,
  isLinkLocalIpv6,
  isLoopback,
  literalIp,
  parseIp,
  parseNetwork,
  socketIp,
  socketZone,
  targetProblem,
} from '../../src/address.js'

describe('canonicalIp', () => {
  it.each([
    ['1.2.3.4', '1.2.3.4'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:A00:1', '10.0.0.1'],
    ['::', '::'],
    ['fe80::1%eth0', undefined],
    ['::ffff:010.0.0.1', undefined],
    ['example.com', undefined],
    ['1.2.3', undefined],
  ])('writes %s as %s', (text, canonical) => {
    expect(canonicalIp(text)).toBe(canonical)
  })

  it('is its own canonical form', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const canonical = canonicalIp(text)
        expect(canonical).toBeDefined()
        expect(canonicalIp(canonical ?? '')).toBe(canonical)
      }),
    )
  })
})

describe('canonicalHost', () => {
  it.each([
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:a00:1', '10.0.0.1'],
    ['10.0.0.1', '10.0.0.1'],
    ['2001:DB8::0:1', '2001:db8::1'],
    ['::1', '::1'],
    ['::ffff:010.0.0.1', '::ffff:010.0.0.1'],
    ['no address', 'no address'],
  ])('gives %s the text %s', (host, text) => {
    expect(canonicalHost(host)).toBe(text)
  })
})

describe('socketIp', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:10.0.0.1', '10.0.0.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::ffff:10.0.0.1%eth0', '10.0.0.1'],
    ['::1', '::1'],
    ['10.0.0.1%eth0', '10.0.0.1%eth0'],
    ['', ''],
  ])('shows what a socket reports as %j as %j', (reported, text) => {
    expect(socketIp(reported)).toBe(text)
  })
})

describe('parseNetwork', () => {
  const has = (cidr: string, address: string): boolean | undefined => {
    const [network, ip] = [parseNetwork(cidr), parseIp(address)]
    return network && ip && isInNetwork(ip, network)
  }

  it.each([
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.0.0.0/8', '::10', false],
    ['0.0.0.0/0', '1.2.3.4', true],
    ['0.0.0.0/0', '::1', false],
    ['192.0.2.7/32', '192.0.2.7', true],
    ['2001:db8::/32', '2001:db8::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['::ffff:10.0.0.0/104', '10.9.9.9', true],
    ['::ffff:0:0/96', '1.2.3.4', true],
    ['::/95', '1.2.3.4', false],
  ])('reads %s, in which %s is: %s', (cidr, address, inside) => {
    expect(has(cidr, address)).toBe(inside)
  })

  it.each(['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '2001:db8::/129', 'example.com/8', ''])('refuses %j', (text) => {
    expect(parseNetwork(text)).toBeUndefined()
  })
})

describe('literalIp', () => {
  it.each([
    ['0xa9fea9fe', '169.254.169.254'],
    ['2852039166', '169.254.169.254'],
    ['169.254.43518', '169.254.169.254'],
    ['0251.0376.0251.0376', '169.254.169.254'],
    ['169.254.169.254.', '169.254.169.254'],
    ['::1', '::1'],
    ['example.com', undefined],
    ['1.example', undefined],
    ['.', undefined],
  ])('takes %s for %s as a resolver would', (host, ip) => {
    expect(literalIp(host)).toBe(ip)
  })
})

describe('literalIp, beside ipaddr.js', () => {
  const number = fc.oneof(
    fc.integer({ min: 0, max: 300 }).map(String),
    fc.constantFrom(
      '',
      '0',
      '00',
      '010',
      '0x',
      '0x7f',
      '0XfF',
      '08',
      '4294967295',
      '4294967296',
      'a',
      '1a',
      ' 1',
      '1\n',
    ),
  )
  const text = fc.oneof(
    fc.array(number, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.')),
    fc.stringMatching(/^[\dxf.:]{0,12}$/),
    fc.ipV4(),
    fc.ipV6(),
  )

  it('takes for an address what it takes for one', () => {
    fc.assert(
      fc.property(text, (host) => {
        const quad = ipaddr.IPv4.isValidFourPartDecimal(host)
        expect(
          host.includes(':') || parseIp(host)?.toString() === (quad ? ipaddr.IPv4.parse(host).toString() : undefined),
        ).toBe(true)
        const bare = host.endsWith('.') ? host.slice(0, -1) : host
        const number = ipaddr.IPv4.isValid(bare) ? ipaddr.IPv4.parse(bare).toString() : undefined
        expect(literalIp(host)).toBe(canonicalIp(host) ?? number)
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('bareHost', () => {
  it.each([
    ['[::1]', '::1'],
    ['[2001:DB8::0:1]', '2001:db8::1'],
    ['[::ffff:192.0.2.1]', '192.0.2.1'],
    ['[fe80::1%eth0]', '[fe80::1%eth0]'],
    ['[192.0.2.1]', '[192.0.2.1]'],
    ['[a]', '[a]'],
    ['[::1', '[::1'],
    ['::1', '::1'],
    ['example.com', 'example.com'],
    ['', ''],
  ])('takes %s for %s', (name, host) => {
    expect(bareHost(name)).toBe(host)
  })
})

describe('checkTarget', () => {
  it.each([0, -1, 65_536, 1.5, Number.NaN])('refuses port %d', (port) => {
    expect(() => checkTarget({ host: 'example.com', port })).toThrow(`port ${port} cannot be dialled`)
  })

  it.each(['', 'a b', 'a\r\nb', 'a\u0000b', 'a\u0085b', 'a\u2028b', 'x'.repeat(256)])('refuses the host %j', (host) => {
    expect(targetProblem({ host, port: 80 })).toContain('the host is')
  })

  it.each(['localhost:80', 'http://localhost/', '[::1', '[::1]:80', ':', '::1::'])(
    'refuses the host %j as no name',
    (host) => {
      const check = (): void => checkTarget({ host, port: 80 })
      expect(check).toThrow('the host is not a name or an address: there is a port or a scheme in it')
      expect(check).toThrow(expect.objectContaining({ code: 'ERR_DIAL_HOST_UNREACHABLE' }))
    },
  )

  it('leaves an address with a zone to the policy', () => {
    expect(targetProblem({ host: 'fe80::1%eth0', port: 80 })).toBeUndefined()
  })

  it('tells a broken host from a broken port', () => {
    expect(() => checkTarget({ host: 'a b', port: 0 })).toThrow(
      expect.objectContaining({ code: 'ERR_DIAL_HOST_UNREACHABLE' }),
    )
    expect(() => checkTarget({ host: 'a', port: 0 })).toThrow(expect.objectContaining({ code: 'ERR_DIAL_FAILED' }))
  })

  it('accepts the longest host and both ends of the port range', () => {
    expect(targetProblem({ host: 'x'.repeat(255), port: 1 })).toBeUndefined()
    expect(targetProblem({ host: 'x', port: 65_535 })).toBeUndefined()
  })
})

describe('addressText', () => {
  it('puts IPv6 in brackets and escapes what a peer made unsafe', () => {
    expect(addressText({ host: '::1', port: 80 })).toBe('[::1]:80')
    expect(addressText({ host: 'a\u202eb', port: 80 })).toBe('a\\u{202e}b:80')
  })
})

describe('socketZone() and isLinkLocalIpv6()', () => {
  it.each([
    ['fe80::1%eth0', 'eth0', true],
    ['fe80::1', undefined, true],
    ['febf:1::%2', '2', true],
    ['fec0::1', undefined, false],
    ['fe8::1', undefined, false],
    ['2001:db8::fe80', undefined, false],
    ['169.254.1.1', undefined, false],
  ])('know of %s its zone and whether it is link-local', (text, zone, linkLocal) => {
    expect([socketZone(text), isLinkLocalIpv6(text)]).toEqual([zone, linkLocal])
  })
})

describe('isLoopback()', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['localhost', true],
    ['a.localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['192.168.1.1', false],
    ['::ffff:10.0.0.1', false],
    ['localhost.example.com', false],
    ['localhost.', true],
    ['0x7f.1', true],
    ['::7f00:1', false],
    ['mylocalhost', false],
  ])('knows whether %s is loopback', (host, loopback) => {
    expect(isLoopback(host)).toBe(loopback)
  })
})
