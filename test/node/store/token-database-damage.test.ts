import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import Database from 'libsql'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TokenRecord } from '../../../src/ports.js'
import { forwardRecord, LARGEST, recordId } from '../../contract/token-store.js'
import { DataDirectory } from './data-directory.js'

const OTHER_KEY = 'cd'.repeat(32)
const RECORDS: readonly TokenRecord[] = [
  LARGEST,
  ...Array.from({ length: 30 }, (_, n) => forwardRecord(n, { label: 'l'.repeat(60) })),
]

describe('a damaged data directory', () => {
  let data: DataDirectory
  beforeEach(async () => {
    data = await DataDirectory.make()
    await data.use((store) => store.write({ put: RECORDS }))
  })
  afterEach(async () => {
    await data.remove()
  })

  /** Of every file. */
  async function sums(): Promise<readonly string[]> {
    const files = [...(await data.files())]
    return files.map(([name, bytes]) => `${name} ${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`)
  }

  /** Opening fails with a message that names the file, and changes nothing. */
  async function expectRefused(message: RegExp, options: { key?: string } = {}): Promise<void> {
    const before = await sums()
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const opening = data.open(options)
      await expect(opening).rejects.toMatchObject({ code: 'ERR_STORE', message })
      await expect(opening).rejects.toThrow(data.directory)
    }
    expect(await sums()).toEqual(before)
  }

  /** Changes the database as another program might. */
  function edit(sql: string): void {
    const database = new Database(data.database)
    database.exec(sql)
    database.close()
  }

  const ADVICE = 'put a backup in its place, or move it and .*tokens\\.db-journal away to begin without tokens$'

  it('with an empty database file', async () => {
    await truncate(data.database, 0)
    await expectRefused(new RegExp(`tokens\\.db is damaged \\(it is empty\\): ${ADVICE}`))
  })

  it.each([1, 50, 99, 100, 4_095, 4_096, 4_097, 8_192, 12_288, -4_096, -1])('cut at byte %i', async (at) => {
    const bytes = await readFile(data.database)
    let end = at < 0 ? bytes.byteLength + at : at
    // zeros that are missing at the end are read as zeros
    while (bytes.subarray(end).every((byte) => byte === 0)) end -= 1
    await truncate(data.database, end)
    await expectRefused(new RegExp(`tokens\\.db is damaged \\(.+\\): ${ADVICE}`))
  })

  it.each(['garbage', 'x'.repeat(10_000), '\0'.repeat(8_192), `SQLite format 3\0${'\0'.repeat(8_176)}`])(
    'with another file in the place of the database (%#)',
    async (text) => {
      await writeFile(data.database, text)
      await expectRefused(/tokens\.db (is damaged|is no database of a LinkSocks server)/)
    },
  )

  it('with a directory in the place of the database', async () => {
    await rm(data.database)
    await mkdir(data.database)
    await expect(data.open()).rejects.toMatchObject({
      code: 'ERR_STORE',
      // how large a directory is depends on the file system
      message: expect.stringMatching(/can't open .*tokens\.db: |tokens\.db is damaged/),
    })
  })

  it('with the database of another program', async () => {
    await rm(data.database)
    edit('CREATE TABLE token (a); INSERT INTO token VALUES (1)')
    await expectRefused(
      /tokens\.db is no database of a LinkSocks server: move it away, or choose another data directory$/,
    )
  })

  it.each([
    ['without a row', 'DELETE FROM token WHERE seq = 3'],
    ['without any row', 'DELETE FROM token'],
    ['with rows that changed places', 'UPDATE token SET seq = 1000 WHERE seq = 1'],
    ['with a row under another id', `UPDATE token SET id = '${recordId(999)}' WHERE seq = 4`],
    ['with a row of other contents', "UPDATE token SET sealed = x'00' WHERE seq = 4"],
    ['with a row twice', `INSERT INTO token SELECT 500, '${recordId(999)}', sealed FROM token WHERE seq = 4`],
    ['without its summary', "DELETE FROM meta WHERE name = 'contents'"],
    ['without its key check', "DELETE FROM meta WHERE name = 'key-check'"],
    ['with a changed key check', "UPDATE meta SET value = x'00' WHERE name = 'key-check'"],
    ['without a table', 'DROP TABLE token'],
    ['with a version of nought', 'PRAGMA user_version = 0'],
  ])('%s', async (_, sql) => {
    edit(sql)
    await expectRefused(new RegExp(`tokens\\.db is damaged \\(.+\\): ${ADVICE}`))
  })

  it('in another journal mode', async () => {
    edit('PRAGMA journal_mode = WAL')
    const before = await readFile(data.database)
    await expect(data.open()).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/tokens\.db is damaged \(its journal mode was changed\): put a backup/),
    })
    expect((await readFile(data.database)).equals(before)).toBe(true)
  })

  it('made by a newer version', async () => {
    edit('PRAGMA user_version = 6')
    await expectRefused(
      /tokens\.db was made by a newer version of LinkSocks \(it has format 6, and this one knows no later than 5\): use that version, put a copy from before back \(\S+tokens\.db\.v\*\), or move/,
    )
  })

  it('with a journal and no database', async () => {
    await rm(data.database)
    await writeFile(`${data.database}-journal`, 'x')
    await expectRefused(/tokens\.db-journal is there, but not .*tokens\.db: put the database back, or move/)
  })

  it('without the key file', async () => {
    await rm(data.keyFile)
    await expectRefused(/the key file .*data\.key is missing, without which .*: put the file back, or give the key/)
  })

  it('with a damaged key file', async () => {
    for (const text of ['', '\n', 'abc', 'ab'.repeat(31), `${'ab'.repeat(32)} x`]) {
      await writeFile(data.keyFile, text)
      await expectRefused(
        /the key file .*data\.key is damaged, it must hold 32 bytes as 64 hex digits or base64: put a backup/,
      )
    }
  })

  it('with another key', async () => {
    const message = /the key does not fit .*tokens\.db, which was made with another one: give the key/
    await expectRefused(message, { key: OTHER_KEY })
    await writeFile(data.keyFile, `${OTHER_KEY}\n`)
    await expectRefused(message)
  })

  it('begins without tokens, under the same key, once the database is moved away', async () => {
    const key = (await data.files()).get('data.key')
    await rm(data.database)
    expect(await data.use((store) => store.load())).toEqual([])
    expect((await data.files()).get('data.key')).toEqual(key)
  })
})

