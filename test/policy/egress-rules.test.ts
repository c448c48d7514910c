import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DEPENDS, EgressRules, MAX_EGRESS_ENTRIES, MAX_EGRESS_RULES } from '../../src/policy/egress-rules.js'
import type { EgressRule } from '../../src/policy-fields.js'
import { oracle } from './egress-oracle.js'

const allow = (...hosts: string[]): EgressRule => ({ action: 'allow', hosts })
const deny = (...hosts: string[]): EgressRule => ({ action: 'deny', hosts })
const ANY = '198.51.100.1'
/** Addresses that have one of IPv4 inside and may be other hosts than that. */
const ANOTHER_HOST = ['64:ff9b:1:2:3:4:c000:209', '2002:c000:0209::1', '::ffff:0:192.0.2.9']

const judge = (rules: readonly EgressRule[], asked: string, address = asked, port = 443) =>
  new EgressRules(rules).judge(asked, { host: address, port }, 'tcp')
const allows = (rules: readonly EgressRule[], asked: string, address = asked, port = 443): boolean =>
  judge(rules, asked, address, port).allowed

describe('EgressRules, what a rule speaks of', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['192.0.2.0/24', '192.0.2.0', true],
    ['192.0.2.0/24', '192.0.2.255', true],
    ['192.0.2.0/24', '192.0.3.0', false],
    ['192.0.2.0/24', '192.0.1.255', false],
    ['192.0.2.5-192.0.2.7', '192.0.2.4', false],
    ['192.0.2.5-192.0.2.7', '192.0.2.5', true],
    ['192.0.2.5-7', '192.0.2.7', true],
    ['192.0.2.5-7', '192.0.2.8', false],
    ['2001:db8::/32', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', true],
    ['2001:db8::/32', '2001:db9::', false],
    ['2001:db8::1-2001:db8::5', '2001:db8::5', true],
    ['2001:db8::1-2001:db8::5', '2001:db8::6', false],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '192.0.2.1', true],
    ['192.0.2.0/24', '::ffff:192.0.2.9', true],
    ['::ffff:192.0.2.0/120', '192.0.2.9', true],
    ['192.0.2.0/24', '64:ff9b::192.0.2.9', true],
    ['192.0.2.0/24', '64:ff9b:1:2:3:4:c000:209', true],
    ['192.0.2.0/24', '2002:c000:0209::1', true],
    ['192.0.2.0/24', '::ffff:0:192.0.2.9', true],
    ['0.0.0.0/8', '::1', false],
    ['@private', '10.1.2.3', true],
    ['@private', '172.31.255.255', true],
    ['@private', '172.32.0.0', false],
    ['@private', '100.64.0.1', true],
    ['@private', 'fd00::1', true],
    ['@private', '127.0.0.1', false],
    ['@loopback', '127.255.0.1', true],
    ['@loopback', '::1', true],
    ['@loopback', '::ffff:127.0.0.1', true],
    ['@metadata', '169.254.169.254', true],
    ['@metadata', '64:ff9b::a9fe:a9fe', true],
    ['@metadata', 'fd00:ec2::254', true],
    ['@metadata', '169.254.169.253', false],
  ])('%s: %s is in it: %s', (host, address, inside) => {
    expect(judge([deny(host)], address)).toEqual({ allowed: !inside, rule: inside ? 1 : 0 })
    const allowed = inside && !ANOTHER_HOST.includes(address)
    expect(judge([allow(host)], address)).toEqual({ allowed, rule: allowed ? 1 : 0 })
  })

  it.each([
    ['a.example', 'a.example', true],
    ['a.example', 'A.Example.', true],
    ['A.EXAMPLE.', 'a.example', true],
    ['a.example', 'b.a.example', false],
    ['*.example', 'a.example', true],
    ['*.example', 'b.a.EXAMPLE', true],
    ['*.example', 'example', false],
    ['*.example', 'notexample', false],
    ['*.a.example', 'a.example', false],
    ['bücher.example', 'xn--bcher-kva.example', true],
    ['xn--bcher-kva.example', 'BÜCHER.example', true],
    ['my-host', 'my-host', true],
    ['_sip.example', '_sip.example', true],
    ['@loopback', 'localhost', true],
    ['@loopback', 'x.localhost', true],
    ['@metadata', 'metadata.google.internal', true],
  ])('%s: the name %s is in it: %s', (host, name, inside) => {
    expect(judge([deny(host)], name, ANY)).toEqual({ allowed: !inside, rule: inside ? 1 : 0 })
    expect(judge([allow(host)], name, ANY)).toEqual({ allowed: inside, rule: inside ? 1 : 0 })
  })

  it('judges a name that is IP text, in any spelling of a resolver, as the address', () => {
    const rules = [deny('127.0.0.0/8')]
    for (const asked of ['127.0.0.1', '0x7f000001', '127.1', '2130706433']) {
      expect(new EgressRules(rules).judgeAsked({ host: asked, port: 1 }, 'tcp')).toEqual({ allowed: false, rule: 1 })
    }
    // an address is in no entry that is a name
    expect(allows([allow('*.example')], '192.0.2.1')).toBe(false)
  })

  it.each([
    [22, 'tcp', true],
    [23, 'tcp', false],
    [7_999, 'tcp', false],
    [8_000, 'tcp', true],
    [8_999, 'tcp', true],
    [9_000, 'tcp', false],
    [22, 'udp', false],
  ] as const)('ports and protocol, both ends of a range included: %i %s %s', (port, protocol, inside) => {
    const rules: EgressRule[] = [{ action: 'deny', ports: [22, [8_000, 8_999]], protocol: 'tcp' }]
    expect(new EgressRules(rules).judge(ANY, { host: ANY, port }, protocol).allowed).toBe(!inside)
  })

  it('refuses what is no address, whatever the rules say', () => {
    for (const rules of [[], [allow('::/0', '*.example')]]) {
      expect(new EgressRules(rules, 'allow').judge('a.example', { host: 'fe80::1%eth0', port: 1 }, 'tcp').allowed).toBe(
        false,
      )
      expect(new EgressRules(rules, 'allow').judgeAsked({ host: 'fe80::1%eth0', port: 1 }, 'tcp')).toEqual({
        ...{ allowed: false, rule: 0 },
      })
    }
  })
})

