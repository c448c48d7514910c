import fc from 'fast-check'
import { concat } from '../../support/test-peer.js'

/** One thing that goes wrong with bytes on their way; places beyond the end count from the beginning again. */
export type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'double'; readonly at: number; readonly length: number }
  | { readonly kind: 'drop'; readonly at: number; readonly length: number }
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'append'; readonly bytes: Uint8Array }

const place = fc.oneof(fc.nat(40), fc.nat(700))
const length = fc.integer({ min: 1, max: 24 })
const someBytes = fc.uint8Array({ minLength: 1, maxLength: 24 })
/** What is written where a length or a count may stand. */
const number = fc.constantFrom(
  Uint8Array.of(0xff, 0xff, 0xff, 0xff),
  Uint8Array.of(0x7f, 0xff, 0xff, 0xff),
  Uint8Array.of(0x02, 0x00, 0x00, 0x01),
  Uint8Array.of(0, 0, 0, 0),
  Uint8Array.of(0xff),
  Uint8Array.of(0),
)

export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: place, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('cut' as const), at: place }),
  fc.record({ kind: fc.constant('insert' as const), at: place, bytes: someBytes }),
  fc.record({ kind: fc.constant('double' as const), at: place, length }),
  fc.record({ kind: fc.constant('drop' as const), at: place, length }),
  // 2, 18 and 20 are where messages have their lengths
  fc.record({
    kind: fc.constant('write' as const),
    at: fc.oneof(fc.constantFrom(1, 2, 18, 20), place),
    bytes: fc.oneof(number, someBytes),
  }),
  fc.record({ kind: fc.constant('append' as const), bytes: someBytes }),
)

/** `bytes` after all of `mutations`, in order. */
export function mutated(bytes: Uint8Array, mutations: readonly Mutation[]): Uint8Array {
  return mutations.reduce(mutate, bytes)
}

function mutate(bytes: Uint8Array, one: Mutation): Uint8Array {
  if (one.kind === 'append') return concat(bytes, one.bytes)
  const at = one.at % (bytes.length + 1)
  const [before, behind] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (one.kind) {
    case 'flip':
      return bytes.map((byte, index) => (index === at ? byte ^ (1 << one.bit) : byte))
    case 'cut':
      return before
    case 'insert':
      return concat(before, one.bytes, behind)
    case 'double':
      return concat(before, behind.subarray(0, one.length), behind)
    case 'drop':
      return concat(before, behind.subarray(one.length))
    case 'write':
      return concat(before, one.bytes, behind.subarray(one.bytes.length))
  }
}
