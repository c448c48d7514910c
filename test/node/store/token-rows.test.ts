import { createSecretKey, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Sqlite } from '../../../src/node/store/sqlite.js'
import { TokenRows } from '../../../src/node/store/token-rows.js'
import { createDatabase } from '../../../src/node/store/token-schema.js'
import { TokenSeal } from '../../../src/node/store/token-seal.js'

const FAILURE = new Error('disk I/O error')

const record = (id: string, value: string) => ({ id, sealed: Buffer.from(value) })

describe('TokenRows', () => {
  let folder: string
  let database: Sqlite
  let rows: TokenRows
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'linksocks-rows-'))
    const path = join(folder, 'tokens.db')
    await createDatabase(path, new TokenSeal(createSecretKey(randomBytes(32))))
    database = await Sqlite.open(path)
    rows = new TokenRows(database)
    rows.write([record('a', '1'), record('b', '2'), record('c', '3')], [])
  })
  afterEach(async () => {
    database.close()
    await rm(folder, { recursive: true, force: true })
  })

  const held = (from: TokenRows = rows): readonly string[] =>
    from.load().map(({ seq, id, sealed }) => `${seq} ${id} ${Buffer.from(sealed)}`)
  const FIRST = ['1 a 1', '2 b 2', '3 c 3']
  const change = () => rows.write([record('b', 'new'), record('d', '4')], ['a', 'x'])
  const CHANGED = ['2 b new', '3 c 3', '4 d 4']

  /** How the next transactions end: as they should, before anything is written, or after all of it is. */
  function failing(...ends: readonly ('well' | 'early' | 'late')[]): void {
    const whole = database.transaction.bind(database)
    const left = [...ends]
    database.transaction = (work) => {
      const end = left.shift()
      if (end === 'early') throw FAILURE
      const result = whole(work)
      if (end === 'late') throw FAILURE
      return result
    }
  }

  it('removes and puts in one transaction', () => {
    change()
    expect(held()).toEqual(CHANGED)
    expect(held(new TokenRows(database))).toEqual(CHANGED)
  })

  it('takes a write back that failed after it reached the disk', () => {
    failing('late')
    expect(change).toThrow(FAILURE)
    expect(held(new TokenRows(database))).toEqual(FIRST)
    change()
    expect(held()).toEqual(CHANGED)
  })

  it('tries that again before anything else is read or written', () => {
    failing('late', 'early', 'early', 'late')
    expect(change).toThrow(FAILURE)
    expect(() => rows.load()).toThrow(FAILURE)
    // taken back, though this failed too
    expect(change).toThrow(FAILURE)
    expect(held()).toEqual(FIRST)
  })

  it('leaves alone what failed before it reached the disk', () => {
    failing('early')
    expect(change).toThrow(FAILURE)
    expect(held()).toEqual(FIRST)
    change()
    expect(held()).toEqual(CHANGED)
  })

  it('knows what was taken last, with the change that it was given with', () => {
    expect(rows.taken).toEqual([])
    rows.write([], [], ['first'])
    rows.write([record('a', 'new')], [])
    expect([rows.taken, new TokenRows(database).taken]).toEqual([['first'], ['first']])
    rows.write([record('a', 'newer')], [], ['first', 'second'])
    expect(new TokenRows(database).taken).toEqual(['first', 'second'])
  })

  it('takes back with a write what was said to be taken by it', () => {
    const take = (name: string) => () => rows.write([record('a', name)], [], [name])
    for (const before of [[], ['before']]) {
      for (const name of before) take(name)()
      for (const end of ['early', 'late'] as const) {
        failing(end)
        expect(take('failed')).toThrow(FAILURE)
        expect([rows.taken, new TokenRows(database).taken]).toEqual([before, before])
      }
    }
    failing('late', 'early')
    expect(take('failed')).toThrow(FAILURE)
    // it could not be taken back yet
    rows.settle()
    expect([rows.taken, held()[0]]).toEqual([['before'], '1 a before'])
    take('after')()
    expect(rows.taken).toEqual(['after'])
  })

  it('writes nothing more to a database that another program changed', () => {
    database.exec("DELETE FROM token WHERE id = 'a'; UPDATE meta SET value = x'00' WHERE name = 'contents'")
    expect(change).toThrow('it does not hold what was written last')
    expect(change).toThrow('it does not hold what was written last')
  })
})
