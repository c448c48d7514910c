import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseIp } from '../../src/address.js'
import { AddressIndex } from '../../src/policy/address-index.js'
import { filledRange, numberOf } from '../../src/policy/address-range.js'
import { type HostEntry, hostEntries } from '../../src/policy/host-entry.js'

type Hosts = readonly (readonly HostEntry[])[]

const LAST = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'

function ipOf(text: string) {
  const ip = parseIp(text)
  if (ip === undefined) throw new Error(`no address: ${text}`)
  return ip
}

function entriesOf(...texts: string[]): readonly HostEntry[] {
  return texts.flatMap((text) => {
    const entries = hostEntries(text)
    if (typeof entries === 'string') throw new Error(entries)
    return entries
  })
}

/** All rules speak, but for those that are named. */
function firstOf(hosts: Hosts, address: string, silent: readonly number[] = []): number {
  const rules = Uint8Array.from(hosts, (_hosts, at) => (silent.includes(at) ? 0 : 1))
  const anyHost = hosts.findIndex((entries, at) => entries.length === 0 && rules[at] === 1)
  const speaking = { rules, anyHost: anyHost === -1 ? rules.length : anyHost, outcomes: [] }
  return new AddressIndex(hosts).first(ipOf(address), speaking)
}

function slowly(hosts: Hosts, address: string, silent: readonly number[]): number {
  const number = numberOf(ipOf(address))
  return hosts.findIndex(
    (entries, at) =>
      !silent.includes(at) &&
      (entries.length === 0 ||
        entries.some((entry) => entry.kind === 'addresses' && entry.range[0] <= number && number <= entry.range[1])),
  )
}

describe('AddressIndex', () => {
  it.each([
    ['::', 0],
    ['::1', 1],
    ['0.0.0.0', 2],
    ['255.255.255.255', 2],
    ['::1:0:0:0', -1],
    [LAST, 3],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe', -1],
  ])('finds %s at the end of a range, in rule %i', (address, rule) => {
    expect(
      firstOf(
        ['::', '::1', '0.0.0.0/0', LAST].map((text) => entriesOf(text)),
        address,
      ),
    ).toBe(rule)
  })

  it('finds nothing without rules, and without addresses', () => {
    expect(firstOf([], '192.0.2.1')).toBe(-1)
    expect(firstOf([entriesOf('a.example')], '192.0.2.1')).toBe(-1)
  })

  it('passes over rules that do not speak', () => {
    const hosts = [entriesOf('192.0.2.0/24'), [], entriesOf('192.0.2.1')]
    expect([[], [0], [0, 1], [0, 1, 2]].map((silent) => firstOf(hosts, '192.0.2.1', silent))).toEqual([0, 1, 2, -1])
  })

  it('finds what a slow search finds', () => {
    const address = fc.oneof(
      fc.integer({ min: 0, max: 40 }).map((last) => `192.0.2.${last}`),
      fc.integer({ min: 0, max: 40 }).map((last) => `2001:db8::${last.toString(16)}`),
      fc.constantFrom('::', LAST, '0.0.0.0', '255.255.255.255'),
    )
    const entry = fc.oneof(
      address,
      fc.tuple(address, address).map(([from, to]) => `${from}-${to}`),
      fc.tuple(address, fc.integer({ min: 0, max: 32 })).map(([base, bits]) => `${base}/${bits}`),
      fc.constantFrom('::/0', 'a.example'),
    )
    const hosts = fc.array(
      fc.array(
        entry.filter((text) => text === 'a.example' || typeof filledRange(text) !== 'string'),
        { maxLength: 4 },
      ),
      { maxLength: 12 },
    )
    const silent = fc.array(fc.integer({ min: 0, max: 11 }), { maxLength: 6 })
    fc.assert(
      fc.property(hosts, silent, fc.array(address, { maxLength: 10 }), (texts, without, addresses) => {
        const entries = texts.map((rule) => entriesOf(...rule))
        for (const one of addresses) expect(firstOf(entries, one, without)).toBe(slowly(entries, one, without))
      }),
      { numRuns: 2_000 },
    )
  })
})
