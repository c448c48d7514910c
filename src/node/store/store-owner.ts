import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { remoteText } from '../../log.js'
import { packageVersion } from '../system/package-version.js'
import { isRunning, ownIdentity, type ProcessIdentity } from '../system/process-identity.js'
import { FILE_MODE, readBounded, unfinishedName } from './durable-files.js'

export const OWNER_FILE = 'owner.json'
/** A longer one is none of ours. */
const MAX_OWNER_BYTES = 4_096

/** Of the numbers that a system gives to processes. */
const MAX_PID = 2 ** 31 - 1

/** The process that has a data directory. */
export interface StoreOwner extends ProcessIdentity {
  /** Of its program. */
  readonly version: string
  /** When it opened the directory, as in ISO 8601. */
  readonly since: string
}

/**
 * Names this process in its data directory, for those who find it in use. The lock of the database decides; this is what is told of it.
 * A failure leaves the directory without a name.
 */
export async function nameOwner(directory: string): Promise<void> {
  const path = join(directory, OWNER_FILE)
  const unfinished = unfinishedName(path)
  const owner: StoreOwner = { ...ownIdentity(), version: packageVersion(), since: new Date().toISOString() }
  try {
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

/** Names a process, as in 'process 12 of relay-1 (LinkSocks 1.0.0, since 2030-01-31T08:00:00.000Z)'. */
export function ownerText({ pid, host, version, since }: StoreOwner): string {
  return `process ${pid} on ${remoteText(host)} (LinkSocks ${remoteText(version)}, since ${remoteText(since)})`
}

function ownerOf(text: string): StoreOwner | undefined {
  try {
    const { pid, host, start, version, since } = JSON.parse(text) as Record<keyof StoreOwner, unknown>
    if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 0 || pid > MAX_PID) return undefined
    if (typeof host !== 'string' || typeof version !== 'string' || typeof since !== 'string') return undefined
    return { pid, host, version, since, start: typeof start === 'string' ? start : undefined }
  } catch {
    return undefined
  }
}