describe('a database with one changed byte', () => {
  /** Of a file of some 20,000 bytes. */
  const STRIDE = 23

  it('is refused, or holds all that it held', { timeout: 120_000 }, async () => {
    const data = await DataDirectory.make()
    try {
      await data.use((store) => store.write({ put: RECORDS }))
      const whole = (await data.files()).get('tokens.db') ?? Buffer.alloc(0)
      const offsets = [...whole.keys()].filter((offset) => offset < 100 || offset % STRIDE === 7)
      let refused = 0
      for (const offset of offsets) {
        const changed = Buffer.from(whole)
        changed.writeUInt8((changed.readUInt8(offset) ^ (1 << (offset % 8))) & 255, offset)
        await rm(`${data.database}-journal`, { force: true })
        await writeFile(data.database, changed)
        const held = await data.use((store) => store.load()).catch((thrown: unknown) => thrown)
        if (Array.isArray(held)) expect(held, `byte ${offset}`).toStrictEqual(RECORDS)
        else {
          refused += 1
          expect(held, `byte ${offset}`).toMatchObject({ code: 'ERR_STORE' })
          expect((await data.files()).get('tokens.db')?.equals(changed), `byte ${offset}`).toBe(true)
        }
      }
      expect(refused).toBeGreaterThan(100)
    } finally {
      await data.remove()
    }
  })
})
