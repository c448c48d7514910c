import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm, stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { forwardRecord, LARGEST, recordId } from '../../contract/token-store.js'
import { DataDirectory } from '../../node/store/data-directory.js'
import { ROOT } from '../../project/support.js'
import { between, seeded } from '../fuzz/random.js'
import { mounted, withoutMount } from './own-mount.js'

const KILLS = 12

describe('the token database of a process that is killed', { timeout: 60_000 }, () => {
  let data: DataDirectory
  const children: ChildProcess[] = []
  beforeEach(async () => {
    data = await DataDirectory.make()
  })
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await data.remove()
  })

  /** A process that writes, and its lines. */
  function writer(first: number, count: number): { child: ChildProcess; lines: AsyncIterator<string> } {
    const args = ['test/faults/store/token-writer.mjs', data.directory, String(first), String(count)]
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() }
  }

  /** The number of the last write that was acknowledged before the process was killed. */
  async function killedAfter(first: number, writes: number): Promise<number> {
    const { child, lines } = writer(first, 100_000)
    const exit = once(child, 'exit')
    let last = -1
    for (let line = await lines.next(); !line.done; line = await lines.next()) {
      if (line.value !== 'open') last = Number(line.value)
      if (last - first >= writes) child.kill('SIGKILL')
    }
    expect(await exit).toEqual([null, 'SIGKILL'])
    return last
  }

  it('holds every write that was acknowledged, and none by half', async () => {
    const random = seeded(6)
    let next = 0
    for (let kill = 0; kill < KILLS; kill += 1) {
      const last = await killedAfter(next, between(random, 0, 60))
      const records = await data.use((store) => store.load())
      const held = new Map(records.map((record) => [Number(`0x${record.id}`), record]))
      const contents = [...held].map(([n, { token, username, password }]) => ({ n, token, username, password }))
      expect(contents).toEqual(
        [...held.keys()].map((n) => ({
          n,
          token: `token ${n} `.repeat(20),
          username: `user ${n}`,
          password: `password ${n}`,
        })),
      )
      expect(Array.from({ length: last + 1 }, (_, n) => n).filter((n) => !held.has(n))).toEqual([])
      // one write more may have reached the disk unacknowledged, whole
      const whole = [last, last + 1].map((n) => n - (n % 3) + 3)
      expect(whole).toContain(held.size)
      next = held.size
    }
    expect(next).toBeGreaterThan(100)
  })

  it('is free as soon as the process is gone, and refused until then', async () => {
    const { child, lines } = writer(0, 1_000_000)
    expect(await lines.next()).toMatchObject({ value: 'open' })
    await expect(data.open()).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/in use by process \d+ on /),
    })
    const second = writer(0, 1)
    expect((await second.lines.next()).value).toMatch(/^ERR_STORE .*tokens\.db is in use by process \d+ on .*: stop it/)
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
    await data.use((store) => store.write({ put: [forwardRecord(1)] }))
  })

  describe('in the middle of a transaction', () => {
    const RECORDS = Array.from({ length: 60 }, (_, n) => ({ ...LARGEST, id: recordId(n) }))

    beforeEach(async () => {
      await data.use((store) => store.write({ put: RECORDS }))
      const { size } = await stat(data.database)
      // a cache of one page: most of the changes reach the file before the transaction ends
      const script = `import Database from 'libsql'
        const database = new Database(process.argv[1])
        database.exec('PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; UPDATE token SET sealed = zeroblob(9000)')
        process.kill(process.pid, 'SIGKILL')`
      const args = ['--input-type=module', '--eval', script, data.database]
      const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'ignore' })
      expect(await once(child, 'exit')).toEqual([null, 'SIGKILL'])
      expect((await stat(data.database)).size).toBeGreaterThan(size)
      expect((await stat(`${data.database}-journal`)).size).toBeGreaterThan(0)
    })

    it('is as it was before', async () => {
      expect(await data.use((store) => store.load())).toStrictEqual(RECORDS)
    })

    it('is refused when the journal is lost', async () => {
      await rm(`${data.database}-journal`)
      await expect(data.open()).rejects.toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringMatching(/tokens\.db is damaged/),
      })
    })
  })
})

describe('the token database on a full disk', () => {
  /** Mounts a small file system that only this command sees. */
  it('keeps what it holds and goes on once there is room', { timeout: 60_000 }, async ({ skip }) => {
    const reason = withoutMount()
    skip(reason !== undefined, reason)
    const data = await DataDirectory.make()
    try {
      await mkdir(data.directory)
      const args = [...mounted('256k'), data.directory, process.execPath, 'test/faults/store/full-disk.mjs']
      const { stdout, stderr } = await promisify(execFile)('unshare', args, { cwd: ROOT })
      expect(stderr).toBe('')
      expect(JSON.parse(stdout)).toEqual({
        failure: { code: 'ERR_NOT_STORED', message: expect.stringMatching(/tokens\.db: /) },
        free: expect.any(Number),
        again: 'ERR_NOT_STORED',
        heldWhenFull: true,
        heldAfterStart: true,
        heldWithRoom: true,
      })
    } finally {
      await data.remove()
    }
  })
})
