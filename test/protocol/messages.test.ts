import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { type ControlFrame, ControlOp, encodeControl } from '../../src/protocol/control.js'
import type { Message } from '../../src/protocol/messages.js'
import {
  ChannelProtocol,
  Compression,
  channelKeyOf,
  decodeMessage,
  MessageType,
  messageType,
  payloadBytes,
  plainData,
} from '../../src/protocol/messages.js'
import { channelKey } from '../../src/protocol/uuid.js'
import { anyMessage, encodeMessage, id, kinds } from './arbitraries.js'
import { bytesBehindData } from './behind-data.js'
import { hex } from './hex.js'
import { oracleDecode, oracleEncode, Refused } from './oracle.js'

type Outcome = { readonly message: Message | undefined } | { readonly refused: string }

function real(data: Uint8Array): Outcome {
  try {
    return { message: decodeMessage(data) }
  } catch (error) {
    // any other exception is a defect: let it fail the test
    if (error instanceof LinkSocksError) return { refused: error.code }
    throw error
  }
}

function expected(data: Uint8Array): Outcome {
  try {
    return { message: oracleDecode(data) }
  } catch (error) {
    if (error instanceof Refused) return { refused: `ERR_MESSAGE_${error.kind}` }
    throw error
  }
}

/** What `plainData` is the short way to. */
function plainDataByDecoding(data: Uint8Array): Uint8Array | undefined {
  const outcome = real(data)
  const message = 'message' in outcome ? outcome.message : undefined
  if (message?.type !== MessageType.Data) return undefined
  return message.protocol === ChannelProtocol.Tcp && message.compression === Compression.None ? message.data : undefined
}

describe('plainData', () => {
  it('gives what decodeMessage gives for uncompressed tcp Data, and nothing for all else, cut or damaged', () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(40), fc.nat(23), fc.nat(255), (message, cut, at, value) => {
        const whole = encodeMessage(message)
        const damaged = whole.slice()
        damaged[at] = value
        for (const bytes of [whole, whole.subarray(0, cut), damaged]) same(plainData(bytes), plainDataByDecoding(bytes))
      }),
      { numRuns: 2_000 },
    )
    const empty = encodeMessage({
      type: MessageType.Data,
      protocol: ChannelProtocol.Tcp,
      channelId: new Uint8Array(16),
      compression: Compression.None,
      data: new Uint8Array(0),
    })
    expect(plainData(empty)).toEqual(new Uint8Array(0))
  })
})

describe('payloadBytes', () => {
  it('gives the length of what Data carries, and 0 for all else and for what is cut before it', () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(23), (message, cut) => {
        const whole = encodeMessage(message)
        same(payloadBytes(whole), message.type === MessageType.Data ? message.data.byteLength : 0)
        same(payloadBytes(whole.subarray(0, cut)), 0)
      }),
    )
  })
})

describe.each(Object.entries(kinds))('codec of %s', (_name, kind) => {
  it('writes what the oracle writes', () => {
    fc.assert(fc.property(kind, (message) => same(hex(encodeMessage(message)), hex(oracleEncode(message)))))
  })

  it('reads back what was written', () => {
    const fits = kind.filter((message) => texts(message).every((text) => survives(text)))
    fc.assert(fc.property(fits, (message) => same(decodeMessage(encodeMessage(message)), message)))
  })

  it('judges a message cut at every byte as the oracle does', () => {
    fc.assert(
      fc.property(kind, (message) => {
        const whole = oracleEncode(message)
        for (let length = 0; length < whole.length; length++) {
          // the middle of a long text or payload is all alike
          if (length > 64 && whole.length - length > 64 && length % 17 !== 0) continue
          const cut = whole.subarray(0, length)
          same(real(cut), expected(cut))
        }
      }),
      { numRuns: 20 },
    )
  })

  it('reads damaged messages and leftovers as the oracle does', () => {
    const damaged = fc
      .tuple(kind, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 40 }))
      .map(([message, position, value, tail]) => {
        const data = Uint8Array.of(...oracleEncode(message), ...tail)
        data[position % data.length] = value
        return data
      })
    fc.assert(fc.property(damaged, (data) => same(real(data), expected(data))))
  })
})