describe('EgressRules, two judgements', () => {
  it.each([
    ['name denied, address allowed', [deny('a.example'), allow('192.0.2.0/24')], false, 1],
    ['name allowed, address denied', [allow('a.example'), deny('192.0.2.0/24')], false, 2],
    ['name allowed, address in none', [allow('a.example')], true, 1],
    ['name in none, address allowed', [allow('192.0.2.0/24')], true, 1],
    ['neither, and a rule allows', [allow('b.example')], false, 0],
    ['neither, and none allows', [deny('b.example')], true, 0],
    ['the first rule for the name decides', [allow('a.example'), deny('*.example')], true, 1],
    ['and for the address', [deny('192.0.2.1'), allow('192.0.2.0/24')], false, 1],
    ['a rule without hosts takes part in both', [allow('a.example'), { action: 'deny' }], false, 2],
    ['a rule without hosts allows', [deny('b.example'), { action: 'allow' }], true, 2],
  ] as const)('%s', (_name, rules, allowed, rule) => {
    expect(judge(rules, 'a.example', '192.0.2.1')).toEqual({ allowed, rule })
  })

  it.each(['allow', 'deny'] as const)('ends with the default that was given: %s', (egressDefault) => {
    for (const rules of [[], [allow('b.example')], [deny('b.example')]]) {
      expect(new EgressRules(rules, egressDefault).judge('a.example', { host: ANY, port: 1 }, 'tcp')).toEqual({
        ...{ allowed: egressDefault === 'allow', rule: 0 },
      })
    }
  })

  it('denies an address inside another one where either is denied', () => {
    const rules = [allow('64:ff9b::/96'), deny('192.0.2.0/24')]
    expect(judge(rules, '64:ff9b::192.0.2.1')).toEqual({ allowed: false, rule: 2 })
    expect(judge(rules, '64:ff9b::203.0.113.1')).toEqual({ allowed: true, rule: 1 })
  })
})

