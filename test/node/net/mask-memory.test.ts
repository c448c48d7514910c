import { readFile } from 'node:fs/promises'
import { describe, expect, it, vi } from 'vitest'
import wabt from 'wabt'
import { MASK_BLOCK_BYTES, MASK_CODE, maskMemory } from '../../../src/node/net/mask-memory.js'
import { applyMask } from '../../../src/node/websocket/frame-mask.js'
import { FrameReader } from '../../../src/node/websocket/frame-reader.js'
import { pattern } from '../../contract/pattern.js'
import { frame, KEY, masked } from '../websocket/frames.js'

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe('the memory for masking', () => {
  it('runs what frame-mask.wat says', async () => {
    const text = await readFile('src/node/net/frame-mask.wat', 'utf8')
    const module = (await wabt()).parseWat('frame-mask.wat', text, { simd: true })
    expect(Buffer.from(module.toBinary({}).buffer).toString('base64')).toBe(MASK_CODE)
  })

  it('masks as section 5.3 says at every alignment, length and phase, and nothing beside it', () => {
    const memory = maskMemory()
    const block = memory.take()
    if (block === undefined) return expect.fail('no block is free')
    for (const alignment of [0, 1, 2, 3, 7, 15]) {
      for (let length = 0; length <= 300; length += 1) {
        const bytes = pattern(length, length + 1)
        for (const phase of [0, 1, 2, 3]) {
          const around = block.subarray(0, 400).fill(0xaa)
          const inside = around.subarray(16 + alignment, 16 + alignment + length)
          inside.set(bytes)
          expect(memory.holds(inside)).toBe(true)
          applyMask(inside, KEY, phase)
          if (!same(inside, masked(bytes, KEY, phase))) expect.fail(`length ${length}, phase ${phase}`)
          const beside = [...around.subarray(0, 16 + alignment), ...around.subarray(16 + alignment + length)]
          if (beside.some((byte) => byte !== 0xaa)) expect.fail(`wrote beside it: length ${length}, phase ${phase}`)
        }
      }
    }
    memory.give(block)
  })

  it('is read into from half a page on: blocks of the pool begin where pages do', () => {
    expect(maskMemory().readBuffer.byteOffset % 4_096).toBe(2_048)
  })

  it('gives out each block once, whole and apart from the others, until there is none', () => {
    const memory = maskMemory()
    const blocks: Uint8Array[] = []
    for (let block = memory.take(); block !== undefined; block = memory.take()) blocks.push(block)
    expect(blocks.length).toBe(8)
    blocks.forEach((block, i) => void block.fill(i + 1))
    blocks.forEach((block, i) => {
      expect([block.byteLength, block.every((byte) => byte === i + 1)]).toEqual([MASK_BLOCK_BYTES, true])
    })
    for (const block of blocks) memory.give(block)
    expect(memory.take()).toBe(blocks.at(-1))
    memory.give(blocks.at(-1) as Uint8Array)
  })

  it('unmasks frames where they were read, cut at every byte', () => {
    const payloads = [pattern(200, 1), pattern(70, 2), pattern(0), pattern(90, 3)]
    const wire = Buffer.concat(payloads.map((payload) => frame({ opcode: 2, payload, key: KEY })))
    for (let cut = 0; cut <= wire.byteLength; cut += 1) {
      const got: Uint8Array[] = []
      const reader = new FrameReader(true, {
        message: (data) => void got.push(data),
        ping: () => expect.fail('no ping was sent'),
        close: () => expect.fail('no close was sent'),
      })
      for (const part of [wire.subarray(0, cut), wire.subarray(cut)]) {
        const { readBuffer } = maskMemory()
        readBuffer.set(part)
        reader.push(readBuffer.subarray(0, part.byteLength))
        readBuffer.fill(0xee, 0, part.byteLength)
      }
      if (!same(Buffer.concat(got), Buffer.concat(payloads))) expect.fail(`cut at ${cut}`)
    }
  })

  it.each([
    ['there is no WebAssembly', undefined],
    [
      'it fails',
      {
        Memory: class {
          constructor() {
            throw new RangeError('could not allocate memory')
          }
        },
      },
    ],
  ])('is ordinary memory without blocks where %s', async (_name, WebAssembly) => {
    vi.resetModules()
    vi.stubGlobal('WebAssembly', WebAssembly)
    try {
      const memory = (await import('../../../src/node/net/mask-memory.js')).maskMemory()
      expect([memory.take(), memory.holds(memory.readBuffer)]).toEqual([undefined, false])
      const bytes = memory.readBuffer.subarray(1, 101).fill(1)
      const { applyMask: plain } = await import('../../../src/node/websocket/frame-mask.js')
      plain(bytes, KEY)
      expect(same(bytes, masked(new Uint8Array(100).fill(1), KEY))).toBe(true)
    } finally {
      vi.unstubAllGlobals()
    }
  })
})
