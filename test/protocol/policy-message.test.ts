import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import type { EgressRule } from '../../src/policy-fields.js'
import { decodeMessage } from '../../src/protocol/messages.js'
import { decodePolicy, encodePolicy, policyRef } from '../../src/protocol/policy-message.js'
import { anyText } from './arbitraries.js'
import { bytes, hex } from './hex.js'
import { codeOf } from './thrown.js'

const ref = fc.integer({ min: 0, max: 0xffff_ffff })
const port = fc.integer({ min: 1, max: 65_535 })
const rule: fc.Arbitrary<EgressRule> = fc.record(
  {
    action: fc.constantFrom('allow', 'deny'),
    hosts: fc.array(anyText, { maxLength: 5 }),
    ports: fc.array(fc.oneof(port, fc.tuple(port, port)), { maxLength: 5 }),
    protocol: fc.constantFrom('tcp', 'udp'),
  },
  { requiredKeys: ['action'] },
)
const policy = fc.record({
  egress: fc.array(rule, { maxLength: 5 }),
  egressDefault: fc.constantFrom('allow' as const, 'deny' as const, undefined),
})

const codeOfThrown = (thrown: unknown): string => (thrown instanceof LinkSocksError ? thrown.code : String(thrown))
const message = (json: string): Uint8Array => Uint8Array.of(1, 0xf1, 0, 0, 0, 7, ...new TextEncoder().encode(json))

describe('a Policy message', () => {
  it('is its number, and JSON to its end', () => {
    const raw = encodePolicy({ ref: 0x1020304, policy: { egress: [{ action: 'deny', ports: [22] }] } })
    expect(hex(raw.subarray(0, 6))).toBe('01f101020304')
    expect(new TextDecoder().decode(raw.subarray(6))).toBe('{"egress":[{"action":"deny","ports":[22]}]}')
    const byDefault = encodePolicy({ ref: 0, policy: { egressDefault: 'deny' } })
    expect(new TextDecoder().decode(byDefault.subarray(6))).toBe('{"egress":[],"egress_default":"deny"}')
  })

  it('without JSON gives its number back', () => {
    const raw = encodePolicy({ ref: 5 })
    expect([hex(raw), policyRef(raw), decodePolicy(raw)]).toEqual(['01f100000005', 5, undefined])
  })

  it('reads back what was written', () => {
    fc.assert(
      fc.property(ref, policy, (number, written) => {
        const raw = encodePolicy({ ref: number, policy: written })
        expect(policyRef(raw)).toBe(number)
        expect(decodePolicy(raw)).toEqual(written)
      }),
    )
  })

  it('is none of the messages that channels and control have', () => {
    expect(decodeMessage(encodePolicy({ ref: 1, policy: {} }))).toBeUndefined()
  })

  it('is refused when it is cut at any byte, but for the end of its number', () => {
    const raw = encodePolicy({ ref: 1, policy: { egress: [{ action: 'allow', hosts: ['ä.example'] }] } })
    for (let length = 0; length < raw.length; length += 1) {
      if (length === 6) continue
      const cut = raw.subarray(0, length)
      expect(codeOf(() => decodePolicy(cut))).toBe(length < 6 ? 'ERR_MESSAGE_TRUNCATED' : 'ERR_MESSAGE_INVALID')
    }
  })

  it.each([2 ** 32, -1, 0.5])('has no number %d', (number) => {
    expect(codeOf(() => encodePolicy({ ref: number }))).toBe('ERR_MESSAGE_INVALID')
  })

  it.each([
    ['no JSON', 'egress'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a number', '1'],
    ['no rules', '{}'],
    ['rules that are no list', '{"egress":{}}'],
    ['a rule that is none', '{"egress":[null]}'],
    ['another field', '{"egress":[],"quota":{}}'],
    ['another field by the name of none', '{"egress":[],"__proto__":{}}'],
    ['another field of a rule', '{"egress":[{"action":"allow","from":"10.0.0.1"}]}'],
    ['another action', '{"egress":[{"action":"ask"}]}'],
    ['no action', '{"egress":[{"hosts":["a.example"]}]}'],
    ['hosts that are a text', '{"egress":[{"action":"deny","hosts":"a.example"}]}'],
    ['a host that is a number', '{"egress":[{"action":"deny","hosts":[1]}]}'],
    ['a port that is a text', '{"egress":[{"action":"deny","ports":["22"]}]}'],
    ['three ports in one', '{"egress":[{"action":"deny","ports":[[1,2,3]]}]}'],
    ['a protocol that is a number', '{"egress":[{"action":"deny","protocol":6}]}'],
    ['another default', '{"egress":[],"egress_default":"ask"}'],
    ['no default, in words', '{"egress":[],"egress_default":null}'],
    ['more after it', '{"egress":[]}{}'],
    ['lists without end', '['.repeat(100_000)],
  ])('that has %s is refused', (_name, json) => {
    expect(codeOf(() => decodePolicy(message(json)))).toBe('ERR_MESSAGE_INVALID')
  })

  it('throws nothing but what it says, whatever comes', () => {
    const noise = fc.uint8Array({ maxLength: 40 })
    const json = fc
      .oneof(
        fc.json(),
        fc.jsonValue().map((egress) => JSON.stringify({ egress })),
      )
      .map(message)
    const damaged = fc.tuple(policy, fc.nat(), fc.nat(255)).map(([given, at, value]) => {
      const raw = encodePolicy({ ref: 1, policy: given })
      raw[at % raw.length] = value
      return raw
    })
    fc.assert(
      fc.property(fc.oneof(noise, json, damaged), (raw) => {
        for (const read of [decodePolicy, policyRef]) {
          try {
            read(raw)
          } catch (thrown) {
            expect(['ERR_MESSAGE_TRUNCATED', 'ERR_MESSAGE_INVALID']).toContain(codeOfThrown(thrown))
          }
        }
      }),
      { numRuns: 1_000 },
    )
  })

  it('is read as text that is no UTF-8 is read everywhere', () => {
    const raw = Uint8Array.of(
      ...bytes('01f100000001'),
      ...new TextEncoder().encode('{"egress":[{"action":"deny","hosts":["'),
      0xff,
      ...new TextEncoder().encode('"]}]}'),
    )
    expect(decodePolicy(raw)).toEqual({ egress: [{ action: 'deny', hosts: ['\ufffd'] }], egressDefault: undefined })
  })
})