describe('EgressRules, what can be said before a look-up', () => {
  const asked = (rules: readonly EgressRule[], host: string, egressDefault?: 'allow' | 'deny') =>
    new EgressRules(rules, egressDefault).judgeAsked({ host, port: 443 }, 'tcp')

  it.each([
    ['a name that is denied', [deny('a.example')], { allowed: false, rule: 1 }],
    ['a name that is allowed, and no address is denied', [allow('a.example')], { allowed: true, rule: 1 }],
    ['a name that is allowed, and some address is denied', [allow('a.example'), deny('@private')], DEPENDS],
    ['a name in none, and no rule with addresses', [deny('b.example')], { allowed: true, rule: 0 }],
    ['a name in none, and some address is allowed', [allow('192.0.2.0/24')], DEPENDS],
    ['a name in none, and all that is said of addresses is the default', [deny('@private')], DEPENDS],
    ['a rule without hosts that denies', [allow('a.example'), { action: 'deny' }], { allowed: false, rule: 2 }],
    [
      'addresses of another port',
      [deny('b.example'), { action: 'deny', hosts: ['@private'], ports: [22] }],
      { allowed: true, rule: 0 },
    ],
    [
      'addresses of another protocol',
      [{ action: 'deny', hosts: ['@private'], protocol: 'udp' }],
      { allowed: true, rule: 0 },
    ],
    ['an address behind a rule without hosts', [{ action: 'allow' }, deny('@private')], { allowed: true, rule: 1 }],
  ] as const)('%s', (_name, rules, expected) => {
    expect(asked(rules, 'a.example')).toEqual(expected)
  })

  it('is all of it for an address', () => {
    expect(asked([allow('a.example'), deny('@private')], '10.0.0.1')).toEqual({ allowed: false, rule: 2 })
    expect(asked([deny('@private')], '203.0.113.1')).toEqual({ allowed: true, rule: 0 })
  })
})

