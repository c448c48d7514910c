import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import {
  ACCESS_REFUSAL,
  AccessList,
  accessList,
  MAX_ACCESS_ENTRIES,
  MAX_ACCESS_RULES,
  parseAccessRule,
  withAccess,
} from '../../../src/exit/dial/access-rules.js'
import { MAX_ADDRESS_ENTRY_LENGTH } from '../../../src/policy/address-range.js'
import type { AccessRule } from '../../../src/ports.js'

const allows = (rules: readonly AccessRule[], host: string, port = 80): boolean =>
  new AccessList(rules).allows({ host, port })
const forAddress = (address: string): readonly AccessRule[] => [{ addresses: [address] }]

describe('AccessList', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['192.0.2.7', '::ffff:192.0.2.7', true],
    ['192.0.2.7', '::ffff:c000:207', true],
    ['::ffff:192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '::c000:207', false],
    ['192.0.2.7', '64:ff9b::192.0.2.7', false],
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.1.2.3/8', '10.0.0.0', true],
    ['192.0.2.1/32', '192.0.2.1', true],
    ['192.0.2.1/32', '192.0.2.2', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '2001:db8::1', true],
    ['::/0', '10.0.0.1', true],
    ['::ffff:0:0/96', '10.0.0.1', true],
    ['fe80::/10', 'febf:ffff::', true],
    ['fe80::/10', 'fec0::', false],
    ['2001:db8::1/128', '2001:db8::1', true],
    ['10.0.0.5-10.0.1.2', '10.0.0.5', true],
    ['10.0.0.5-10.0.1.2', '10.0.1.2', true],
    ['10.0.0.5-10.0.1.2', '10.0.0.4', false],
    ['10.0.0.5-10.0.1.2', '10.0.1.3', false],
    ['192.168.1.1-255', '192.168.1.255', true],
    ['192.168.1.1-255', '192.168.1.0', false],
    ['192.168.1.1-255', '192.168.2.1', false],
    ['192.168.1.9-5', '192.168.1.7', false],
    ['10.0.0.9-10.0.0.1', '10.0.0.5', false],
    ['2001:db8::-2001:db8::ff', '2001:db8::80', true],
    ['2001:db8::-2001:db8::ff', '2001:db8::100', false],
    ['10.0.0.1-::ffff:10.0.0.3', '10.0.0.2', true],
    ['::/0', 'localhost', false],
    ['::/0', 'fe80::1%eth0', false],
    ['::/0', '', false],
  ])('with %s, %s is allowed: %s', (address, host, allowed) => {
    expect(allows(forAddress(address), host)).toBe(allowed)
  })

  it.each([
    [[22], 22, true],
    [[22], 23, false],
    [[22, [8000, 8999]], 8000, true],
    [[22, [8000, 8999]], 8999, true],
    [[22, [8000, 8999]], 9000, false],
    [[[1, 65_535]], 65_535, true],
    [[], 1, true],
    [undefined, 65_535, true],
  ] as const)('with the ports %j, %d is allowed: %s', (ports, port, allowed) => {
    expect(allows([{ ports }], '192.0.2.1', port)).toBe(allowed)
  })

  it('wants address and port in the same rule', () => {
    const rules: readonly AccessRule[] = [
      { addresses: ['10.0.0.1'], ports: [22] },
      { addresses: ['10.0.0.2', '10.0.0.4'], ports: [80, [443, 444]] },
    ]
    expect(allows(rules, '10.0.0.1', 22)).toBe(true)
    expect(allows(rules, '10.0.0.4', 444)).toBe(true)
    expect(allows(rules, '10.0.0.1', 80)).toBe(false)
    expect(allows(rules, '10.0.0.2', 22)).toBe(false)
  })

  it('allows all with a rule of neither, and nothing with no rules', () => {
    expect(allows([{}], '203.0.113.1')).toBe(true)
    expect(allows([], '203.0.113.1')).toBe(false)
    expect([accessList(undefined), accessList([])]).toEqual([undefined, undefined])
  })

  it('keeps the rules as they were given, without what is empty and apart from its caller', () => {
    const ports: (number | [number, number])[] = [22, [1, 9]]
    const list = new AccessList([
      { addresses: [], ports },
      { addresses: ['::/0'], ports: [] },
    ])
    ports[0] = 23
    expect(list.rules).toEqual([{ ports: [22, [1, 9]] }, { addresses: ['::/0'] }])
  })

  it.each([
    ['', 'empty address spec'],
    ['example.com', 'invalid address "example.com"'],
    ['*', 'invalid address "*"'],
    ['[::1]', 'invalid address "[::1]"'],
    ['fe80::1%eth0', 'invalid address "fe80::1%eth0"'],
    ['010.0.0.1', 'invalid address "010.0.0.1"'],
    ['10.0.0.1/33', 'invalid CIDR "10.0.0.1/33"'],
    ['::/129', 'invalid CIDR "::/129"'],
    ['10.0.0/8', 'invalid CIDR "10.0.0/8"'],
    ['10.0.0.0/8/9', 'invalid CIDR "10.0.0.0/8/9"'],
    ['10.0.0.1-256', 'invalid address range "10.0.0.1-256"'],
    ['10.0.0.1-10.0.0.2-3', 'invalid address range "10.0.0.1-10.0.0.2-3"'],
    ['::1-9', 'invalid address range "::1-9"'],
    ['-10.0.0.1', 'invalid address range "-10.0.0.1"'],
    ['a\nb', 'invalid address "a\\u{a}b"'],
    ['1'.repeat(MAX_ADDRESS_ENTRY_LENGTH + 1), `invalid address "${'1'.repeat(MAX_ADDRESS_ENTRY_LENGTH + 1)}"`],
  ])('refuses the address %j, naming its rule', (address, why) => {
    expect(() => new AccessList([{}, ...forAddress(address)])).toThrow(`access rule 2: ${why}`)
  })

  it.each([[0], [65_536], [1.5], [Number.NaN], [[80, 79]], [[0, 9]], [[1, 65_536]]] as const)(
    'refuses the port %j',
    (port) => {
      expect(() => new AccessList([{ ports: [port] }])).toThrow(
        'access rule 1: a port must be from 1 to 65535, or two of them as [low, high]',
      )
    },
  )

  it('has as many rules and entries as its limits say, and no more', () => {
    const rules = (count: number): AccessRule[] => Array.from({ length: count }, () => ({ ports: [1] }))
    expect(new AccessList(rules(MAX_ACCESS_RULES)).rules).toHaveLength(MAX_ACCESS_RULES)
    expect(() => new AccessList(rules(MAX_ACCESS_RULES + 1))).toThrow(`at most ${MAX_ACCESS_RULES} access rules`)
    const addresses = new Array<string>(MAX_ACCESS_ENTRIES).fill('::1')
    expect(new AccessList([{ addresses }]).rules).toHaveLength(1)
    expect(() => new AccessList([{ addresses }, { addresses: ['::1'] }])).toThrow(
      `at most ${MAX_ACCESS_ENTRIES} addresses in the access rules`,
    )
    const ports = new Array<number>(MAX_ACCESS_ENTRIES + 1).fill(1)
    expect(() => new AccessList([{ ports }])).toThrow(`at most ${MAX_ACCESS_ENTRIES} ports in the access rules`)
    const longest = '0000:0000:0000:0000:0000:ffff:255.255.255.255'
    expect(
      new AccessList([{ addresses: [`${longest}-${longest}`] }]).allows({ host: '255.255.255.255', port: 1 }),
    ).toBe(true)
  })

  it('agrees with a slow oracle that compares 16 bytes one by one', () => {
    const ipv4 = fc
      .tuple(fc.constantFrom(9, 10), fc.constant(0), fc.constant(0), fc.nat(7))
      .map((parts) => parts.join('.'))
    const ipv6 = fc.tuple(fc.constantFrom('::', '2001:db8::'), fc.nat(7)).map(([head, tail]) => `${head}${tail}`)
    const ip = fc.oneof(ipv4, ipv6)
    const address = fc.oneof(
      ip,
      fc.tuple(ip, ip).map(([from, to]) => `${from}-${to}`),
      fc.tuple(ipv4, fc.integer({ min: 28, max: 32 })).map(([host, bits]) => `${host}/${bits}`),
      fc.tuple(ipv6, fc.integer({ min: 120, max: 128 })).map(([host, bits]) => `${host}/${bits}`),
    )
    const port = fc.oneof(
      fc.integer({ min: 1, max: 9 }),
      fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 5, max: 9 })),
    )
    const rule = fc.record({ addresses: fc.array(address, { maxLength: 2 }), ports: fc.array(port, { maxLength: 2 }) })
    fc.assert(
      fc.property(
        fc.array(rule, { minLength: 1, maxLength: 3 }),
        ip,
        fc.integer({ min: 1, max: 9 }),
        (rules, host, to) => {
          expect(allows(rules, host, to)).toBe(rules.some((one) => oracle(one, host, to)))
        },
      ),
    )
  })
})

