import { describe, expect, it } from 'vitest'
import { WorkingSet } from './working-set.js'

const KIB = 1_024
const PART_BYTES = 10 * KIB

describe('WorkingSet', () => {
  it('counts a piece of memory once, however often it is written', () => {
    const set = new WorkingSet(PART_BYTES)
    const memory = new Uint8Array(8 * KIB)
    for (let time = 0; time < 3; time += 1) set.touch(memory, 0, 2 * KIB)
    set.touch(memory, KIB, 2 * KIB)
    expect(set.kib).toBe(3)
  })

  it('finds the same memory through another view of it', () => {
    const set = new WorkingSet(PART_BYTES)
    const memory = new Uint8Array(8 * KIB)
    set.touch(memory, 4 * KIB, KIB)
    set.touch(memory.subarray(3 * KIB), KIB, KIB)
    expect(set.kib).toBe(1)
  })

  it('tells buffers apart', () => {
    const set = new WorkingSet(PART_BYTES)
    for (let i = 0; i < 5; i += 1) set.touch(new Uint8Array(KIB), 0, KIB)
    expect(set.kib).toBe(5)
  })

  it('counts both pieces that a write across their border touches', () => {
    const set = new WorkingSet(PART_BYTES)
    set.touch(new Uint8Array(4 * KIB), KIB / 2, KIB)
    expect(set.kib).toBe(2)
  })

  it('leaves out small writes', () => {
    const set = new WorkingSet(PART_BYTES)
    set.touch(new Uint8Array(KIB), 0, 511)
    expect(set.kib).toBe(0)
    set.touch(new Uint8Array(KIB), 0, 512)
    expect(set.kib).toBe(1)
  })

  it('gives the median of the complete parts, each of which counts memory anew', () => {
    const set = new WorkingSet(PART_BYTES)
    const memory = new Uint8Array(64 * KIB)
    for (const kib of [4, 1, 2]) {
      set.touch(memory, 0, kib * KIB)
      set.moved(PART_BYTES - 1)
      set.moved(1)
    }
    set.touch(memory, 0, 64 * KIB)
    set.moved(PART_BYTES - 1)
    expect([set.kibOfPart, set.kib]).toEqual([2, 64])
  })

  it('counts from zero after a reset, the memory of before included', () => {
    const set = new WorkingSet(PART_BYTES)
    const memory = new Uint8Array(8 * KIB)
    set.touch(memory, 0, 8 * KIB)
    set.moved(PART_BYTES)
    set.reset()
    expect([set.kib, set.kibOfPart]).toEqual([0, 0])
    set.touch(memory, 0, 2 * KIB)
    set.moved(PART_BYTES)
    expect([set.kib, set.kibOfPart]).toEqual([2, 2])
  })
})