describe('EgressRules, limits and mistakes', () => {
  it.each([
    ['300.1.2.3', 'invalid address "300.1.2.3"'],
    ['10.0.0.0/33', 'invalid CIDR "10.0.0.0/33"'],
    ['10.0.0.1-', 'invalid address range "10.0.0.1-"'],
    ['10.0.0.9-10.0.0.1', 'reversed address range "10.0.0.9-10.0.0.1"'],
    ['10.0.0.9-1', 'reversed address range "10.0.0.9-1"'],
    ['host:80', 'invalid address "host:80"'],
    ['1.2', 'invalid address "1.2"'],
    ['', '"" is no address, name, *.suffix or list'],
    ['*', '"*" is no address, name, *.suffix or list'],
    ['*.', '"*." is no address, name, *.suffix or list'],
    ['a.*.example', '"a.*.example" is no address, name, *.suffix or list'],
    ['a b', '"a b" is no address, name, *.suffix or list'],
    ['a..b', '"a..b" is no address, name, *.suffix or list'],
    ['a\u0000b', '"a\\u{0}b" is no address, name, *.suffix or list'],
    [`${'a'.repeat(64)}.example`, `"${'a'.repeat(64)}.example" is no address, name, *.suffix or list`],
    ['@office', 'there is no list "@office": there are @private, @loopback, @metadata'],
    ['@constructor', 'there is no list "@constructor": there are @private, @loopback, @metadata'],
  ])('refuses %j and says which rule it is in', (host, message) => {
    expect(() => new EgressRules([allow('a.example'), deny(host)])).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION', message: `egress rule 2: ${message}` }),
    )
  })

  it.each([[0], [65_536], [1.5], [[9, 8]], [[1, 65_536]]] as const)('refuses the port %j', (port) => {
    const rules = [{ action: 'deny', ports: [port as number] }] as const
    expect(() => new EgressRules(rules)).toThrow('egress rule 1: a port must be from 1 to 65535')
  })

  it('refuses other actions and protocols', () => {
    expect(() => new EgressRules([{ action: 'drop' as never }])).toThrow('action must be allow or deny')
    expect(() => new EgressRules([{ action: 'deny', protocol: 'icmp' as never }])).toThrow(
      'protocol must be tcp or udp',
    )
  })

  it('takes names of 253 characters, a final dot not counted, and no longer ones', () => {
    const name = [...Array<string>(3).fill('x'.repeat(63)), 'x'.repeat(61)].join('.')
    expect(name).toHaveLength(253)
    for (const host of [name, `${name}.`, `*.${name}`]) new EgressRules([{ action: 'deny', hosts: [host] }])
    expect(() => new EgressRules([{ action: 'deny', hosts: [`${name}x`] }])).toThrow(
      'is no address, name, *.suffix or list',
    )
  })

  it(`takes ${MAX_EGRESS_RULES} rules, ${MAX_EGRESS_ENTRIES} hosts and as many ports, and no more`, () => {
    const rules = (count: number, rule: EgressRule): EgressRule[] => Array.from({ length: count }, () => rule)
    const pair: EgressRule = { action: 'allow', hosts: ['10.0.0.1', 'a.example'], ports: [1, 2] }
    expect(new EgressRules(rules(MAX_EGRESS_RULES, pair)).judge(ANY, { host: ANY, port: 1 }, 'tcp').allowed).toBe(false)
    expect(() => new EgressRules(rules(MAX_EGRESS_RULES + 1, { action: 'deny' }))).toThrow('at most 1000 egress rules')
    const hosts = { action: 'deny', hosts: rules(MAX_EGRESS_ENTRIES + 1, pair).map(() => 'a.example') } as const
    expect(() => new EgressRules([hosts])).toThrow('at most 2000 hosts')
    const ports = { action: 'deny', ports: rules(MAX_EGRESS_ENTRIES + 1, pair).map(() => 1) } as const
    expect(() => new EgressRules([ports])).toThrow('at most 2000 ports')
  })
})

