import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Fifo } from '../../src/streams/fifo.js'
import { collectGarbage } from '../support/garbage.js'

function filled(from: number, to: number, fifo = new Fifo<number>()): Fifo<number> {
  for (let item = from; item < to; item += 1) fifo.push(item)
  return fifo
}

function drain(fifo: Fifo<number>): readonly number[] {
  const items: number[] = []
  for (let item = fifo.shift(); item !== undefined; item = fifo.shift()) items.push(item)
  return items
}

const range = (from: number, to: number): readonly number[] => Array.from({ length: to - from }, (_, i) => from + i)

/** Objects that went through `fifo`, held by nothing else. */
function passThrough(fifo: Fifo<object>, count: number): readonly WeakRef<object>[] {
  const refs = Array.from({ length: count }, () => {
    const item = {}
    fifo.push(item)
    return new WeakRef(item)
  })
  for (let i = 0; i < count; i += 1) fifo.shift()
  return refs
}

describe('Fifo', () => {
  it('is empty before the first item', () => {
    const fifo = new Fifo<number>()
    expect([fifo.length, fifo.first, fifo.at(0), fifo.shift()]).toEqual([0, undefined, undefined, undefined])
    fifo.clear()
    expect(drain(filled(0, 3, fifo))).toEqual([0, 1, 2])
  })

  it.each([15, 16, 17, 10_000])('gives %d items back in order, and again after it was emptied', (count) => {
    const fifo = new Fifo<number>()
    for (let round = 0; round < 12; round += 1) {
      expect(filled(0, count, fifo).length).toBe(count)
      expect(drain(fifo)).toEqual(range(0, count))
      expect([fifo.length, fifo.first]).toEqual([0, undefined])
    }
  })

  it('grows in order while its items go round the end of the ring', () => {
    const fifo = filled(0, 16)
    for (let i = 0; i < 10; i += 1) fifo.shift()
    filled(16, 100, fifo)
    expect([fifo.first, fifo.at(1), fifo.at(89), fifo.at(90)]).toEqual([10, 11, 99, undefined])
    expect(drain(fifo)).toEqual(range(10, 100))
  })

  it('stays in order when a few items wait all the time', () => {
    const fifo = filled(0, 10)
    for (let i = 0; i < 100_000; i += 1) {
      fifo.push(10 + i)
      if (fifo.shift() !== i) expect.unreachable()
    }
    expect(drain(fifo)).toEqual(range(100_000, 100_010))
  })

  it('puts another item in the place of the oldest', () => {
    const fifo = filled(0, 3)
    fifo.shift()
    fifo.replaceFirst(7)
    expect(drain(fifo)).toEqual([7, 2])
  })

  it('forgets everything at clear(), and goes on', () => {
    const fifo = filled(0, 1_000)
    fifo.clear()
    expect([fifo.length, fifo.first, fifo.at(0), fifo.shift()]).toEqual([0, undefined, undefined, undefined])
    expect(drain(filled(5, 8, fifo))).toEqual([5, 6, 7])
  })

  it.each([1, 10, 1_000])('does not keep %d items alive that were taken', async (count) => {
    const fifo = new Fifo<object>()
    fifo.push({})
    const refs = passThrough(fifo, count)
    // what is left is the last one
    expect(fifo.length).toBe(1)
    await collectGarbage()
    expect(refs.filter((ref) => ref.deref() !== undefined).length).toBeLessThanOrEqual(1)
  })

  it('does what an array does, whatever the order of the steps', () => {
    const step = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: -40, max: -1 }), fc.constant(0))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const fifo = new Fifo<number>()
        let model: number[] = []
        let last = 0
        for (const count of steps) {
          if (count === 0) fifo.clear()
          if (count === 0) model = []
          for (let i = 0; i < count; i += 1) {
            fifo.push(last)
            model.push(last)
            last += 1
          }
          for (let i = 0; i > count; i -= 1) expect(fifo.shift()).toBe(model.shift())
          expect([fifo.length, fifo.first, fifo.at(model.length - 1)]).toEqual([model.length, model[0], model.at(-1)])
        }
        expect(drain(fifo)).toEqual(model)
      }),
    )
  })
})
