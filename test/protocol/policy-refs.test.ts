import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeMessage, MessageType } from '../../src/protocol/messages.js'
import { withPolicyRefs } from '../../src/protocol/readdress.js'
import { concat } from '../support/test-peer.js'
import { id, trailer } from './arbitraries.js'
import { bytes, hex } from './hex.js'
import { oracleEncode } from './oracle.js'

const TCP = '010301 c692e0074c7e481882fc7a1fe1bf3a27 0161 0050'
const UDP = '010302 c692e0074c7e481882fc7a1fe1bf3a27'

const rewritten = (wire: string, refs: readonly number[]): string => {
  const raw = bytes(wire)
  const before = hex(raw)
  const message = decodeMessage(raw)
  const intact = message?.type === MessageType.Connect && message.trailer !== undefined
  const out = hex(withPolicyRefs(raw, refs, intact))
  expect(hex(raw)).toBe(before)
  return out
}
const plain = (wire: string): string => wire.replaceAll(' ', '')

describe.each([
  ['tcp', TCP],
  ['udp', UDP],
])('withPolicyRefs, of a %s Connect', (_protocol, head) => {
  it.each([
    ['nothing behind its fields', '', '00 4c58'],
    ['Resume alone', '00', '00 4c58'],
    ['another Resume', '07', '07 4c58'],
    ['an empty trailer', '00 4c58', '00 4c58'],
    ['a trailer without Resume', '4c58', '4c58'],
    ['credit', '00 4c58 01 04 00000009', '00 4c58 01 04 00000009'],
    ['credit, without Resume', '4c58 01 04 00000009', '4c58 01 04 00000009'],
    ['unknown tags', '00 4c58 77 02 aabb 78 00', '00 4c58 77 02 aabb 78 00'],
    ['what looks like Resume and a trailer', '4c58 4c 58', '4c58'],
    ['a forged number', '00 4c58 14 04 00000001', '00 4c58'],
    ['one forged twice', '00 4c58 14 04 00000001 14 04 00000002', '00 4c58'],
    [
      'one before and one behind others',
      '00 4c58 14 04 00000001 01 04 00000009 77 01 14 14 04 00000002',
      '00 4c58 01 04 00000009 77 01 14',
    ],
    ['many at once', '00 4c58 14 0c 000000010000000200000003', '00 4c58'],
    ['one without Resume', '4c58 14 04 00000001', '4c58'],
    ['one of a wrong length', '00 4c58 01 04 00000009 14 03 000001', '00 4c58'],
    ['one of no length', '00 4c58 14 00', '00 4c58'],
    ['a known tag of a wrong length', '00 4c58 01 03 000009', '00 4c58'],
    ['one of a wrong length, without Resume', '4c58 01 03 000009', '4c58'],
    ['a trailer that is cut', '00 4c58 77 09 aabb', '00 4c58'],
    ['a trailer that is cut in the head of an entry', '00 4c58 77', '00 4c58'],
    ['bytes that are no trailer', '00 aabbcc', '00 4c58'],
    ['half of the mark of one', '00 4c', '00 4c58'],
  ])('that has %s names those given and no others', (_name, tail, kept) => {
    const out = rewritten(`${head} ${tail}`, [5, 6])
    expect(out).toBe(plain(`${head} ${kept} 14 08 00000005 00000006`))
    expect(decodeMessage(bytes(out))).toMatchObject({ trailer: { policies: [5, 6] } })
  })

  it('takes forged numbers out where none are given, and leaves no other trace', () => {
    expect(rewritten(`${head} 00 4c58 01 04 00000009 14 04 00000001`, [])).toBe(plain(`${head} 00 4c58 01 04 00000009`))
    expect(rewritten(`${head} 4c58 14 04 00000001 77 00`, [])).toBe(plain(`${head} 4c58 77 00`))
  })
})

describe('withPolicyRefs', () => {
  const target = fc.record({ host: fc.string({ maxLength: 40 }), port: fc.nat(65_535) })
  const refs = fc.array(fc.nat(), { maxLength: 4 })
  const unknown = fc
    .tuple(fc.integer({ min: 0x20, max: 0xff }), fc.uint8Array({ maxLength: 20 }))
    .map(([tag, value]) => Uint8Array.of(tag, value.length, ...value))

  it('keeps all else of a Connect byte for byte', () => {
    const connect = fc.record({
      type: fc.constant(MessageType.Connect),
      channelId: id,
      target: fc.option(target, { nil: undefined }),
      trailer,
    })
    fc.assert(
      fc.property(connect, refs, fc.array(unknown, { maxLength: 3 }), ({ trailer: asked, ...head }, policies, more) => {
        const protocol = head.target === undefined ? 2 : 1
        const written = (named: readonly number[] | undefined) =>
          oracleEncode({ ...head, protocol, trailer: { ...asked, policies: named } })
        const forged = concat(written(asked.policies), ...more)
        const out = withPolicyRefs(forged, policies, true)
        // what is named stands last
        const entry = policies.flatMap((ref) => [...new Uint8Array(new Uint32Array([ref]).buffer)].reverse())
        const tail = policies.length === 0 ? [] : [0x14, entry.length, ...entry]
        expect(hex(out)).toBe(hex(concat(written(undefined), ...more, Uint8Array.from(tail))))
      }),
    )
  })

  it('names those given and no others, whatever stands behind the fields', () => {
    const tail = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ maxLength: 40 }).map((rest) => Uint8Array.of(0x4c, 0x58, ...rest)),
      fc.uint8Array({ maxLength: 40 }).map((rest) => Uint8Array.of(0, 0x4c, 0x58, 0x14, 4, ...rest)),
    )
    fc.assert(
      fc.property(
        fc.constantFrom(TCP, UDP),
        tail,
        fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
        (head, behind, policies) => {
          const before = decodeMessage(concat(bytes(head), behind))
          if (before?.type !== MessageType.Connect) throw new Error('no Connect')
          const out = decodeMessage(withPolicyRefs(concat(bytes(head), behind), policies, before.trailer !== undefined))
          expect(out).toEqual({ ...before, trailer: { ...before.trailer, policies } })
        },
      ),
      { numRuns: 1_000 },
    )
  })
})
