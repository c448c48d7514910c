import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OWNER_FILE } from '../../../src/node/store/store-owner.js'
import type { Migration } from '../../../src/node/store/token-schema.js'
import { MIGRATIONS } from '../../../src/node/store/token-schema.js'
import { ownIdentity } from '../../../src/node/system/process-identity.js'
import { forwardRecord } from '../../contract/token-store.js'
import { DataDirectory, LogLines } from './data-directory.js'

const RECORDS = [1, 2, 3].map((n) => forwardRecord(n))

/** What a version knew whose latest format was this one. */
const knowing = (format: number) => ({ migrations: MIGRATIONS.slice(0, format - 1) })

const addColumn: Migration = (database) => database.exec('ALTER TABLE token ADD COLUMN note TEXT')
const addIndex: Migration = (database) => database.exec('CREATE INDEX by_note ON token (note)')
const failing: Migration = (database) => {
  database.exec('DELETE FROM token; DROP TABLE meta')
  throw new Error('no such luck')
}

describe('migrations of the database', () => {
  let data: DataDirectory
  beforeEach(async () => {
    data = await DataDirectory.make()
    await data.use((store) => store.write({ put: RECORDS }))
  })
  afterEach(async () => {
    await data.remove()
  })

  const copies = async (): Promise<readonly string[]> =>
    [...(await data.files()).keys()].filter((name) => /^tokens\.db\.v/.test(name))

  it('are none for a database of the present version, and no copy is made', async () => {
    expect(await data.use((store) => store.load())).toEqual(RECORDS)
    expect(await copies()).toEqual([])
  })

  it('run in order after a copy was made, once', async () => {
    const { lines, log } = new LogLines()
    const migrations = [...MIGRATIONS, addColumn, addIndex]
    await data.use((store) => store.write({ put: [forwardRecord(4)] }), {
      migrations: [...MIGRATIONS, addColumn],
      log,
    })
    expect(lines.filter((line) => line.includes('store.migrated'))).toEqual([
      expect.stringMatching(/^info store\.migrated path=.*tokens\.db from=5 to=6 copy=.*tokens\.db\.v5-\d{8}T\d{9}Z$/),
    ])
    expect(await data.use((store) => store.load(), { migrations })).toHaveLength(4)
    expect(await data.use((store) => store.load(), { migrations })).toHaveLength(4)
    const names = await copies()
    expect(names).toEqual([expect.stringMatching(/\.v5-/), expect.stringMatching(/\.v6-/)])
    if (process.platform === 'win32') return
    for (const name of names) expect((await stat(join(data.directory, name))).mode & 0o777).toBe(0o600)
  })

  it('leave a copy that the version before can use', async () => {
    await data.use(async () => {}, { migrations: [...MIGRATIONS, addColumn] })
    await expect(data.open()).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/newer version/),
    })
    const [copy = ''] = await copies()
    await writeFile(data.database, await readFile(join(data.directory, copy)))
    expect(await data.use((store) => store.load())).toEqual(RECORDS)
  })

  it('that fail leave everything to the version before, the steps that did not fail too', async () => {
    const before = await readFile(data.database)
    const opening = data.open({ migrations: [...MIGRATIONS, addColumn, failing] })
    await expect(opening).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(
        /tokens\.db could not be brought from format 5 to 7 \(no such luck\): it is as it was; a copy is .*tokens\.db\.v5-/,
      ),
    })
    expect((await readFile(data.database)).equals(before)).toBe(true)
    expect(await copies()).toHaveLength(1)
    expect(await data.use((store) => store.load())).toEqual(RECORDS)
  })

  it('do not begin with another key, or a damaged file', async () => {
    await expect(data.open({ migrations: [...MIGRATIONS, addColumn], key: 'ab'.repeat(32) })).rejects.toThrow(
      /does not fit/,
    )
    const bytes = await readFile(data.database)
    await writeFile(data.database, bytes.subarray(0, -4_096))
    await expect(data.open({ migrations: [...MIGRATIONS, addColumn] })).rejects.toThrow(/damaged/)
    expect(await copies()).toEqual([])
  })

  it.each([1, 2, 3, 4])(
    'bring a database of format %i to 5 and keep a copy, which that format can use',
    async (format) => {
      const before = knowing(format)
      await data.remove()
      data = await DataDirectory.make()
      await data.use((store) => store.write({ put: RECORDS }), before)
      expect(await data.use((store) => store.load())).toEqual(RECORDS)
      const names = await copies()
      expect(names).toEqual([expect.stringMatching(new RegExp(`^tokens\\.db\\.v${format}-`))])
      await writeFile(data.database, await readFile(join(data.directory, names[0] ?? '')))
      expect(await data.use((store) => store.load(), before)).toEqual(RECORDS)
    },
  )

  it.skipIf(process.platform !== 'linux')(
    'make an older version refuse a database that another process has',
    async () => {
      await data.use(async () => {
        const opening = (): Promise<unknown> => data.open(knowing(4))
        await expect(opening()).rejects.toThrow(/in use/)
        const { start = '', ...own } = ownIdentity()
        const stat = await readFile(`/proc/${process.ppid}/stat`, 'latin1')
        const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
        const other = {
          ...own,
          pid: process.ppid,
          start: start.replace(/\d+$/, ticks ?? ''),
          version: '9.0.0',
          since: '',
        }
        await writeFile(join(data.directory, OWNER_FILE), JSON.stringify(other))
        await expect(opening()).rejects.toMatchObject({
          code: 'ERR_STORE',
          message: expect.stringContaining(
            'newer version of LinkSocks (it has format 5, and this one knows no later than 4)',
          ),
        })
        await expect(data.open()).rejects.toThrow(/in use/)
      })
    },
  )

  it('leave access rules of format 2 as they are', async () => {
    await data.remove()
    data = await DataDirectory.make()
    const record = forwardRecord(4, { rules: [{ addresses: ['10.0.0.0/8'] }] })
    await data.use((store) => store.write({ put: [record], access: { dial: record.rules } }), knowing(2))
    expect(await data.use((store) => store.load())).toEqual([record])
    expect(await data.use((store) => store.loadAccess())).toEqual({ dial: record.rules })
  })

  it.each([1, 2, 3, 4])('make version %i refuse a database that it would read without limits', async (format) => {
    const rules = [{ addresses: ['10.0.0.0/8'] }]
    const record = forwardRecord(4, { rules, policy: { egressDefault: 'deny' } })
    await data.use((store) => store.write({ put: [record], access: { dial: rules } }))
    await expect(data.open(knowing(format))).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining(
        `newer version of LinkSocks (it has format 5, and this one knows no later than ${format})`,
      ),
    })
    expect(await data.use((store) => store.load())).toEqual([...RECORDS, record])
    expect(await data.use((store) => store.loadAccess())).toEqual({ dial: rules })
  })
})