/** The 16 bytes of what the property test makes. */
function bytesOf(host: string): readonly number[] {
  if (host.includes('.')) return [...new Array<number>(10).fill(0), 255, 255, ...host.split('.').map(Number)]
  const [head = '', tail = ''] = host.split('::')
  const front = head === '' ? [] : [0x20, 0x01, 0x0d, 0xb8]
  return [...front, ...new Array<number>(15 - front.length).fill(0), Number(tail)]
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((byte, index) => byte !== b[index])
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}

function oracle(
  { addresses, ports }: { addresses: readonly string[]; ports: readonly (number | readonly number[])[] },
  host: string,
  port: number,
): boolean {
  const bytes = bytesOf(host)
  const inAddress = (text: string): boolean => {
    const [ip = '', bits] = text.split('/')
    if (bits !== undefined) {
      const length = Number(bits) + (ip.includes('.') ? 96 : 0)
      const bit = (of: readonly number[], at: number): number => ((of[at >> 3] ?? 0) >> (7 - (at & 7))) & 1
      return Array.from({ length }, (_, at) => bit(bytes, at) === bit(bytesOf(ip), at)).every(Boolean)
    }
    const [from = '', to = from] = text.split('-')
    return compare(bytesOf(from), bytes) <= 0 && compare(bytes, bytesOf(to)) <= 0
  }
  const inPort = (entry: number | readonly number[]): boolean =>
    typeof entry === 'number' ? entry === port : (entry[0] ?? 0) <= port && port <= (entry[1] ?? 0)
  return (addresses.length === 0 || addresses.some(inAddress)) && (ports.length === 0 || ports.some(inPort))
}

