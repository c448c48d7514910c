import fc from 'fast-check'
import type { OracleAddress } from './oracle.js'

const octet = fc.integer({ min: 0, max: 255 })
/** Zeros often, so that runs of them appear. */
const sparseOctet = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: octet })

export const port = fc.integer({ min: 0, max: 0xffff })

const ipv4 = fc.array(octet, { minLength: 4, maxLength: 4 }).map((bytes) => ({ kind: 'ipv4', bytes }) as const)

const ipv6 = fc
  .oneof(
    fc.array(octet, { minLength: 16, maxLength: 16 }),
    fc.array(sparseOctet, { minLength: 16, maxLength: 16 }),
    fc
      .array(octet, { minLength: 4, maxLength: 4 })
      .map((tail) => [...Array(10).fill(0), 255, 255, ...tail] as number[]),
  )
  .map((bytes) => ({ kind: 'ipv6', bytes }) as const)

/** 1 to 255 bytes of UTF-8 that are no IP text. */
const domain = fc
  .oneof(
    fc.domain(),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
    fc.constantFrom('localhost', '127.1', 'bücher.example', 'a'.repeat(255), '1.2.3.4.5', '256.1.1.1', '01.2.3.4'),
  )
  .filter((name) => !/[\p{Cc} ]|^\d+\.\d+\.\d+\.\d+$|:/u.test(name) || ['256.1.1.1', '01.2.3.4'].includes(name))
  .filter((name) => Buffer.byteLength(name) <= 255 && Buffer.from(name).toString() === name)
  .map((name) => ({ kind: 'domain', name }) as const)

export const address: fc.Arbitrary<OracleAddress> = fc.oneof(ipv4, ipv6, domain)
export const ipAddress: fc.Arbitrary<OracleAddress> = fc.oneof(ipv4, ipv6)
export const byte = octet