describe('decodeMessage', () => {
  it('throws nothing but LinkSocksError on random bytes', () => {
    const noise = fc.uint8Array({ maxLength: 300 })
    const start = fc
      .oneof(fc.integer({ min: 0, max: 18 }), fc.constantFrom(0xf0, 0xf1))
      .map((type) => Uint8Array.of(1, type))
    const started = fc.tuple(start, noise).map(([head, tail]) => Uint8Array.of(...head, ...tail))
    const check = (data: Uint8Array): void => same(real(data), expected(data))
    fc.assert(fc.property(fc.oneof(noise, started), check), { numRuns: 2_000 })
  })

  it('keeps the id of a channel after the message is overwritten', () => {
    fc.assert(
      fc.property(
        anyMessage.filter((message) => message.type !== 4 && message.type < 9),
        (message) => {
          const wire = oracleEncode(message)
          const decoded = decodeMessage(wire)
          const before = structuredClone(decoded)
          wire.fill(0xee)
          expect(decoded).toEqual(before)
        },
      ),
    )
  })
})

describe('Data', () => {
  const control: fc.Arbitrary<ControlFrame> = fc.oneof(
    fc.record({ op: fc.constant(ControlOp.WindowUpdate), credit: fc.nat(0xffff_ffff) }),
    fc.record({ op: fc.constant(ControlOp.EndOfStream), total: fc.maxSafeNat() }),
    fc.record({ op: fc.constant(ControlOp.Reset), code: fc.nat(255) }),
    fc.record({ op: fc.constantFrom(ControlOp.Ping, ControlOp.Pong), id: fc.nat(0xffff_ffff) }),
  )

  it('has nothing behind its fields, whichever encoder writes it', () => {
    const written = fc.oneof(
      anyMessage.filter((message) => message.type === MessageType.Data).map(encodeMessage),
      fc.tuple(id, control).map(([channel, frame]) => encodeControl(channel, frame)),
    )
    fc.assert(fc.property(written, (raw) => same(bytesBehindData(raw), 0)))
  })

  it('is read the same with a Sequence behind it, of tcp and of udp', () => {
    const dataMessage = anyMessage.filter((message) => message.type === MessageType.Data)
    const sequence = fc.uint8Array({ minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(dataMessage, sequence, (message, behind) => {
        const raw = encodeMessage(message)
        same(decodeMessage(Uint8Array.of(...raw, ...behind)), decodeMessage(raw))
      }),
    )
  })
})

describe('messageType and channelKeyOf', () => {
  it('agree with decodeMessage', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const wire = oracleEncode(message)
        expect(messageType(wire)).toBe(message.type)
        // in JSON it is not looked for
        const binary = 'channelId' in message && message.type < 7
        expect(channelKeyOf(wire)).toBe(binary ? channelKey(message.channelId) : undefined)
      }),
    )
  })

  it('never throw anything but LinkSocksError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (data) => {
        const key = channelKeyOf(data)
        expect(key === undefined || key.length === 8).toBe(true)
        try {
          expect(messageType(data)).toBe(data[1])
        } catch (error) {
          expect(error).toBeInstanceOf(LinkSocksError)
        }
      }),
    )
  })
})

function texts(message: Message): string[] {
  return Object.values(message).flatMap((value: unknown) => {
    if (typeof value === 'string') return [value]
    return typeof value === 'object' && value !== null && 'host' in value ? [String(value.host)] : []
  })
}

/** Neither cut at 255 bytes nor holding half a surrogate pair. */
function survives(text: string): boolean {
  return Buffer.byteLength(text) <= 255 && !/\p{Cs}/u.test(text)
}

/** An assertion that returns nothing: a property that returns something false fails. `expect` is slow, and rarely needed. */
function same(actual: unknown, wanted: unknown): void {
  if (!isDeepStrictEqual(actual, wanted)) expect(actual).toEqual(wanted)
}
