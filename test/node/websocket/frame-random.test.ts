import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cutAt, type FrameFields, frame, hex, KEY, pieces, type Reading, read } from './frames.js'
import { readWithWs } from './ws-oracle.js'

const CONTINUATION = 0
const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10

const key = fc.uint8Array({ minLength: 4, maxLength: 4 })
const small = fc.uint8Array({ maxLength: 300 })
/** Around the edges where a length takes another form. */
const edge = fc
  .tuple(fc.constantFrom(125, 126, 127, 65_535, 65_536), fc.nat(255))
  .map(([n, byte]) => Buffer.alloc(n, byte))
const payload = fc.oneof({ weight: 8, arbitrary: small }, { weight: 1, arbitrary: edge })
const cuts = fc.array(fc.nat(), { maxLength: 12 })

interface Sent {
  readonly text: boolean
  readonly payload: Uint8Array
  /** Where the message is cut into fragments. */
  readonly cuts: readonly number[]
  /** Pings, pongs ahead of its fragments. */
  readonly controls: readonly { readonly ping: boolean; readonly payload: Uint8Array }[]
}

const control = fc.record({ ping: fc.boolean(), payload: fc.uint8Array({ maxLength: 125 }) })
const message: fc.Arbitrary<Sent> = fc.oneof(
  fc.record({ text: fc.constant(false), payload, cuts, controls: fc.array(control, { maxLength: 3 }) }),
  fc.record({
    text: fc.constant(true),
    payload: fc.string({ unit: 'grapheme', maxLength: 60 }).map((text) => Buffer.from(text)),
    cuts,
    controls: fc.array(control, { maxLength: 3 }),
  }),
)

const within = (places: readonly number[], length: number): number[] => places.map((place) => place % (length + 1))

/** The frames of one message with control frames among them, and what a reader should tell of them. */
function framesOf(sent: Sent, nextKey: () => Uint8Array | undefined): { frames: Buffer[]; told: string[] } {
  const parts = cutAt(sent.payload, within(sent.cuts, sent.payload.byteLength))
  const controls = [...sent.controls]
  const told: string[] = []
  const frames = parts.flatMap((part, i) => {
    const before = i === parts.length - 1 ? controls.splice(0) : controls.splice(0, 1)
    const opcode = i > 0 ? CONTINUATION : sent.text ? TEXT : BINARY
    for (const { ping, payload: inside } of before) if (ping) told.push(`ping ${hex(inside)}`)
    return [
      ...before.map(({ ping, payload: inside }) =>
        frame({ opcode: ping ? PING : PONG, payload: inside, key: nextKey() }),
      ),
      frame({ opcode, payload: part, fin: i === parts.length - 1, key: nextKey() }),
    ]
  })
  return { frames, told: [...told, `message ${hex(sent.payload)}`] }
}

/** Any frame, right or wrong; right ones are likely. Lengths are in their shortest form. */
const anyFrame: fc.Arbitrary<(mask: boolean) => Buffer> = fc
  .record({
    opcode: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(TEXT, BINARY, CONTINUATION, PING, PONG) },
      { weight: 1, arbitrary: fc.nat(15) },
      { weight: 1, arbitrary: fc.constant(CLOSE) },
    ),
    payload: fc.oneof(
      { weight: 3, arbitrary: fc.constant(new Uint8Array(0)) },
      { weight: 3, arbitrary: fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => Buffer.from(text)) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 130 }) },
      { weight: 2, arbitrary: fc.integer({ min: 990, max: 1020 }).map((code) => Buffer.of(code >> 8, code & 255, 65)) },
    ),
    fin: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.boolean()),
    reserved: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.constantFrom(0x10, 0x20, 0x40)),
    masked: fc.oneof({ weight: 20, arbitrary: fc.constant(true) }, fc.boolean()),
    key,
    announced: fc.option(fc.constantFrom(33_554_432, 33_554_433, 2 ** 40), { freq: 40, nil: undefined }),
  })
  .map(({ masked, key: ownKey, announced, ...fields }) => (mask) => {
    const rest: FrameFields = { ...fields, key: mask === masked ? ownKey : undefined }
    return frame(announced === undefined ? rest : { ...rest, announced })
  })

/** Behind whatever stands before: it completes a header that is cut, and is judged alike by everybody. */
const FILLER = Buffer.alloc(300)