describe('parseAccessRule', () => {
  it.each([
    ['10.0.0.0/8:443', { addresses: ['10.0.0.0/8'], ports: [443] }],
    ['fe80::/10:443', { addresses: ['fe80::/10'], ports: [443] }],
    ['::1:22', { addresses: ['::1'], ports: [22] }],
    ['192.168.1.1-255:8000-8999', { addresses: ['192.168.1.1-255'], ports: [[8000, 8999]] }],
    ['10.0.0.1-10.0.0.9:1', { addresses: ['10.0.0.1-10.0.0.9'], ports: [1] }],
  ])('reads %s', (text, rule) => {
    expect(parseAccessRule(text)).toEqual(rule)
  })

  it.each([
    ['10.0.0.1', 'invalid --access-rule "10.0.0.1": want ADDR:PORT'],
    ['', 'invalid --access-rule "": want ADDR:PORT'],
    ['10.0.0.1:', 'invalid --access-rule "10.0.0.1:": bad port ""'],
    ['10.0.0.1:0', 'invalid --access-rule "10.0.0.1:0": bad port "0"'],
    ['10.0.0.1:65536', 'invalid --access-rule "10.0.0.1:65536": bad port "65536"'],
    ['10.0.0.1:ssh', 'invalid --access-rule "10.0.0.1:ssh": bad port "ssh"'],
    ['10.0.0.1:9-8', 'invalid --access-rule "10.0.0.1:9-8": bad port range "9-8"'],
    ['10.0.0.1:1-65536', 'invalid --access-rule "10.0.0.1:1-65536": bad port range "1-65536"'],
    ['10.0.0.1:-', 'invalid --access-rule "10.0.0.1:-": bad port range "-"'],
    ['a.example:80', 'invalid --access-rule "a.example:80": invalid address "a.example"'],
    ['[::1]:80', 'invalid --access-rule "[::1]:80": invalid address "[::1]"'],
    ['10.0.0.0/99:80', 'invalid --access-rule "10.0.0.0/99:80": invalid CIDR "10.0.0.0/99"'],
    ['10.0.0.1-x:80', 'invalid --access-rule "10.0.0.1-x:80": invalid address range "10.0.0.1-x"'],
    [':80', 'invalid --access-rule ":80": empty address spec'],
  ])('refuses %j', (text, message) => {
    expect(() => parseAccessRule(text)).toThrow(message)
  })
})

describe('withAccess', () => {
  const policy = withAccess(
    ({ host }) => (host === '192.0.2.9' ? 'no such luck' : undefined),
    [() => new AccessList(forAddress('192.0.2.0/24')), () => undefined, () => new AccessList([{ ports: [80] }])],
  )

  it('wants the policy and every list to agree, and says which did not', () => {
    const judge = (host: string, port: number) => policy({ host, port }, 'udp')
    expect(judge('192.0.2.1', 80)).toBeUndefined()
    expect(judge('192.0.2.1', 81)).toBe(ACCESS_REFUSAL)
    expect(judge('192.0.3.1', 80)).toBe(ACCESS_REFUSAL)
    expect(judge('192.0.2.9', 80)).toBe('no such luck')
  })

  it('judges a refused address by the rules there are then, and once by each', () => {
    const current = { list: new AccessList([{ ports: [80] }]) }
    const allows = vi.spyOn(current.list, 'allows')
    const changing = withAccess(() => undefined, [() => current.list])
    const address = { host: '192.0.2.1', port: 81 }
    expect([changing(address, 'udp'), changing(address, 'udp')]).toEqual([ACCESS_REFUSAL, ACCESS_REFUSAL])
    expect(allows).toHaveBeenCalledTimes(1)
    current.list = new AccessList([{ ports: [81] }])
    expect(changing(address, 'udp')).toBeUndefined()
  })
})
