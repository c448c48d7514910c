import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CLOSE_LIMIT_MS, runUntilEnded, type Service } from '../../src/cli/lifecycle.js'
import { LinkSocksError } from '../../src/errors.js'
import { silentLogger } from '../../src/log.js'
import { FakeIo } from './harness.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  // nothing may stay behind to keep the process alive
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

const never = <T>(): Promise<T> => new Promise(() => {})
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0)

function service(parts: Partial<Service> = {}): Service & { readonly closes: number } {
  let closes = 0
  return {
    start: async () => {},
    ended: undefined,
    ...parts,
    close: (drainMs) => {
      closes++
      return parts.close?.(drainMs) ?? Promise.resolve()
    },
    get closes() {
      return closes
    },
  }
}

describe('runUntilEnded', () => {
  it('keeps the process alive until a signal', async () => {
    const io = new FakeIo()
    const running = service()
    const started = vi.fn()
    const ended = runUntilEnded(running, io, silentLogger, started)
    await vi.advanceTimersByTimeAsync(100_000)
    expect(vi.getTimerCount()).toBe(1)
    expect([started.mock.calls.length, running.closes]).toEqual([1, 0])
    io.signal('SIGTERM')
    expect(await ended).toBeUndefined()
    expect(running.closes).toBe(1)
    expect(io.listeners.size).toBe(0)
  })

  it('closes when a signal comes while it starts', async () => {
    const io = new FakeIo()
    const running = service({ start: never })
    const started = vi.fn()
    const ended = runUntilEnded(running, io, silentLogger, started)
    await settle()
    io.signal()
    expect(await ended).toBeUndefined()
    expect([started.mock.calls.length, running.closes]).toEqual([0, 1])
  })

  it.each([
    ['SIGTERM', 3_000],
    ['SIGHUP', 3_000],
    ['SIGINT', 0],
    ['SIGQUIT', 0],
  ])('lets streams end by themselves on %s for %d ms', async (signal, expected) => {
    const io = new FakeIo()
    const waits: number[] = []
    const close = async (drainMs: number): Promise<void> => void waits.push(drainMs)
    const ended = runUntilEnded(service({ close, drainMs: 3_000 }), io, silentLogger)
    await settle()
    io.signal(signal)
    await ended
    expect(waits).toEqual([expected])
  })

  it('gives a close that waits for streams so much longer', async () => {
    const io = new FakeIo()
    const done = vi.fn()
    const ended = runUntilEnded(service({ close: never, drainMs: 3_000 }), io, silentLogger).then(done)
    await settle()
    io.signal('SIGTERM')
    await vi.advanceTimersByTimeAsync(CLOSE_LIMIT_MS + 2_999)
    expect(done).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    await ended
  })

  it('waits for an orderly close', async () => {
    const io = new FakeIo()
    let release = (): void => {}
    const close = (): Promise<void> =>
      new Promise((resolve) => {
        release = resolve
      })
    const done = vi.fn()
    const ended = runUntilEnded(service({ close }), io, silentLogger).then(done)
    await settle()
    io.signal()
    await vi.advanceTimersByTimeAsync(CLOSE_LIMIT_MS - 1)
    expect(done).not.toHaveBeenCalled()
    release()
    await ended
  })

  it('ends after CLOSE_LIMIT_MS even if the close hangs', async () => {
    const io = new FakeIo()
    const warn = vi.fn()
    const ended = runUntilEnded(service({ close: never }), io, { ...silentLogger, warn })
    await settle()
    io.signal()
    await vi.advanceTimersByTimeAsync(CLOSE_LIMIT_MS)
    expect(await ended).toBeUndefined()
    expect(warn).toHaveBeenCalledWith('cli.close-timeout', { limitMs: CLOSE_LIMIT_MS })
  })

  it('ends at once at a second signal, and takes more of them', async () => {
    const io = new FakeIo()
    const running = service({ close: () => new Promise((resolve) => setTimeout(resolve, 5_000)) })
    const ended = runUntilEnded(running, io, silentLogger)
    await settle()
    io.signal()
    await settle()
    io.signal()
    io.signal()
    expect(await ended).toBeUndefined()
    expect(running.closes).toBe(1)
    await vi.advanceTimersByTimeAsync(5_000)
  })

  it('returns the error that start() threw, after closing', async () => {
    const error = new LinkSocksError('ERR_LISTEN', 'in use')
    const running = service({ start: () => Promise.reject(error) })
    expect(await runUntilEnded(running, new FakeIo(), silentLogger)).toBe(error)
    expect(running.closes).toBe(1)
  })

  it('returns the error that ended it', async () => {
    const error = new LinkSocksError('ERR_LINK_LOST', 'gone')
    const running = service({ ended: Promise.resolve(error) })
    expect(await runUntilEnded(running, new FakeIo(), silentLogger)).toBe(error)
  })

  it('keeps that error when the close fails too', async () => {
    const error = new LinkSocksError('ERR_LINK_LOST', 'gone')
    const warn = vi.fn()
    const running = service({ ended: Promise.resolve(error), close: () => Promise.reject(new Error('stuck')) })
    expect(await runUntilEnded(running, new FakeIo(), { ...silentLogger, warn })).toBe(error)
    expect(warn).toHaveBeenCalledWith('cli.close-failed', { error: 'unexpected error: stuck' })
  })
})

