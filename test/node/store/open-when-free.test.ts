import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { silentLogger } from '../../../src/log.js'
import { type OpenWhenFreeOptions, openWhenFree, STORE_RETRY_MS } from '../../../src/node/store/open-when-free.js'
import { nameOwner, OWNER_FILE } from '../../../src/node/store/store-owner.js'
import { ownIdentity } from '../../../src/node/system/process-identity.js'
import { ManualClock } from '../../support/manual-clock.js'
import { memoryFolder } from '../../support/memory-folder.js'
import { LogLines } from './data-directory.js'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(memoryFolder(), 'linksocks-free-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const inUse = (): LinkSocksError =>
  new LinkSocksError('ERR_STORE', 'in use', { cause: Object.assign(new Error('busy'), { rawCode: 5 }) })

/** Opens a store that is in use for the first `times` attempts; the clock goes on by the pause after each. */
function setUp(times: number, more: Partial<OpenWhenFreeOptions> = {}) {
  const clock = new ManualClock()
  const lines = new LogLines()
  const killed: number[] = []
  let attempts = 0
  const open = async (): Promise<string> => {
    attempts += 1
    if (attempts <= times) throw inUse()
    return 'store'
  }
  const options: OpenWhenFreeOptions = {
    ...{ directory, waitMs: 1_000, takeOver: false, log: lines.log, clock },
    kill: (pid) => void killed.push(pid),
    pause: async () => clock.advance(STORE_RETRY_MS),
    ...more,
  }
  return { result: () => openWhenFree(open, options), attempts: () => attempts, lines, killed, clock }
}

/** Another process in this place, which runs. */
async function nameOther(): Promise<void> {
  const { start = '' } = ownIdentity()
  const stat = readFileSync(`/proc/${process.ppid}/stat`, 'latin1')
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  const place = start.slice(0, start.lastIndexOf(' '))
  const owner = { pid: process.ppid, host: 'here', version: '1', since: 'now', start: `${place} ${ticks}` }
  await writeFile(join(directory, OWNER_FILE), JSON.stringify(owner))
}

describe('openWhenFree()', () => {
  it('opens what is free at once, without a line', async () => {
    const { result, lines } = setUp(0)
    expect(await result()).toBe('store')
    expect(lines.lines).toEqual([])
  })

  it('tries again until it is free, and says once what it waits for', async () => {
    await nameOwner(directory)
    const { result, attempts, lines, killed } = setUp(7)
    expect(await result()).toBe('store')
    expect([attempts(), killed]).toEqual([8, []])
    expect(lines.lines).toEqual([
      expect.stringMatching(
        new RegExp(`^info store.waiting path=${directory} owner=process ${process.pid} on .* limitMs=1000$`),
      ),
    ])
  })

  it('gives up after its time with what the last attempt said', async () => {
    const { result, attempts, clock } = setUp(1_000)
    await expect(result()).rejects.toMatchObject({ code: 'ERR_STORE', message: 'in use' })
    expect([attempts(), clock.now()]).toEqual([1_000 / STORE_RETRY_MS + 1, 1_000])
  })

  it('does not wait without time for it, or for anything but its end', async () => {
    const none = setUp(1, { waitMs: 0 })
    await expect(none.result()).rejects.toMatchObject({ message: 'in use' })
    expect(none.lines.lines).toEqual([])
    const damaged = new LinkSocksError('ERR_STORE', 'damaged')
    const failing = openWhenFree(() => Promise.reject(damaged), {
      ...{ directory, waitMs: 1_000, takeOver: true, log: silentLogger, clock: new ManualClock() },
    })
    await expect(failing).rejects.toBe(damaged)
  })

  it('ends with the signal, before and while it waits', async () => {
    const reason = new LinkSocksError('ERR_SHUTTING_DOWN', 'closed')
    const before = setUp(0, { signal: AbortSignal.abort(reason) })
    await expect(before.result()).rejects.toBe(reason)
    expect(before.attempts()).toBe(0)
    const ended = new AbortController()
    // the pause of the system
    const waiting = setUp(1_000, { signal: ended.signal, pause: undefined })
    const result = waiting.result()
    setImmediate(() => ended.abort(reason))
    await expect(result).rejects.toBe(reason)
  })

  describe.runIf(process.platform === 'linux')('to take over', () => {
    it('asks the owner to end once, however long that takes', async () => {
      await nameOther()
      const { result, killed, lines } = setUp(9, { takeOver: true })
      expect(await result()).toBe('store')
      expect(killed).toEqual([process.ppid])
      expect(lines.lines.map((line) => line.split(' ')[1])).toEqual(['store.waiting', 'store.take-over'])
    })

    it('asks an owner once, however many want to take over from it', async () => {
      await nameOther()
      const all = [1, 2, 3].map(() => setUp(9, { takeOver: true }))
      await Promise.all(all.map(({ result }) => result()))
      expect(all.flatMap(({ killed }) => killed)).toEqual([process.ppid])
      const said = all.flatMap(({ lines }) => lines.lines.map((line) => line.split(' ')[1])).sort()
      expect(said).toEqual([
        ...['store.asked-already', 'store.asked-already', 'store.take-over'],
        ...['store.waiting', 'store.waiting', 'store.waiting'],
      ])
    })

    it('asks each owner that comes in between', async () => {
      const killed: number[] = []
      await nameOther()
      const kill = (pid: number): void => {
        killed.push(pid)
        if (killed.length === 1) void writeFile(join(directory, OWNER_FILE), '')
      }
      let pauses = 0
      const pause = async (): Promise<void> => {
        pauses += 1
        if (pauses === 4) await nameOwner(directory)
      }
      const { result, lines } = setUp(9, { takeOver: true, kill, pause })
      await result()
      expect(killed).toEqual([process.ppid])
      // the second one is this process itself, which is not asked
      expect(lines.lines.map((line) => line.split(' ')[1])).toEqual([
        ...['store.waiting', 'store.take-over', 'store.no-take-over'],
      ])
    })

    it('signals nothing that only has the number, or runs elsewhere', async () => {
      const { start = '' } = ownIdentity()
      for (const owner of [
        { pid: process.ppid, host: 'here', version: '1', since: 'now', start },
        { pid: process.ppid, host: 'other', version: '1', since: 'now', start: 'another-boot pid:[1] 5' },
        { pid: process.ppid, host: 'here', version: '1', since: 'now' },
      ]) {
        await writeFile(join(directory, OWNER_FILE), JSON.stringify(owner))
        const { result, killed } = setUp(3, { takeOver: true })
        await result()
        expect(killed).toEqual([])
      }
    })

    it('waits on where the signal is not permitted', async () => {
      await nameOther()
      const kill = (): void => {
        throw Object.assign(new Error('no'), { code: 'EPERM' })
      }
      const { result, lines } = setUp(3, { takeOver: true, kill })
      expect(await result()).toBe('store')
      expect(lines.lines[1]).toMatch(/^warn store\.no-take-over .* reason=it belongs to another user$/)
      // another one may be permitted
      const permitted = setUp(3, { takeOver: true })
      await permitted.result()
      expect(permitted.killed).toEqual([process.ppid])
    })

    it('finds an owner that names itself only later', async () => {
      let pauses = 0
      const pause = async (): Promise<void> => {
        pauses += 1
        if (pauses === 2) await nameOther()
      }
      const { result, killed } = setUp(5, { takeOver: true, pause })
      await result()
      expect(killed).toEqual([process.ppid])
    })
  })
})
