import { afterEach, describe, expect, it, vi } from 'vitest'
import { blockPool } from '../../../src/node/net/block-pool.js'
import { maskMemory } from '../../../src/node/net/mask-memory.js'
import { type FrameStyle, FrameWriter } from '../../../src/node/websocket/frame-writer.js'
import { KIB, MIB } from '../../../src/protocol/limits.js'
import { pattern } from '../../contract/pattern.js'
import { HeldSocket } from '../net/held-socket.js'
import { frame, hex, masked, read } from './frames.js'
import { readWithWs } from './ws-oracle.js'

const BINARY = 2
const CLOSE = 8
const PING = 9

/** Around every edge: of length forms, of what is copied into a batch, of what goes out with the header. */
const SIZES = [0, 1, 125, 126, 127, 4_081, 4_082, 4_083, 4_090, 4_096, 4_097, 65_535, 65_536, 256 * KIB]
const STYLES: readonly (readonly [name: string, style: FrameStyle])[] = [
  ['server', { masked: false }],
  ['client', { masked: true }],
  ['server over TLS', { masked: false, joined: true }],
  ['client over TLS', { masked: true, joined: true }],
  ['client that shares TLS', { masked: true, zeroKey: true, joined: true }],
  ['client with a key of zeros', { masked: true, zeroKey: true }],
]
const CLIENT: FrameStyle = { masked: true }

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const turns = async (count = 5): Promise<void> => {
  for (let i = 0; i < count; i += 1) await turn()
}

function setUp(style: FrameStyle, held = false) {
  const socket = new HeldSocket(held)
  const left: number[] = []
  const writer: FrameWriter = new FrameWriter(socket.asSocket, style, () => left.push(writer.bufferedAmount))
  return { socket, writer, left }
}

/** Bytes of the header of a frame. */
const headerBytes = (payload: number, isMasked: boolean): number =>
  2 + (payload < 126 ? 0 : payload < 65_536 ? 2 : 8) + (isMasked ? 4 : 0)

afterEach(() => vi.restoreAllMocks())

/** Up to `count` blocks of the memory for masking, taken. */
function maskBlocks(count: number): Uint8Array[] {
  const blocks: Uint8Array[] = []
  while (blocks.length < count) {
    const block = maskMemory().take()
    if (block === undefined) break
    blocks.push(block)
  }
  return blocks
}

