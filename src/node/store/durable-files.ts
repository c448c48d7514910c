import { randomBytes } from 'node:crypto'
import { accessSync, constants, statSync } from 'node:fs'
import { link, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../system/error-code.js'

/** For the owner alone. */
export const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700
/** Read by the group or by all. */
const OTHERS_READ = 0o044

const UNFINISHED = /\.new-[\da-f]{16}(?:-journal)?$/

/** So long after its last write a file that other processes write too is unfinished for good. */
export const UNFINISHED_FOR_MS = 60_000

/** A name beside `path` under which it is made, before it is put in its place. */
export function unfinishedName(path: string): string {
  return `${path}.new-${randomBytes(8).toString('hex')}`
}

/** Which file is at `path` now: another one has another identity, and none has none. */
export function fileIdentity(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}

/** @throws what the system says when the file at `path` may not be written, such as EROFS */
export function checkWriteAccess(path: string): void {
  accessSync(path, constants.W_OK)
}

/** Makes a directory for its owner alone, with all above it, if it is not there. */
export async function makeDirectory(path: string): Promise<void> {
  if (await exists(path)) return
  const above = dirname(path)
  if (above !== path) await makeDirectory(above)
  try {
    await mkdir(path, { mode: DIRECTORY_MODE })
  } catch (thrown) {
    // made by another process meanwhile
    if (errorCode(thrown) !== 'EEXIST') throw thrown
  }
  await syncDirectory(above)
}

/** Writes a new file and brings it to the disk. */
export async function writeNewFile(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Puts a file with `content` in the place of the one at `path`, if there is one: whole, or not at all. */
export async function replaceFile(path: string, content: Uint8Array): Promise<void> {
  const unfinished = unfinishedName(path)
  try {
    await writeNewFile(unfinished, content)
    await rename(unfinished, path)
    await syncDirectory(dirname(path))
  } finally {
    await rm(unfinished, { force: true })
  }
}

/** Brings what was written to `path` to the disk. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Reads a file that anybody may have put there.
 * @throws what the system says, and an error for a larger file and for all that is none: a link, a pipe, a directory
 */
export async function readBounded(path: string, maxBytes: number): Promise<Buffer> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  // without O_NONBLOCK a pipe that nobody writes to would be waited for; Windows has neither
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const stats = await file.stat()
    if (!stats.isFile()) throw new Error('it is no file')
    if (stats.size > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`)
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** Brings names that came or went in `directory` to the disk. */
export async function syncDirectory(directory: string): Promise<void> {
  // Windows has no such call and keeps names in its journal
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } catch (thrown) {
    // some file systems don't offer it
    if (errorCode(thrown) !== 'EINVAL') throw thrown
  } finally {
    await handle.close()
  }
}

/**
 * Gives a finished file its name, unless another process was first.
 * @returns whether it is this one that has the name now
 */
export async function putInPlace(unfinished: string, path: string): Promise<boolean> {
  try {
    await link(unfinished, path)
  } catch (thrown) {
    if (await exists(path)) return false
    // no hard links on this file system; or another process swept the file away as a left-over
    if (!(await exists(unfinished))) throw thrown
    await rename(unfinished, path)
  }
  await rm(unfinished, { force: true })
  await syncDirectory(dirname(path))
  return true
}

/** Removes what was left unfinished for `paths`, all of one directory. */
export async function removeUnfinished(...paths: readonly [string, ...string[]]): Promise<void> {
  const directory = dirname(paths[0])
  const prefixes = paths.map((path) => `${basename(path)}.new-`)
  for (const name of await readdir(directory)) {
    if (UNFINISHED.test(name) && prefixes.some((prefix) => name.startsWith(prefix))) {
      await rm(join(directory, name), { force: true })
    }
  }
}

/** Removes what was left unfinished for files of `directory` with names of this form, but what another process may be writing now. */
export async function removeUnfinishedLike(directory: string, form: RegExp): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!UNFINISHED.test(name) || !form.test(name)) continue
    const path = join(directory, name)
    // finished meanwhile
    const stats = await lstat(path).catch(() => undefined)
    if (stats !== undefined && stats.mtimeMs + UNFINISHED_FOR_MS < Date.now()) await rm(path, { force: true })
  }
}

/** @throws what the system says, but that it is not there */
export async function exists(path: string): Promise<boolean> {
  return (await sizeOf(path)) !== undefined
}

/** Bytes of a file; `undefined` when it is not there. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return undefined
    throw thrown
  }
}

/** Whether others than the owner may read it, as far as its mode tells. */
export async function readableByOthers(path: string): Promise<boolean> {
  return process.platform !== 'win32' && ((await stat(path)).mode & OTHERS_READ) !== 0
}
