import { describe, expect, it } from 'vitest'
import { BusyReaders } from '../../../src/mux/flow/busy-readers.js'
import { ManualClock } from '../../support/manual-clock.js'

describe('BusyReaders', () => {
  it('counts who took a window within the last 200 ms, each once', () => {
    const clock = new ManualClock()
    const readers = new BusyReaders(clock)
    const [a, b, c] = [{}, {}, {}]
    expect([readers.note(a), readers.note(a), readers.note(b)]).toEqual([1, 1, 2])
    clock.advance(150)
    expect(readers.note(c)).toBe(3)
    clock.advance(50)
    expect(readers.note(c)).toBe(1)
  })

  it('forgets who is gone', () => {
    const readers = new BusyReaders(new ManualClock())
    const gone = {}
    readers.note(gone)
    readers.forget(gone)
    readers.forget(gone)
    expect(readers.note({})).toBe(1)
  })
})
