import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeKeyFile, parseDataKey, readKeyFile } from '../../../src/node/store/data-key.js'

const HEX = '00112233445566778899aabbccddeeff'.repeat(2)

describe('parseDataKey()', () => {
  it('reads 64 hex digits, or base64 with its padding or without', () => {
    const base64 = Buffer.from(HEX, 'hex').toString('base64')
    for (const text of [HEX, HEX.toUpperCase(), base64, base64.replace('=', '')]) {
      expect(parseDataKey(text).export().toString('hex')).toBe(HEX)
    }
  })
})

describe('the key file', () => {
  let folder: string
  let path: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'linksocks-key-'))
    path = join(folder, 'data.key')
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  it('is made once, for its owner alone, whoever asks for it at once', async () => {
    expect(await readKeyFile(path)).toBeUndefined()
    const keys = await Promise.all(Array.from({ length: 10 }, () => makeKeyFile(path)))
    const text = await readFile(path, 'utf8')
    expect(text).toMatch(/^[\da-f]{64}\n$/)
    for (const key of keys) expect(key.export().toString('hex')).toBe(text.trim())
    expect(await readdir(folder)).toEqual(['data.key'])
    if (process.platform !== 'win32') expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('may be one that an operator wrote, with line feeds or not', async () => {
    for (const text of [HEX, `${HEX}\r\n`, ` ${Buffer.from(HEX, 'hex').toString('base64')}\n`]) {
      await writeFile(path, text)
      expect((await readKeyFile(path))?.export().toString('hex')).toBe(HEX)
    }
  })

  it('that is damaged or can not be read is named, its text is not repeated', async () => {
    await writeFile(path, HEX.slice(1))
    const damaged = readKeyFile(path)
    await expect(damaged).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/key file .*data\.key is damaged/),
    })
    await expect(damaged).rejects.not.toThrow(/1122/)
    await expect(readKeyFile(folder)).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: `can't read the key file ${folder}: EISDIR`,
    })
    if (process.getuid?.() === 0 || process.platform === 'win32') return
    await chmod(path, 0)
    await expect(readKeyFile(path)).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/: EACCES$/),
    })
  })
})
