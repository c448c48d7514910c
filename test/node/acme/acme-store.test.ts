import { createSecretKey } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type AcmeState, AcmeStore, emptyState } from '../../../src/node/acme/acme-store.js'
import { atEnd } from '../../support/at-end.js'
import { memoryFolder } from '../../support/memory-folder.js'

const KEY = createSecretKey(Buffer.alloc(32, 1))
const DIRECTORY = 'https://ca.test/directory'

async function setUp() {
  const folder = await mkdtemp(join(memoryFolder(), 'linksocks-acme-'))
  atEnd(() => rm(folder, { recursive: true, force: true }))
  return { folder, path: join(folder, 'acme.sealed'), store: new AcmeStore(folder, KEY) }
}

function stateOf(mark: string): AcmeState {
  return {
    accounts: { [DIRECTORY]: { key: `ACCOUNT-KEY ${mark}`, kid: 'https://ca.test/account/1' } },
    certificates: {
      'relay.test': { directory: DIRECTORY, chain: `CHAIN ${mark}`, key: `CERTIFICATE-KEY ${mark}`, obtainedAt: 5 },
    },
    attempts: { 'relay.test': { failures: 2, nextAt: 7, type: 'http-01' } },
  }
}

const ADVICE = (path: string): string => `move ${path} away to get new certificates`

describe('AcmeStore', () => {
  it('has nothing at first, and makes no file by looking', async () => {
    const { folder, store } = await setUp()
    expect(await store.load()).toEqual(emptyState())
    expect(await readdir(folder)).toEqual([])
    expect(await new AcmeStore(join(folder, 'missing'), KEY).load()).toEqual(emptyState())
  })

  it('gives back what was saved last, to another store with the same key', async () => {
    const { folder, store } = await setUp()
    await store.save(stateOf('one'))
    await store.save(stateOf('two'))
    expect(await new AcmeStore(folder, KEY).load()).toEqual(stateOf('two'))
    expect(await store.load()).toEqual(stateOf('two'))
    expect(await readdir(folder)).toEqual(['acme.sealed'])
  })

  it('has entries for the names that were saved alone, not for what every object has', async () => {
    const { store } = await setUp()
    await store.save(stateOf('one'))
    for (const { accounts, certificates, attempts } of [await store.load(), emptyState()]) {
      for (const table of [accounts, certificates, attempts]) {
        expect([table.constructor, table.toString, Object.getPrototypeOf(table)]).toEqual([undefined, undefined, null])
      }
    }
  })

  it('keeps an account whose URL is not known yet', async () => {
    const { store } = await setUp()
    await store.save({ ...stateOf('one'), accounts: { [DIRECTORY]: { key: 'K', kid: undefined } } })
    expect((await store.load()).accounts[DIRECTORY]).toEqual({ key: 'K' })
  })

  it('writes nothing that can be read without the key, for the owner alone', async () => {
    const { path, store } = await setUp()
    await store.save(stateOf('one'))
    const bytes = await readFile(path, 'latin1')
    expect(bytes.slice(0, 8)).toBe('LSacme01')
    for (const word of ['KEY', 'CHAIN', 'relay', 'ca.test', 'http-01']) expect(bytes).not.toContain(word)
    if (process.platform !== 'win32') expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('refuses a file of another key, and leaves it as it is', async () => {
    const { folder, path, store } = await setUp()
    await store.save(stateOf('one'))
    const before = await readFile(path)
    const other = new AcmeStore(folder, createSecretKey(Buffer.alloc(32, 2)))
    await expect(other.load()).rejects.toMatchObject({
      ...{ code: 'ERR_STORE', message: `${path} is damaged, or was made with another data key: ${ADVICE(path)}` },
    })
    expect((await readFile(path)).equals(before)).toBe(true)
  })

  it('refuses a file that is changed at any byte or cut at any length', async () => {
    const { path, store } = await setUp()
    await store.save({ ...emptyState(), attempts: { a: { failures: 1, nextAt: 2, type: undefined } } })
    const whole = await readFile(path)
    for (let at = 0; at < whole.byteLength; at += 1) {
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
      await writeFile(path, changed)
      await expect(store.load(), `byte ${at}`).rejects.toMatchObject({ code: 'ERR_STORE' })
      await truncate(path, at)
      await expect(store.load(), `length ${at}`).rejects.toMatchObject({ code: 'ERR_STORE' })
    }
    await writeFile(path, whole)
    expect((await store.load()).attempts).toEqual({ a: { failures: 1, nextAt: 2 } })
  })

  it('names a file of a newer format', async () => {
    const { path, store } = await setUp()
    await store.save(stateOf('one'))
    const bytes = await readFile(path)
    bytes.write('LSacme02', 'latin1')
    await writeFile(path, bytes)
    const message = `${path} is no file of certificates of this version: ${ADVICE(path)}`
    await expect(store.load()).rejects.toMatchObject({ code: 'ERR_STORE', message })
  })

  it('refuses a file that is too long without reading it, and writes none', async () => {
    const { path, store } = await setUp()
    await store.save(stateOf('one'))
    const huge = { ...emptyState(), accounts: { a: { key: 'x'.repeat(16 << 20) } } }
    const message = `${path}: more than 16 MiB`
    await expect(store.save(huge)).rejects.toMatchObject({ code: 'ERR_STORE', message })
    expect(await store.load()).toEqual(stateOf('one'))
    await truncate(path, 2 ** 40)
    await expect(store.load()).rejects.toMatchObject({ code: 'ERR_STORE', message })
  })

  it('writes one state after the other, each as it was when asked, and the last one stays', async () => {
    const { folder, store } = await setUp()
    const state = stateOf('0')
    const saves = Array.from({ length: 20 }, (_, index) => {
      state.attempts['relay.test'] = { failures: index, nextAt: 0, type: undefined }
      return store.save(state)
    })
    state.attempts['relay.test'] = { failures: 99, nextAt: 0, type: undefined }
    await Promise.all(saves)
    expect((await store.load()).attempts['relay.test']?.failures).toBe(19)
    expect(await readdir(folder)).toEqual(['acme.sealed'])
  })

  it('says why a state can not be written, and writes the next', async () => {
    const { folder, store } = await setUp()
    await store.save(stateOf('one'))
    await rm(folder, { recursive: true })
    const failed = store.save(stateOf('two'))
    const after = failed.catch(() => {}).then(() => store.save(stateOf('three')).catch(() => {}))
    await expect(failed).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/^can't write .*acme\.sealed: ENOENT/),
    })
    await after
    await mkdir(folder)
    await store.save(stateOf('four'))
    expect(await store.load()).toEqual(stateOf('four'))
  })

  it('removes what an end of the process left unfinished, of this file alone', async () => {
    const { folder, path, store } = await setUp()
    await store.save(stateOf('one'))
    const left = [`${path}.new-0123456789abcdef`, `${path}.new-fedcba9876543210`]
    for (const file of left) await writeFile(file, 'half')
    const others = ['acme.sealed.new-x', 'tokens.db.new-0123456789abcdef', 'acme.sealed.bak']
    for (const name of others) await writeFile(join(folder, name), '')
    expect(await store.load()).toEqual(stateOf('one'))
    expect((await readdir(folder)).sort()).toEqual(['acme.sealed', ...others].sort())
  })

  it('says that the file can not be read', async () => {
    const { path, store } = await setUp()
    await mkdir(path)
    await expect(store.load()).rejects.toMatchObject({ code: 'ERR_STORE', message: expect.stringContaining(path) })
  })
})