describe('EgressRules beside a slow oracle', () => {
  const octet = fc.integer({ min: 0, max: 3 })
  const ip = fc.tuple(octet, octet).map(([a, b]) => `10.0.${a}.${b}`)
  const label = fc.constantFrom('a', 'b', 'c')
  const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => `${labels.join('.')}.example`)
  const host = fc.oneof(
    ip,
    fc.tuple(ip, fc.integer({ min: 20, max: 32 })).map(([base, bits]) => `${base}/${bits}`),
    name,
    name.map((suffix) => `*.${suffix}`),
    fc.constant('*.example'),
  )
  const port = fc.integer({ min: 1, max: 6 })
  const protocol = fc.constantFrom('tcp' as const, 'udp' as const)
  const ports = fc.oneof(
    port,
    fc.tuple(port, port).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
  )
  const rule: fc.Arbitrary<EgressRule> = fc.record(
    {
      action: fc.constantFrom('allow' as const, 'deny' as const),
      hosts: fc.array(host, { maxLength: 4 }),
      ports: fc.array(ports, { maxLength: 3 }),
      protocol,
    },
    { requiredKeys: ['action'] },
  )
  const egressDefault = fc.constantFrom('allow' as const, 'deny' as const, undefined)
  const asked = fc.record({
    host: fc.oneof(
      name,
      ip,
      name.map((text) => `${text.toUpperCase()}.`),
    ),
    port,
    protocol,
  })

  it('says the same of every destination', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), egressDefault, asked, ip, (rules, otherwise, target, address) => {
        const to = /^\d/.test(target.host) ? target.host : address
        const judged = new EgressRules(rules, otherwise).judge(
          target.host,
          { host: to, port: target.port },
          target.protocol,
        )
        expect(judged.allowed).toBe(oracle(rules, otherwise, target, to))
      }),
      { numRuns: 3_000 },
    )
  })

  it('says the same of many destinations, one after the other', () => {
    const many = fc.array(fc.tuple(asked, ip), { minLength: 20, maxLength: 20 })
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), egressDefault, many, (rules, otherwise, destinations) => {
        const engine = new EgressRules(rules, otherwise)
        for (const [{ host, port, protocol }, address] of destinations) {
          const to = /^\d/.test(host) ? host : address
          const judged = engine.judge(host, { host: to, port }, protocol)
          expect(judged.allowed).toBe(oracle(rules, otherwise, { host, port, protocol }, to))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('says nothing before a look-up that some address of the name would belie, and depends on it only where two differ', () => {
    const addresses = [0, 1, 2, 3].flatMap((a) => [0, 1, 2, 3].map((b) => `10.0.${a}.${b}`)).concat('192.0.2.1')
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 6 }), egressDefault, asked, (rules, otherwise, target) => {
        const before = new EgressRules(rules, otherwise).judgeAsked(target, target.protocol)
        if (before === DEPENDS) return
        const behind = /^\d/.test(target.host) ? [target.host] : addresses
        for (const address of behind) expect(oracle(rules, otherwise, target, address)).toBe(before.allowed)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('EgressRules, names that are written otherwise', () => {
  const rules = [deny('git.corp.example', '*.münchen.example')]
  it.each([
    'GIT.corp.EXAMPLE',
    'git.corp.example.',
    'ｇｉｔ.corp.example',
    'git。corp。example',
    'git\u00ad.corp.example',
    'a.MÜNCHEN.example',
    'a.xn--mnchen-3ya.example',
    'A.XN--MNCHEN-3YA.example.',
  ])('%s is the name that is denied', (name) => {
    expect(allows(rules, name, ANY)).toBe(false)
    expect(new EgressRules(rules).judgeAsked({ host: name, port: 443 }, 'tcp')).toEqual({ allowed: false, rule: 1 })
  })

  it.each(['#', '/', '?', '@', ':', '\\\\', '%2f', '<', '|'])(
    'a name with %s in it is none of those allowed, whatever a URL would make of it',
    (mark) => {
      expect(allows([allow('*.good.example')], `a.good.example${mark}ä.evil.example`, ANY)).toBe(false)
    },
  )

  it.each([
    ['0x7f.1', '127.0.0.1'],
    ['0X7F000001', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['017700000001', '127.0.0.1'],
    ['0177.0.0.1', '127.0.0.1'],
    ['127.1', '127.0.0.1'],
    ['127.0.0.1.', '127.0.0.1'],
    ['0xa9fea9fe', '169.254.169.254'],
    ['::FFFF:7f00:1', '127.0.0.1'],
    ['0:0:0:0:0:ffff:127.0.0.1', '127.0.0.1'],
  ])('%s is judged as the address %s before any look-up', (text, address) => {
    const one = [deny(address)]
    expect(new EgressRules(one).judgeAsked({ host: text, port: 443 }, 'tcp')).toEqual({ allowed: false, rule: 1 })
    expect(new EgressRules([allow(address)]).judgeAsked({ host: text, port: 443 }, 'tcp')).toEqual({
      allowed: true,
      rule: 1,
    })
  })

  it.each(['１２７.０.０.１', '①②⑦.0.0.1'])('%s, which a resolver takes for an address, depends on it', (text) => {
    expect(new EgressRules([deny('127.0.0.0/8')]).judgeAsked({ host: text, port: 443 }, 'tcp')).toBe(DEPENDS)
  })

  it.each([0, 65_536, -1, 1.5])('port %d is reached by nobody, and allowed by no default', (port) => {
    expect(new EgressRules([deny('b.example')]).judgeAsked({ host: 'a.example', port }, 'tcp')).toEqual({
      allowed: false,
      rule: 0,
    })
  })
})
