import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type OpenOne, watchDescriptors } from '../../../src/node/system/descriptor-probe.js'
import { until } from '../../support/wait.js'

describe('watchDescriptors', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
  afterEach(() => void vi.useRealTimers())

  function watched() {
    const asked: ((code?: string) => void)[] = []
    const changes: boolean[] = []
    const open: OpenOne = (done) => void asked.push(done)
    const end = watchDescriptors((out) => changes.push(out), open)
    const answer = (code?: string): void => {
      vi.advanceTimersByTime(1_000)
      asked.shift()?.(code)
    }
    return { asked, changes, end, answer }
  }

  it.each(['EMFILE', 'ENFILE'])('says once that there is none left (%s), and once that there is again', (code) => {
    const { changes, answer } = watched()
    for (const found of [undefined, code, code, 'EACCES', undefined, code]) answer(found)
    expect(changes).toEqual([true, false, true])
  })

  it('asks for one at a time', () => {
    const { asked, answer } = watched()
    vi.advanceTimersByTime(5_000)
    expect(asked).toHaveLength(1)
    asked.shift()?.()
    answer()
    expect(asked).toHaveLength(0)
  })

  it('says nothing after its end', () => {
    const { asked, changes, end } = watched()
    vi.advanceTimersByTime(1_000)
    end()
    asked.shift()?.('EMFILE')
    vi.advanceTimersByTime(5_000)
    expect([changes, asked]).toEqual([[], []])
  })

  it('opens what every system has, and leaves nothing open', async () => {
    const changes: boolean[] = []
    const end = watchDescriptors((out) => changes.push(out))
    for (let turn = 0; turn < 3; turn += 1) {
      vi.advanceTimersByTime(1_000)
      await until(() => true)
    }
    end()
    expect(changes).toEqual([])
  })
})