/** expect() is slow for something that is done thousands of times. */
function expectSame(ours: Reading, theirs: Reading): void {
  if (!isDeepStrictEqual(ours, theirs)) expect(ours).toEqual(theirs)
}

describe('FrameReader on random input', () => {
  const { stackTraceLimit } = Error
  // most runs end with two errors, and nobody looks where they were made
  beforeAll(() => {
    Error.stackTraceLimit = 0
  })
  afterAll(() => {
    Error.stackTraceLimit = stackTraceLimit
  })

  it('tells what was sent, however it was fragmented, interleaved, masked and cut', () => {
    const property = fc.property(
      fc.array(message, { maxLength: 6 }),
      fc.boolean(),
      fc.array(key, { minLength: 1, maxLength: 5 }),
      cuts,
      (sent, isMasked, keys, places) => {
        let used = 0
        const nextKey = (): Uint8Array | undefined => {
          used += 1
          return isMasked ? keys[used % keys.length] : undefined
        }
        const all = sent.map((one) => framesOf(one, nextKey))
        const bytes = Buffer.concat(all.flatMap(({ frames }) => frames))
        const expected: Reading = { told: all.flatMap(({ told }) => told), status: undefined }
        const chunks = cutAt(bytes, within(places, bytes.byteLength))
        expect(read(chunks, { masked: isMasked })).toEqual(expected)
        expect(readWithWs(chunks, { masked: isMasked })).toEqual(expected)
      },
    )
    fc.assert(property, { numRuns: 300 })
  })

  it('tells the same as ws of frames that are right or wrong, and ends with the same status code', () => {
    const verdicts = new Set<number | undefined>()
    const property = fc.property(
      fc.array(anyFrame, { minLength: 1, maxLength: 12 }),
      fc.boolean(),
      cuts,
      (makers, isMasked, places) => {
        const bytes = Buffer.concat([...makers.map((make) => make(isMasked)), FILLER])
        const chunks = cutAt(bytes, within(places, bytes.byteLength))
        const ours = read(chunks, { masked: isMasked })
        expectSame(ours, readWithWs(chunks, { masked: isMasked }))
        verdicts.add(ours.status)
      },
    )
    // chance brings it in most runs, not in all
    const badText = (mask: boolean): Buffer =>
      frame({ opcode: TEXT, payload: Buffer.of(0xff), key: mask ? KEY : undefined })
    fc.assert(property, { numRuns: 2_000, examples: [[[badText], true, []]] })
    // otherwise this says little
    expect([...verdicts].sort()).toEqual([1002, 1007, 1009, undefined])
  })

  it('is stricter than ws in one thing alone: lengths that are not in their shortest form (5.2)', () => {
    const property = fc.property(
      fc.constantFrom(TEXT, BINARY),
      fc.nat(125),
      fc.constantFrom(2 as const, 8 as const),
      (opcode, bytes, lengthBytes) => {
        const chunks = [frame({ opcode, payload: Buffer.alloc(bytes, 'a'), lengthBytes })]
        expect(read(chunks)).toEqual({ told: [], status: 1002 })
        expect(readWithWs(chunks).told.length).toBe(1)
      },
    )
    fc.assert(property, { numRuns: 50 })
  })

  it('throws nothing but violations on garbage, never hangs, and has the verdict of ws', () => {
    const garbage = fc.uint8Array({ maxLength: 400 })
    const property = fc.property(garbage, fc.boolean(), cuts, (bytes, isMasked, places) => {
      const chunks = [...cutAt(bytes, within(places, bytes.byteLength)), FILLER]
      // read() passes on whatever is no violation
      const ours = read(chunks, { masked: isMasked })
      const theirs = readWithWs(chunks, { masked: isMasked })
      // a length that is not in its shortest form: ws reads on
      if (ours.status === 1002) expect(theirs.told.slice(0, ours.told.length)).toEqual(ours.told)
      else expectSame(ours, theirs)
    })
    fc.assert(property, { numRuns: 3_000 })
  })

  it('comes to the same end when garbage comes byte by byte', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isMasked) => {
      expectSame(read(pieces(bytes, 1), { masked: isMasked }), read([bytes], { masked: isMasked }))
    })
    fc.assert(property, { numRuns: 1_000 })
  })
})
