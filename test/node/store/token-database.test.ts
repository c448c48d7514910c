import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import type { LeftGrowth } from '../../../src/handover.js'
import { readOwner } from '../../../src/node/store/store-owner.js'
import { checkOwned } from '../../../src/node/store/token-database.js'
import type { TokenStore } from '../../../src/ports.js'
import { forwardRecord, LARGEST, recordId, tokenStoreContract } from '../../contract/token-store.js'
import { DataDirectory, LogLines } from './data-directory.js'

const KEY = 'ab'.repeat(32)
const POSIX = process.platform !== 'win32'

tokenStoreContract('the database', async () => {
  const data = await DataDirectory.make()
  return { store: await data.open(), reopen: () => data.open(), cleanup: () => data.remove() }
})

describe('openTokenDatabase()', () => {
  let data: DataDirectory
  beforeEach(async () => {
    data = await DataDirectory.make()
  })
  afterEach(async () => {
    await data.remove()
  })

  const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

  it('makes a directory and files for their owner alone, whatever the umask', async () => {
    const umask = process.umask(0)
    try {
      const directory = join(data.parent, 'a', 'b')
      const store = await data.open({ directory })
      await store.write({ put: [forwardRecord(1)] })
      expect(store.durable).toBe(true)
      if (!POSIX) return
      for (const made of [join(data.parent, 'a'), directory]) expect(await mode(made)).toBe(0o700)
      for (const name of ['tokens.db', 'tokens.db-journal', 'data.key']) {
        expect(await mode(join(directory, name)), name).toBe(0o600)
      }
    } finally {
      process.umask(umask)
    }
  })

  it('lets others see with what key it can be opened, without the key', async () => {
    const store = await data.open({ key: KEY })
    const { directory } = data
    const owner = (await readOwner(directory)) ?? {}
    await checkOwned(owner, { directory, key: KEY })
    // it is not said, or there is no key to look at
    await checkOwned({}, { directory, key: 'cd'.repeat(32) })
    await checkOwned(owner, { directory })
    await checkOwned({ keyCheck: 'damaged' }, { directory, key: KEY })
    await expect(checkOwned(owner, { directory, key: 'cd'.repeat(32) })).rejects.toMatchObject({
      ...{ code: 'ERR_STORE', message: expect.stringMatching(/^the key does not fit .*tokens\.db, /) },
    })
    await store.close()
  })

  it('leaves the database and the key in the directory and nothing else', async () => {
    await mkdir(data.directory)
    // of servers that were killed at their first start
    for (const name of [
      'tokens.db.new-0123456789abcdef',
      'data.key.new-0123456789abcdef',
      'other.new-0123456789abcdef',
    ]) {
      await writeFile(join(data.directory, name), '')
    }
    await data.use((store) => store.write({ put: [forwardRecord(1)] }))
    expect([...(await data.files()).keys()]).toEqual(['data.key', 'other.new-0123456789abcdef', 'tokens.db'])
  })

  it('warns of a directory or a key file that others may read', async () => {
    if (!POSIX) return
    const { lines, log } = new LogLines()
    await data.use(async () => {}, { log })
    expect(lines.filter((line) => line.startsWith('warn'))).toEqual([])
    await chmod(data.directory, 0o755)
    await chmod(data.keyFile, 0o640)
    await data.use(async () => {}, { log })
    expect(lines.filter((line) => line.startsWith('warn'))).toEqual([
      `warn store.readable-by-others path=${data.directory}`,
      `warn store.readable-by-others path=${data.keyFile}`,
    ])
  })

  it('refuses a second store on one directory until the first is closed', async () => {
    const first = await data.open()
    await first.write({ put: [forwardRecord(1)] })
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await expect(data.open()).rejects.toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringMatching(
          new RegExp(
            `^${data.database} is in use by process ${process.pid} on \\S+ \\(LinkSocks \\S+, since \\S+Z\\): stop it, or`,
          ),
        ),
      })
    }
    await first.write({ put: [forwardRecord(2)] })
    await first.close()
    expect(await data.use((store) => store.load())).toHaveLength(2)
  })

  it('lets one of several first starts at once have the directory, with one key', async () => {
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => data.open()))
    const stores = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    expect(stores).toHaveLength(1)
    for (const error of errors)
      expect(error).toMatchObject({ code: 'ERR_STORE', message: expect.stringMatching(/in use/) })
    await stores[0]?.write({ put: [forwardRecord(1)] })
    await stores[0]?.close()
    expect(await data.use((store) => store.load())).toHaveLength(1)
    expect([...(await data.files()).keys()]).toEqual(['data.key', 'tokens.db'])
  })

  it('keeps no secret readable in any file, during and after each kind of write', async () => {
    const secrets = ['token-SECRET-1', 'user-SECRET-2', 'password-SECRET-3', 'label-SECRET-4', 'reverse-SECRET-5']
    const [token = '', username = '', password = '', label = '', reverseToken = ''] = secrets
    const record = forwardRecord(1, { token, username, password, label, reverseToken })
    const hash = createHash('sha256').update(token).digest()
    const forms = [...secrets, hash.toString('hex'), hash.toString('base64'), 'SECRET', hash]
    const look = async (): Promise<void> => {
      for (const [name, bytes] of await data.files()) {
        for (const form of forms) expect(bytes.includes(form), `${name}: ${form}`).toBe(false)
        expect(bytes.toString('latin1').replaceAll('\0', ''), name).not.toMatch(/SECRET/i)
      }
    }
    const store = await data.open()
    await store.write({ put: [record, ...Array.from({ length: 40 }, (_, n) => ({ ...record, id: recordId(n + 2) }))] })
    expect((await data.files()).has('tokens.db-journal')).toBe(true)
    await look()
    await store.write({ put: [{ ...record, label: 'other' }] })
    await look()
    await store.write({ remove: [record.id] })
    await look()
    await store.close()
    await look()
  })

  it('seals the same record differently each time', async () => {
    const sealed = async (): Promise<string> => {
      await data.use((store) => store.write({ put: [LARGEST] }))
      return (await data.files()).get('tokens.db')?.toString('hex') ?? ''
    }
    const all = new Set([await sealed(), await sealed(), await sealed()])
    expect(all.size).toBe(3)
  })

  it('says what can not be opened and why', async () => {
    await writeFile(data.directory, 'a file')
    await expect(data.open()).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: new RegExp(`^can't open ${data.database}: E(EXIST|NOTDIR)`),
    })
    await expect(data.open({ directory: join(data.directory, 'below') })).rejects.toMatchObject({ code: 'ERR_STORE' })
  })

  it('does not load the engine before the first database is opened', async () => {
    const script = `await import('./dist/index.js'); await import('./dist/node/store/token-database.js')
      const loaded = () => process.report.getReport().sharedObjects.some((name) => name.includes('libsql'))
      console.log(loaded())`
    const args = ['--input-type=module', '--eval', script]
    expect(await promisify(execFile)(process.execPath, args)).toEqual({ stdout: 'false\n', stderr: '' })
  })

  describe('with a full disk', () => {
    /** Writes records until one fails. */
    async function fill(store: Awaited<ReturnType<DataDirectory['open']>>): Promise<number> {
      for (let n = 1; n < 1_000; n += 1) {
        try {
          await store.write({ put: [{ ...LARGEST, id: recordId(n) }] })
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(LinkSocksError)
          expect(thrown).toMatchObject({
            code: 'ERR_NOT_STORED',
            message: expect.stringMatching(/tokens\.db: database or disk is full/),
          })
          return n - 1
        }
      }
      throw new Error('never full')
    }

    it('throws ERR_NOT_STORED, holds what it held, and goes on once there is room', async () => {
      const store = await data.open({ maxPages: 20 })
      const count = await fill(store)
      expect(count).toBeGreaterThan(10)
      expect(await store.load()).toHaveLength(count)
      await expect(fill(store)).resolves.toBe(count)
      // half of such a write would fit
      const two = [
        forwardRecord(5_000, { label: 'x'.repeat(10) }),
        { ...LARGEST, id: recordId(5_001), label: 'x'.repeat(9_000) },
      ]
      await expect(store.write({ put: two, remove: [recordId(1)] })).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
      expect(await store.load()).toHaveLength(count)
      await store.write({ remove: Array.from({ length: 8 }, (_, n) => recordId(n + 1)) })
      await store.write({ put: [{ ...LARGEST, id: recordId(9_000) }] })
      await store.close()
      const ids = (await data.use((again) => again.load())).map(({ id }) => id)
      expect(ids).toEqual([...Array.from({ length: count - 8 }, (_, n) => recordId(n + 9)), recordId(9_000)])
    })

    it('starts', async () => {
      const count = await data.use(fill, { maxPages: 20 })
      expect(await data.use((store) => store.load(), { maxPages: 20 })).toHaveLength(count)
    })
  })

  describe('to the process after one that drains', () => {
    const IDLE = { clients: 0, streams: 0 }
    const ID = recordId(1)
    const used = (up: number) => ({ since: 0, total: [up, 0] as const, days: {}, months: {} })

    /** A token, and what its counters grew by in a process that has ended. */
    async function leaveGrowth(): Promise<void> {
      await data.use(async (store) => {
        await store.write({ put: [forwardRecord(1)] })
        const record = await (await store.handover())?.beginDrain(Date.now() + 60_000, IDLE)
        await store.close()
        await record?.leave({ [ID]: { total: [20, 0], days: {}, months: {} } }, true)
        await record?.end()
      })
    }

    const left = async (store: TokenStore): Promise<readonly LeftGrowth[]> =>
      (await (await store.handover())?.left()) ?? []

    it('gives once what was left, though the process that took it was killed before it removed it', async () => {
      await leaveGrowth()
      await data.use(async (store) => {
        const [one, ...more] = await left(store)
        expect([await one?.read(), more]).toEqual([{ [ID]: { total: [20, 0], days: {}, months: {} } }, []])
        await store.write({ usage: { [ID]: used(20) }, taken: one?.name })
      })
      await data.use(async (store) => {
        expect(await left(store)).toEqual([])
        expect((await store.loadUsage()).get(ID)).toEqual(used(20))
      })
      expect([...(await data.files()).keys()].filter((name) => name.startsWith('usage-'))).toEqual([])
    })

    it('gives it again where the disk was full when it was to be written', async () => {
      await leaveGrowth()
      await data.use(
        async (store) => {
          const [one] = await left(store)
          const put = Array.from({ length: 40 }, (_, n) => ({ ...LARGEST, id: recordId(8_000 + n) }))
          const change = store.write({ put, usage: { [ID]: used(20) }, taken: one?.name })
          await expect(change).rejects.toMatchObject({ code: 'ERR_NOT_STORED' })
          expect(await left(store)).toHaveLength(1)
        },
        { maxPages: 20 },
      )
      await data.use(async (store) => {
        expect([await left(store), (await store.loadUsage()).get(ID)]).toMatchObject([[{}], undefined])
      })
    })

    it('gives nothing of a process with another key', async () => {
      await leaveGrowth()
      const [name = ''] = [...(await data.files()).keys()].filter((each) => each.startsWith('usage-'))
      const foreign = await readFile(join(data.directory, name))
      const other = await DataDirectory.make()
      await other.use((store) => store.write({ put: [forwardRecord(1)] }))
      await writeFile(join(other.directory, name), foreign)
      await other.use(async (store) => {
        const [one] = await left(store)
        await expect(one?.read()).rejects.toMatchObject({ code: 'ERR_STORE' })
        expect(await left(store)).toEqual([])
      })
      expect((await other.files()).get(`${name}.damaged`)).toEqual(foreign)
      await other.remove()
    })
  })

  describe('when its file goes away under it', () => {
    it('throws ERR_NOT_STORED while the file is elsewhere, and goes on when it is back', async () => {
      // an open file can't be moved there
      if (!POSIX) return
      const store = await data.open()
      await store.write({ put: [forwardRecord(1)] })
      const elsewhere = join(data.parent, 'elsewhere')
      await rename(data.directory, elsewhere)
      const gone = store.write({ put: [forwardRecord(2)] })
      await expect(gone).rejects.toMatchObject({
        code: 'ERR_NOT_STORED',
        message: expect.stringMatching(/the file is gone/),
      })
      await mkdir(data.directory)
      await writeFile(join(data.directory, 'tokens.db'), 'another')
      const other = store.write({ put: [forwardRecord(3)] })
      await expect(other).rejects.toMatchObject({
        code: 'ERR_NOT_STORED',
        message: expect.stringMatching(/another file has its place/),
      })
      await rm(data.directory, { recursive: true })
      await rename(elsewhere, data.directory)
      await store.write({ put: [forwardRecord(4)] })
      await store.close()
      const ids = (await data.use((again) => again.load())).map(({ id }) => id)
      expect(ids).toEqual([recordId(1), recordId(4)])
    })
  })

  describe('with keys', () => {
    it.each([
      ['hex digits', KEY, KEY.toUpperCase()],
      ['base64', Buffer.from(KEY, 'hex').toString('base64'), Buffer.from(KEY, 'hex').toString('base64').slice(0, -1)],
    ])('takes one as %s and makes no key file', async (_, key, same) => {
      await data.use((store) => store.write({ put: [forwardRecord(1)] }), { key })
      expect(await data.use((store) => store.load(), { key: same })).toHaveLength(1)
      expect(await data.use((store) => store.load(), { key: KEY })).toHaveLength(1)
      expect([...(await data.files()).keys()]).toEqual(['tokens.db'])
    })

    it.each([
      '',
      'short',
      KEY.slice(1),
      `${KEY}a`,
      'g'.repeat(64),
      `${KEY}\n`,
      'a'.repeat(42),
      '='.repeat(44),
      '-'.repeat(43),
    ])('refuses %j as a key, without repeating it', async (key) => {
      await expect(data.open({ key })).rejects.toMatchObject({
        code: 'ERR_OPTION',
        message: 'dataKey must be 32 bytes as 64 hex digits or base64, such as `openssl rand -hex 32` prints',
      })
      await expect(stat(data.directory)).rejects.toMatchObject({ code: 'ENOENT' })
    })
  })
})
