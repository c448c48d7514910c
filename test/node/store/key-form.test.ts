import { describe, expect, it } from 'vitest'
import { DATA_KEY_BYTES, dataKeyEncoding } from '../../../src/node/store/key-form.js'

const HEX = 'ab'.repeat(32)
const BASE64 = Buffer.from(HEX, 'hex').toString('base64')
const UNPADDED = BASE64.replace('=', '')

describe('dataKeyEncoding()', () => {
  it.each([
    [HEX, 'hex'],
    [HEX.toUpperCase(), 'hex'],
    [BASE64, 'base64'],
    [UNPADDED, 'base64'],
    [`${'+/'.repeat(21)}A=`, 'base64'],
  ] as const)('takes %j for %s of 32 bytes', (text, encoding) => {
    expect(dataKeyEncoding(text)).toBe(encoding)
    expect(Buffer.from(text, encoding)).toHaveLength(DATA_KEY_BYTES)
  })

  it.each([
    '',
    HEX.slice(1),
    `${HEX}a`,
    `${HEX.slice(1)}g`,
    `0x${HEX}`,
    UNPADDED.slice(1),
    `A${UNPADDED}`,
    `${BASE64}=`,
    `=${UNPADDED}`,
    Buffer.alloc(31).toString('base64'),
    Buffer.alloc(33).toString('base64'),
    '-'.repeat(43),
    '_'.repeat(43),
    ` ${HEX}`,
    `${HEX}\n`,
    `${UNPADDED}\n`,
  ])('takes %j for no key', (text) => {
    expect(dataKeyEncoding(text)).toBeUndefined()
  })
})
