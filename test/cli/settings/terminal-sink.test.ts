import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { TerminalSink } from '../../../src/cli/settings/terminal-sink.js'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

/** A terminal that takes so many bytes. */
function terminal(room: number) {
  const state = { room, text: '', broken: false }
  const sink = new TerminalSink((bytes) => {
    if (state.broken) throw Object.assign(new Error('gone'), { code: 'EIO' })
    if (state.room === 0) throw Object.assign(new Error('full'), { code: 'EAGAIN' })
    const part = bytes.subarray(0, state.room)
    state.room -= part.byteLength
    state.text += Buffer.from(part).toString()
    return part.byteLength
  })
  return { state, sink }
}

describe('TerminalSink', () => {
  it('writes before it returns, in pieces where the terminal takes no more', () => {
    const { state, sink } = terminal(100)
    sink.write('hello\n')
    expect([state.text, sink.writableLength]).toEqual(['hello\n', 0])
  })

  it('keeps what the terminal does not take, and its order, and goes on when that takes more', () => {
    const { state, sink } = terminal(4)
    const drained = vi.fn()
    sink.write('first\n')
    sink.write('second\n')
    sink.once('drain', drained)
    expect([state.text, sink.writableLength]).toEqual(['firs', 9])
    state.room = 3
    vi.advanceTimersByTime(100)
    expect([state.text, sink.writableLength]).toEqual(['first\ns', 6])
    expect(drained).not.toHaveBeenCalled()
    state.room = 1_000
    vi.advanceTimersByTime(100)
    expect([state.text, sink.writableLength]).toEqual(['first\nsecond\n', 0])
    expect(drained).toHaveBeenCalledTimes(1)
    sink.write('third\n')
    expect(drained).toHaveBeenCalledTimes(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('loses what a terminal that is gone does not take', () => {
    const { state, sink } = terminal(0)
    sink.write('lost\n')
    state.broken = true
    vi.advanceTimersByTime(100)
    expect(sink.writableLength).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
    sink.write('lost too\n')
    expect(sink.writableLength).toBe(0)
  })
})
