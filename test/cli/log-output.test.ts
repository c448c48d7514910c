import { describe, expect, it } from 'vitest'
import { LogOutput, MAX_WAITING_LOG_BYTES } from '../../src/cli/log-output.js'
import type { LineSink } from '../../src/cli/settings/terminal-sink.js'

/** A reader that takes nothing before it is told to. */
class StuckSink implements LineSink {
  taken = ''
  #waiting = ''
  #drained: (() => void)[] = []

  get writableLength(): number {
    return Buffer.byteLength(this.#waiting)
  }

  write(text: string): void {
    this.#waiting += text
  }

  once(_event: 'drain', listener: () => void): void {
    this.#drained.push(listener)
  }

  read(): void {
    this.taken += this.#waiting
    this.#waiting = ''
    for (const listener of this.#drained.splice(0)) listener()
  }
}

function setUp() {
  const sink = new StuckSink()
  const lost: number[] = []
  return { sink, lost, output: new LogOutput(sink, (lines) => lost.push(lines)) }
}

const LINE = `${'é'.repeat(512)}\n`

describe('LogOutput', () => {
  it('writes at once where nothing waits, whatever the length', () => {
    const { sink, output } = setUp()
    output.write('x'.repeat(MAX_WAITING_LOG_BYTES + 1))
    expect(sink.writableLength).toBe(MAX_WAITING_LOG_BYTES + 1)
  })

  it('holds lines up to the limit, loses the others, and says how many once the reader has caught up', () => {
    const { sink, lost, output } = setUp()
    const bytes = Buffer.byteLength(LINE)
    const fit = Math.floor(MAX_WAITING_LOG_BYTES / bytes)
    for (let i = 0; i < fit + 7; i += 1) output.write(LINE)
    expect(sink.writableLength).toBe(fit * bytes)
    expect(lost).toEqual([])
    sink.read()
    expect(lost).toEqual([7])
    output.write('next\n')
    sink.read()
    expect(sink.taken).toBe(`${LINE.repeat(fit)}next\n`)
    expect(lost).toEqual([7])
  })

  it('counts anew when the reader stands still again', () => {
    const { sink, lost, output } = setUp()
    for (let round = 1; round <= 2; round += 1) {
      output.write('x'.repeat(MAX_WAITING_LOG_BYTES))
      for (let i = 0; i < round; i += 1) output.write('lost\n')
      sink.read()
    }
    expect(lost).toEqual([1, 2])
  })

  it('writes to what says nothing of waiting', () => {
    let text = ''
    const output = new LogOutput({ write: (line: string) => (text += line) }, () => {})
    for (let i = 0; i < 3; i += 1) output.write('line\n')
    expect(text).toBe('line\n'.repeat(3))
  })
})