describe.each(STYLES)('FrameWriter of a %s', (_name, style) => {
  const { masked: isMasked, zeroKey = false } = style

  it.each(SIZES)('writes %d bytes as one frame, in one part, in two, or in many', async (bytes) => {
    const payload = pattern(bytes)
    const split = (at: number): Uint8Array[] => [payload.subarray(0, at), payload.subarray(at)]
    for (const parts of [
      [payload],
      split(0),
      split(Math.min(24, bytes)),
      split(bytes),
      [...split(bytes >> 1), payload],
    ]) {
      const { socket, writer, left } = setUp(style)
      let sent = 0
      writer.frame(BINARY, parts, () => (sent += 1))
      await turns()
      const whole = Buffer.concat(parts)
      const head = headerBytes(whole.byteLength, isMasked)
      const key = isMasked ? socket.bytes.subarray(head - 4, head) : undefined
      if (zeroKey) expect(key).toEqual(Buffer.alloc(4))
      expect(hex(socket.bytes)).toBe(hex(frame({ opcode: BINARY, payload: whole, key })))
      expect([sent, writer.bufferedAmount, left.at(-1)]).toEqual([1, 0, 0])
    }
  })

  it('writes what ws and our own reader read, in order, small and large mixed', async () => {
    const { socket, writer } = setUp(style)
    const payloads = [...SIZES, ...SIZES.toReversed()].map((bytes, i) => pattern(bytes, i))
    for (const [i, payload] of payloads.entries()) {
      writer.frame(BINARY, [payload.subarray(0, 24), payload.subarray(24)])
      if (i % 3 === 0) writer.frame(PING, [Uint8Array.of(i)])
      if (i % 5 === 0) await turn()
    }
    writer.frame(CLOSE, [Uint8Array.of(3, 0xe8), Buffer.from('bye')])
    await turns()
    const expected = payloads.flatMap((payload, i) => [
      `message ${hex(payload)}`,
      ...(i % 3 === 0 ? [`ping ${hex(Uint8Array.of(i))}`] : []),
    ])
    const reading = { told: [...expected, 'close 1000 bye'], status: undefined }
    expect(readWithWs([socket.bytes], { masked: isMasked })).toEqual(reading)
    expect(read([socket.bytes], { masked: isMasked })).toEqual(reading)
  })

  it('lets the small frames of one turn leave in one write', async () => {
    const { socket, writer } = setUp(style)
    for (let i = 0; i < 20; i += 1) writer.frame(BINARY, [Uint8Array.of(i)])
    expect(socket.writes.length).toBe(0)
    await turns()
    expect(socket.writes.map((chunks) => chunks.length)).toEqual([1])
    writer.frame(BINARY, [Uint8Array.of(1)])
    await turns()
    expect(socket.writes.length).toBe(2)
  })

  it('lets them leave at once on flush(), ahead of a large frame, and when there are many', () => {
    for (const leave of [
      (writer: FrameWriter) => writer.flush(),
      (writer: FrameWriter) => writer.frame(BINARY, [pattern(10_000)]),
      (writer: FrameWriter) => {
        for (let i = 0; i < 9; i += 1) writer.frame(BINARY, [pattern(2_000)])
      },
    ]) {
      const { socket, writer } = setUp(style, true)
      writer.frame(PING, [])
      leave(writer)
      expect(socket.writes[0]?.[0]?.[0]).toBe(0x80 | PING)
    }
  })

  it('never changes what was given to the socket before it has left', async () => {
    const { socket, writer } = setUp(style, true)
    const copies: Buffer[] = []
    for (let i = 0; i < 60; i += 1) {
      writer.frame(BINARY, [pattern([5, 3_000, 6_000, 70_000][i % 4] ?? 0, i)])
      if (i % 7 === 0) await turn()
      const [first] = socket.writes[0] ?? []
      if (first !== undefined && copies.length === 0) copies.push(Buffer.from(first))
    }
    expect(Buffer.compare(socket.writes[0]?.[0] ?? Buffer.alloc(0), copies[0] ?? Buffer.alloc(1))).toBe(0)
    while (writer.bufferedAmount > 0) {
      await socket.letGo()
      await turn()
    }
    const reading = readWithWs([socket.bytes], { masked: isMasked })
    expect(reading.told).toEqual(
      Array.from({ length: 60 }, (_, i) => `message ${hex(pattern([5, 3_000, 6_000, 70_000][i % 4] ?? 0, i))}`),
    )
  })

  it('counts whole frames in bufferedAmount until they have left, and tells of it', async () => {
    const { socket, writer, left } = setUp(style, true)
    const sizes = [10, 10_000, 100_000]
    for (const bytes of sizes) writer.frame(BINARY, [pattern(bytes)])
    const whole = sizes.reduce((sum, bytes) => sum + bytes + headerBytes(bytes, isMasked), 0)
    expect(writer.bufferedAmount).toBe(whole)
    await turns()
    expect([writer.bufferedAmount, left.length]).toEqual([whole, 0])
    while (writer.bufferedAmount > 0) await socket.letGo()
    expect(left.at(-1)).toBe(0)
    expect(left).toEqual(left.toSorted((a, b) => b - a))
  })

  it('calls sent once for each frame and in their order, whatever is large or small among them', async () => {
    const { socket, writer } = setUp(style, true)
    const sent: number[] = []
    let frames = 0
    const add = (bytes: number): void => {
      const i = frames
      frames += 1
      writer.frame(BINARY, [pattern(24), pattern(bytes)], () => {
        sent.push(i)
        // what is sent from within comes behind all before
        if (i % 10 === 0 && i < 100) add(i % 20 === 0 ? 3 : 5_000)
      })
    }
    for (const bytes of [5_000, 1, 1, 5_000, 4_070, 1, 100_000, 1]) {
      add(bytes)
      await turn()
    }
    for (let i = 0; i < 100; i += 1) add([1, 5_000, 3_000, 1][i % 4] ?? 0)
    while (writer.bufferedAmount > 0) {
      await socket.letGo()
      await turn()
    }
    expect(frames).toBeGreaterThan(108)
    expect(sent).toEqual(Array.from({ length: frames }, (_, i) => i))
  })

  it('calls sent for every frame, and counts to zero, when the socket fails or has failed', async () => {
    for (const failedBefore of [false, true]) {
      const { socket, writer } = setUp(style, true)
      socket.on('error', () => {})
      const sent: number[] = []
      if (failedBefore) socket.destroy()
      for (let i = 0; i < 12; i += 1) {
        writer.frame(BINARY, [pattern([1, 5_000, 300_000][i % 3] ?? 0)], () => sent.push(i))
        if (i === 5) await turn()
      }
      socket.destroy(new Error('gone'))
      await turns()
      writer.flush()
      await turns()
      expect(sent).toEqual(Array.from({ length: 12 }, (_, i) => i))
      expect(writer.bufferedAmount).toBe(0)
    }
  })
})