describe('runUntilEnded, asked to read files again', () => {
  function reloading(reload: () => Promise<void>, parts: Partial<Service> = {}) {
    const io = new FakeIo()
    const lines: string[] = []
    const log = { ...silentLogger, info: (event: string) => void lines.push(event) }
    const running = { ...service(parts), reload }
    return { io, lines, ended: runUntilEnded(running, io, log) }
  }

  it('does so each time, says when it is done, and goes on', async () => {
    const done: (() => void)[] = []
    const { io, lines, ended } = reloading(() => new Promise((resolve) => done.push(resolve)))
    await settle()
    io.hangUp()
    await settle()
    expect([done.length, lines]).toEqual([1, ['cli.reloading']])
    done[0]?.()
    await settle()
    expect(lines).toEqual(['cli.reloading', 'cli.reloaded'])
    io.hangUp()
    done[1]?.()
    await settle()
    expect(lines).toEqual(['cli.reloading', 'cli.reloaded', 'cli.reloading', 'cli.reloaded'])
    io.signal()
    expect(await ended).toBeUndefined()
  })

  it('does so neither before it has started nor while it ends', async () => {
    const reload = vi.fn(async () => {})
    const waits: Record<string, () => void> = {}
    const wait = (name: string) => (): Promise<void> =>
      new Promise((resolve) => {
        waits[name] = resolve
      })
    const { io, ended } = reloading(reload, { start: wait('start'), close: wait('close') })
    await settle()
    io.hangUp()
    waits.start?.()
    await settle()
    expect(io.reloadListeners.size).toBe(1)
    io.signal()
    await settle()
    io.hangUp()
    expect([reload.mock.calls.length, io.reloadListeners.size]).toEqual([0, 0])
    waits.close?.()
    await ended
  })

  it('ends while files are read', async () => {
    const { io, ended } = reloading(never)
    await settle()
    io.hangUp()
    io.signal()
    expect(await ended).toBeUndefined()
  })

  it('listens for nothing where there is nothing to read, and needs nobody who asks', async () => {
    const io = new FakeIo()
    const ended = runUntilEnded(service(), io, silentLogger)
    await settle()
    expect(io.reloadListeners.size).toBe(0)
    io.signal()
    await ended
    const deaf = new FakeIo()
    Object.assign(deaf, { onReload: undefined })
    const other = runUntilEnded({ ...service(), reload: async () => {} }, deaf, silentLogger)
    await settle()
    deaf.signal()
    expect(await other).toBeUndefined()
  })
})
