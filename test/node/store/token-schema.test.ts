import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Migration } from '../../../src/node/store/token-schema.js'
import { MIGRATIONS } from '../../../src/node/store/token-schema.js'
import { forwardRecord } from '../../contract/token-store.js'
import { DataDirectory, LogLines } from './data-directory.js'

const RECORDS = [1, 2, 3].map((n) => forwardRecord(n))

/** What a version before this one knew. */
const BEFORE = { migrations: [] as const }

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
      expect.stringMatching(/^info store\.migrated path=.*tokens\.db from=2 to=3 copy=.*tokens\.db\.v2-\d{8}T\d{9}Z$/),
    ])
    expect(await data.use((store) => store.load(), { migrations })).toHaveLength(4)
    expect(await data.use((store) => store.load(), { migrations })).toHaveLength(4)
    const names = await copies()
    expect(names).toEqual([expect.stringMatching(/\.v2-/), expect.stringMatching(/\.v3-/)])
    if (process.platform === 'win32') return
    for (const name of names) expect((await stat(join(data.directory, name))).mode & 0o777).toBe(0o600)
  })

  it('leave a copy that the version before can use', async () => {
    await data.use(async () => {}, { migrations: [...MIGRATIONS, addColumn] })
    await expect(data.open()).rejects.toMatchObject({ code: 'ERR_STORE', message: /newer version/ })
    const [copy = ''] = await copies()
    await writeFile(data.database, await readFile(join(data.directory, copy)))
    expect(await data.use((store) => store.load())).toEqual(RECORDS)
  })

  it('that fail leave everything to the version before, the steps that did not fail too', async () => {
    const before = await readFile(data.database)
    const opening = data.open({ migrations: [...MIGRATIONS, addColumn, failing] })
    await expect(opening).rejects.toMatchObject({
      code: 'ERR_STORE',
      message:
        /tokens\.db could not be brought from format 2 to 4 \(no such luck\): it is as it was; a copy is .*tokens\.db\.v2-/,
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

  it('bring a database of format 1 to 2 and keep a copy, which format 1 can use', async () => {
    await data.remove()
    data = await DataDirectory.make()
    await data.use((store) => store.write({ put: RECORDS }), BEFORE)
    expect(await data.use((store) => store.load())).toEqual(RECORDS)
    const names = await copies()
    expect(names).toEqual([expect.stringMatching(/^tokens\.db\.v1-/)])
    await writeFile(data.database, await readFile(join(data.directory, names[0] ?? '')))
    expect(await data.use((store) => store.load(), BEFORE)).toEqual(RECORDS)
  })

  it('make a version refuse a database with access rules that would read it without them', async () => {
    const rules = [{ addresses: ['10.0.0.0/8'] }]
    await data.use((store) => store.write({ put: [forwardRecord(4, { rules })], access: { dial: rules } }))
    await expect(data.open(BEFORE)).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: /newer version of LinkSocks \(it has format 2, and this one knows no later than 1\)/,
    })
    expect(await data.use((store) => store.loadAccess())).toEqual({ dial: rules })
  })
})
