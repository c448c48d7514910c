import { describe, expect, it } from 'vitest'
import { applyMask } from '../../../src/node/websocket/frame-mask.js'
import { pattern } from '../../contract/pattern.js'
import { KEY, masked } from './frames.js'

const MARGIN = 8

/** Bytes at an address that is `alignment` more than a multiple of four, with a margin on both sides. */
function place(bytes: Uint8Array, alignment: number): { inside: Uint8Array; whole: Uint8Array } {
  const whole = new Uint8Array(new ArrayBuffer(bytes.byteLength + 2 * MARGIN + 4)).fill(0xaa)
  const inside = whole.subarray(MARGIN + alignment, MARGIN + alignment + bytes.byteLength)
  inside.set(bytes)
  return { inside, whole }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe('applyMask', () => {
  it.each([0, 1, 2, 3])('does what section 5.3 says at alignment %d, for every length and phase', (alignment) => {
    for (let length = 0; length <= 300; length += 1) {
      const bytes = pattern(length, length + 1)
      for (const phase of [0, 1, 2, 3]) {
        const { inside, whole } = place(bytes, alignment)
        applyMask(inside, KEY, phase)
        if (!same(inside, masked(bytes, KEY, phase))) expect.fail(`length ${length}, phase ${phase}`)
        // nothing beside it was touched
        const rest = [...whole.subarray(0, MARGIN + alignment), ...whole.subarray(MARGIN + alignment + length)]
        if (rest.some((byte) => byte !== 0xaa)) expect.fail(`wrote beside it: length ${length}, phase ${phase}`)
      }
    }
  })

  it('takes a key from memory that is not aligned, and one that lies right before the bytes', () => {
    const bytes = pattern(1_000)
    for (const alignment of [0, 1, 2, 3]) {
      const memory = new Uint8Array(1_000 + MARGIN)
      const key = memory.subarray(alignment, alignment + 4)
      key.set(KEY)
      const inside = memory.subarray(alignment + 4, alignment + 1_004)
      inside.set(bytes)
      applyMask(inside, key)
      expect(same(inside, masked(bytes, KEY))).toBe(true)
      expect(same(key, KEY)).toBe(true)
    }
  })

  it('gives the bytes back when it is done twice, in parts of any size', () => {
    const bytes = pattern(200_003)
    const copy = Uint8Array.from(bytes)
    applyMask(copy, KEY)
    expect(same(copy, bytes)).toBe(false)
    let at = 0
    for (let part = 1; at < copy.byteLength; part = (part * 3 + 1) % 5_000) {
      applyMask(copy.subarray(at, at + part), KEY, at)
      at += part
    }
    expect(same(copy, bytes)).toBe(true)
  })
})
