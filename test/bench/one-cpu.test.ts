import { spawnSync } from 'node:child_process'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { cpusOf, firstCpu, oneCpuMissing, onOneCpu } from '../../bench/lib/one-cpu.mjs'

/** Where a process that is started now may run. */
function cpusOfChild(): string {
  const { stdout } = spawnSync('grep', ['Cpus_allowed_list', '/proc/self/status'], { encoding: 'utf8' })
  return stdout.split(/\s+/)[1] ?? ''
}

afterEach(() => vi.unstubAllEnvs())

describe('firstCpu', () => {
  it.each([
    ['0-1', '0'],
    ['2,4-7', '2'],
    ['11', '11'],
  ])('of %s is %s', (list, first) => {
    expect(firstCpu(list)).toBe(first)
  })
})

describe('onOneCpu', () => {
  it('gives one CPU to what is started meanwhile, and all of them afterwards, each time', async () => {
    const all = cpusOf(process.pid)
    for (let time = 0; time < 2; time += 1) {
      await onOneCpu(async (cpu) => {
        expect([cpu, cpusOfChild()]).toEqual([firstCpu(all), firstCpu(all)])
      })
      expect([cpusOf(process.pid), cpusOfChild()]).toEqual([all, all])
    }
  })

  it('gives all of them back when the action fails', async () => {
    const all = cpusOf(process.pid)
    await expect(onOneCpu(() => Promise.reject(new Error('a failure')))).rejects.toThrow('a failure')
    expect(cpusOf(process.pid)).toBe(all)
  })
})

describe('taskset', () => {
  it('is named when it is missing', () => {
    expect(oneCpuMissing()).toBeUndefined()
    vi.stubEnv('PATH', '/does/not/exist')
    expect(oneCpuMissing()).toBe('taskset is not installed: no rows on one core')
  })
})

describe('cpusOf', () => {
  it('is empty for a process that is gone', () => {
    expect(cpusOf(2 ** 30)).toBe('')
  })
})
