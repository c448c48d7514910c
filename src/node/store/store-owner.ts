import { lstat, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { remoteText } from '../../log.js'
import { errorCode } from '../system/error-code.js'
import { packageVersion } from '../system/package-version.js'
import { isRunning, ownIdentity, type ProcessIdentity } from '../system/process-identity.js'
import { FILE_MODE, readBounded, unfinishedName } from './durable-files.js'

export const OWNER_FILE = 'owner.json'
/** Which owner was asked to end; for the others that want to take over. */
export const ASKED_FILE = 'owner.asked'
/** One that was asked to end and still has the directory after this time may be asked again. */
export const ASK_AGAIN_MS = 10_000
/** A longer one is none of ours. */
const MAX_OWNER_BYTES = 4_096

/** Of the numbers that a system gives to processes. */
const MAX_PID = 2 ** 31 - 1

/** What a process must know to open what the owner has. */
export interface OwnedStore {
  /** Tells whether a key is that of the database (`TokenSeal.makeKeyCheck()`), as base64. */
  readonly keyCheck?: string | undefined
}

/** The process that has a data directory. */
export interface StoreOwner extends ProcessIdentity, OwnedStore {
  /** Of its program. */
  readonly version: string
  /** When it opened the directory, as in ISO 8601. */
  readonly since: string
}

/**
 * Names this process in its data directory, for those who find it in use. The lock of the database decides; this is what is told of it.
 * A failure leaves the directory without a name.
 */
export async function nameOwner(directory: string, store: OwnedStore = {}): Promise<void> {
  const path = join(directory, OWNER_FILE)
  const unfinished = unfinishedName(path)
  const owner: StoreOwner = { ...ownIdentity(), version: packageVersion(), since: new Date().toISOString(), ...store }
  try {
    // the one before was asked
    await rm(join(directory, ASKED_FILE), { force: true })
    await writeFile(unfinished, `${JSON.stringify(owner)}\n`, { flag: 'wx', mode: FILE_MODE })
    await rename(unfinished, path)
  } catch {
    await rm(unfinished, { force: true }).catch(() => {})
  }
}

/** Takes the name away, before the lock is given back. */
export async function removeOwner(directory: string): Promise<void> {
  await rm(join(directory, OWNER_FILE), { force: true }).catch(() => {})
}

/** Who has a directory that is in use; `undefined` where nobody says so, or the one who said so is gone. */
export async function readOwner(directory: string): Promise<StoreOwner | undefined> {
  const bytes = await readBounded(join(directory, OWNER_FILE), MAX_OWNER_BYTES).catch(() => undefined)
  const owner = bytes && ownerOf(bytes.toString())
  return owner === undefined || isRunning(owner) === false ? undefined : owner
}

/**
 * Of several processes that want to take over from `owner`, one may ask it to end: the next request would cut its drain short.
 * @returns whether it is this one; also where that can't be written
 */
export async function mayAsk(directory: string, { pid, start }: ProcessIdentity): Promise<boolean> {
  const path = join(directory, ASKED_FILE)
  const asked = `${pid} ${start}\n`
  for (let attempt = 1; ; attempt += 1) {
    try {
      await writeFile(path, asked, { flag: 'wx', mode: FILE_MODE })
      return true
    } catch (thrown) {
      if (errorCode(thrown) !== 'EEXIST' || attempt === 2) return errorCode(thrown) !== 'EEXIST'
    }
    if (await isFresh(path, asked)) return false
    // of an owner before this one, or the request had no effect
    await rm(path, { force: true }).catch(() => {})
  }
}

/** The request could not be made: another process may be able to. */
export async function withdrawRequest(directory: string): Promise<void> {
  await rm(join(directory, ASKED_FILE), { force: true }).catch(() => {})
}

async function isFresh(path: string, asked: string): Promise<boolean> {
  try {
    const age = Date.now() - (await lstat(path)).mtimeMs
    if (age >= ASK_AGAIN_MS) return false
    const text = (await readBounded(path, MAX_OWNER_BYTES)).toString()
    // it is written in two steps
    return text === asked || text === ''
  } catch {
    return false
  }
}

/** Names a process, as in 'process 12 of relay-1 (LinkSocks 1.0.0, since 2030-01-31T08:00:00.000Z)'. */
export function ownerText({ pid, host, version, since }: StoreOwner): string {
  return `process ${pid} on ${remoteText(host)} (LinkSocks ${remoteText(version)}, since ${remoteText(since)})`
}

function ownerOf(text: string): StoreOwner | undefined {
  try {
    const { pid, host, start, version, since, keyCheck } = JSON.parse(text) as Record<keyof StoreOwner, unknown>
    if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 0 || pid > MAX_PID) return undefined
    if (typeof host !== 'string' || typeof version !== 'string' || typeof since !== 'string') return undefined
    return {
      ...{ pid, host, version, since, start: typeof start === 'string' ? start : undefined },
      keyCheck: typeof keyCheck === 'string' ? keyCheck : undefined,
    }
  } catch {
    return undefined
  }
}