describe('FrameWriter', () => {
  it('hands large parts on without copying them, and says when they have left', async () => {
    const { socket, writer } = setUp({ masked: false }, true)
    const body = pattern(MIB)
    let sent = 0
    writer.frame(BINARY, [Uint8Array.of(1), body], () => (sent += 1))
    await turns()
    expect(socket.writes.flat().some((chunk) => chunk.buffer === body.buffer)).toBe(true)
    expect(sent).toBe(0)
    await socket.letGo()
    await socket.letGo()
    expect(sent).toBe(1)
  })

  it('masks a copy: what it was given stays as it is, and is free at once', async () => {
    const { socket, writer } = setUp(CLIENT, true)
    const body = pattern(100_000)
    let sent = 0
    writer.frame(BINARY, [body], () => (sent += 1))
    expect(sent).toBe(1)
    expect(Buffer.compare(body, pattern(100_000))).toBe(0)
    body.fill(0)
    await socket.letGo()
    expect(hex(masked(socket.bytes.subarray(14), socket.bytes.subarray(10, 14)))).toBe(hex(pattern(100_000)))
  })

  it.each([
    ['a server over TLS', { masked: false, joined: true }],
    ['a client that shares TLS', { masked: true, zeroKey: true, joined: true }],
  ])('writes each large frame of %s as one piece, and is free of what it was given', async (_name, style) => {
    const { socket, writer } = setUp(style, true)
    const body = pattern(300_000)
    let sent = 0
    writer.frame(BINARY, [Uint8Array.of(1), body], () => (sent += 1))
    expect(sent).toBe(1)
    body.fill(0)
    await turns()
    expect(socket.writes.map((pieces) => pieces.length)).toEqual([1])
    await socket.letGo()
    expect(socket.bytes.subarray(-300_000).equals(pattern(300_000))).toBe(true)
  })

  it('hands large parts on with a key of zeros too, where nothing joins them', async () => {
    const { socket, writer } = setUp({ masked: true, zeroKey: true }, true)
    const body = pattern(100_000)
    writer.frame(BINARY, [Uint8Array.of(1), body])
    await turns()
    expect(socket.writes.flat().some((chunk) => chunk.buffer === body.buffer)).toBe(true)
  })

  const COPIES = [
    ['the memory for masking', maskMemory(), 0],
    ['the pool where that is used up', blockPool, Number.POSITIVE_INFINITY],
  ] as const

  it.each(COPIES)('gives the copy back to %s when it has left, not before', async (_name, owner, inUse) => {
    const blocks = maskBlocks(inUse)
    const give = vi.fn<(view: Uint8Array) => void>()
    vi.spyOn(owner, 'give').mockImplementation(give)
    const { socket, writer } = setUp(CLIENT, true)
    for (let i = 0; i < 3; i += 1) writer.frame(BINARY, [pattern(50_000)])
    await turns()
    expect(give).not.toHaveBeenCalled()
    await socket.letGo()
    expect(give).toHaveBeenCalledTimes(1)
    await socket.letGo()
    await turns()
    expect(give).toHaveBeenCalledTimes(3)
    const given = give.mock.calls.map(([view]) => view)
    expect(new Set(given.map((view) => (owner === blockPool ? view.buffer : view.byteOffset))).size).toBe(3)
    vi.restoreAllMocks()
    for (const block of owner === blockPool ? blocks : given) maskMemory().give(block)
  })

  it('masks each frame with another key, over thousands of frames', async () => {
    const { socket, writer } = setUp(CLIENT)
    const keys = new Set<string>()
    for (let i = 0; i < 3_000; i += 1) writer.frame(BINARY, [])
    await turns()
    for (let at = 0; at < socket.bytes.byteLength; at += 6) keys.add(hex(socket.bytes.subarray(at + 2, at + 6)))
    // by chance alone two of 3,000 are alike once in a thousand runs
    expect(keys.size).toBeGreaterThan(2_995)
  })
})
