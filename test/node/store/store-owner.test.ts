import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  ASK_AGAIN_MS,
  ASKED_FILE,
  mayAsk,
  nameOwner,
  OWNER_FILE,
  ownerText,
  readOwner,
  removeOwner,
} from '../../../src/node/store/store-owner.js'
import { packageVersion } from '../../../src/node/system/package-version.js'
import { ownIdentity } from '../../../src/node/system/process-identity.js'
import { memoryFolder } from '../../support/memory-folder.js'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(memoryFolder(), 'linksocks-owner-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const put = (text: string): Promise<void> => writeFile(join(directory, OWNER_FILE), text)
const SOUND = { pid: 12, host: 'elsewhere', version: '1.0.0', since: '2030-01-31T08:00:00.000Z' }

describe('the name of the process that has a data directory', () => {
  it('is there until it is removed, and written anew by the next one', async () => {
    expect(await readOwner(directory)).toBeUndefined()
    await nameOwner(directory)
    await nameOwner(directory)
    const owner = await readOwner(directory)
    expect(owner).toMatchObject({ ...ownIdentity(), version: packageVersion() })
    expect(ownerText(owner ?? raise())).toMatch(
      new RegExp(`^process ${process.pid} on ${hostname()} \\(LinkSocks \\S+, since \\S+Z\\)$`),
    )
    await removeOwner(directory)
    await removeOwner(directory)
    expect(await readOwner(directory)).toBeUndefined()
  })

  it('is not told of a process that is gone, or whose number another one has', async () => {
    const { start = '' } = ownIdentity()
    await put(JSON.stringify({ ...SOUND, pid: process.pid, start: `${start}0` }))
    expect(await readOwner(directory)).toBeUndefined()
    await put(JSON.stringify({ ...SOUND, pid: 2 ** 30, start }))
    expect(await readOwner(directory)).toBeUndefined()
  })

  it('is told of a process in another place, which can not be looked at', async () => {
    await put(JSON.stringify({ ...SOUND, start: 'another-boot pid:[1] 5' }))
    expect(await readOwner(directory)).toMatchObject(SOUND)
  })

  it('is passed over where the file holds something else', async () => {
    const wrong = [
      ...['', '{', 'null', '[]', '12', '{"pid":1}'],
      ...[0, -1, 1.5, 2 ** 31, 2 ** 60, '7', null].map((pid) => JSON.stringify({ ...SOUND, pid })),
      JSON.stringify({ ...SOUND, host: 7 }),
      JSON.stringify({ ...SOUND, version: 'v'.repeat(4_096) }),
    ]
    for (const text of wrong) {
      await put(text)
      expect(await readOwner(directory), text).toBeUndefined()
    }
  })

  it('is looked for in a file only: neither a link, a directory nor a pipe that nobody writes to', async () => {
    const path = join(directory, OWNER_FILE)
    const other = join(directory, 'other')
    await writeFile(other, JSON.stringify(SOUND))
    await symlink(other, path)
    expect(await readOwner(directory)).toBeUndefined()
    await rm(path)
    await mkdir(path)
    expect(await readOwner(directory)).toBeUndefined()
    await rm(path, { recursive: true })
    execFileSync('mkfifo', [path])
    expect(await readOwner(directory)).toBeUndefined()
  })

  it('is shown without what a terminal would act on', () => {
    expect(ownerText({ ...SOUND, host: '\u001b[2J' })).toContain('\\u{1b}[2J')
  })

  it('takes the place of a link, and leaves alone what that names', async () => {
    const other = join(directory, 'other')
    await writeFile(other, 'other')
    await symlink(other, join(directory, OWNER_FILE))
    await nameOwner(directory)
    expect((await readOwner(directory))?.pid).toBe(process.pid)
    await removeOwner(directory)
    await expect(rm(other)).resolves.toBeUndefined()
  })

  it('is left out where it can not be written', async () => {
    await nameOwner(join(directory, 'missing'))
    await removeOwner(join(directory, 'missing'))
    expect(await readOwner(join(directory, 'missing'))).toBeUndefined()
  })
})

describe('a request to the owner to end', () => {
  const owner = { ...SOUND, start: 'boot pid:[1] 5' }
  const path = (): string => join(directory, ASKED_FILE)

  it('is made by the first that wants to, until another process has the directory', async () => {
    const first = await Promise.all([1, 2, 3].map(() => mayAsk(directory, owner)))
    expect(first.filter((may) => may)).toHaveLength(1)
    expect(await mayAsk(directory, owner)).toBe(false)
    expect((await stat(path())).mode & 0o777).toBe(process.platform === 'win32' ? 0o666 : 0o600)
    await nameOwner(directory)
    await expect(stat(path())).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await mayAsk(directory, owner)).toBe(true)
  })

  it('is made again when the file is about another one, is old, or is something else', async () => {
    await mayAsk(directory, owner)
    expect(await mayAsk(directory, { ...owner, pid: 13 })).toBe(true)
    const old = (Date.now() - ASK_AGAIN_MS) / 1_000
    await utimes(path(), old, old)
    expect(await mayAsk(directory, { ...owner, pid: 13 })).toBe(true)
    await rm(path())
    await symlink('/dev/zero', path())
    expect(await mayAsk(directory, owner)).toBe(true)
  })

  it('is left to another where it can not be told, and made where nothing can be written', async () => {
    await mkdir(path())
    expect(await mayAsk(directory, owner)).toBe(false)
    expect(await mayAsk(join(directory, 'missing'), owner)).toBe(true)
  })
})

function raise(): never {
  throw new Error('no owner')
}
