import fc from 'fast-check'

const SURROGATES = { first: 0xd800, count: 0x800 }
const LAST = 0x10_ffff

/**
 * A unit of `fc.string()`: any code point but the halves of surrogate pairs. The unit 'binary' is the same, but makes a table
 * of all of them first, which takes more than a second.
 */
export const codePoint: fc.Arbitrary<string> = fc.nat({ max: LAST - SURROGATES.count }).map(
  (index) => String.fromCodePoint(index < SURROGATES.first ? index : index + SURROGATES.count),
  (text) => {
    const [character, ...more] = typeof text === 'string' ? text : ''
    const code = character?.codePointAt(0)
    if (code === undefined || more.length > 0 || /\p{Cs}/u.test(`${character}`)) throw new Error('not one code point')
    return code < SURROGATES.first ? code : code - SURROGATES.count
  },
)
