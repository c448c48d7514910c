import { randomBytes } from 'node:crypto'
import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { LinkSocksError } from '../../errors.js'
import type { DrainingProcess, DrainRecord, DrainState, Handover, LeftGrowth, UsageGrowth } from '../../handover.js'
import { MIB } from '../../protocol/limits.js'
import { decodeGrowth, encodeGrowth } from '../../relay/tokens/usage-record.js'
import { errorCode } from '../system/error-code.js'
import { packageVersion } from '../system/package-version.js'
import { isRunning, ownIdentity, type ProcessIdentity } from '../system/process-identity.js'
import { putInPlace, readBounded, replaceFile, syncDirectory, unfinishedName, writeNewFile } from './durable-files.js'
import { mayAsk } from './store-owner.js'
import type { TokenSeal } from './token-seal.js'

/** Files of counters that one process leaves while it drains; what comes after that is left at its end. */
export const MAX_LEFT_FILES = 1_000
/** A larger one is none of ours. */
export const MAX_LEFT_BYTES = 64 * MIB
/** Of one list of tokens that ended. */
export const MAX_ENDED_BYTES = 8 * MIB
/** Of the record of one process that drains. */
const MAX_DRAIN_BYTES = 4_096
/** Processes that are shown. */
export const MAX_DRAINING = 64
/** So long after its end a process that says that it drains was killed, where it can't be looked for. */
export const DRAIN_OVERDUE_MS = 60_000

/** The last one that a date can hold, in Unix milliseconds. */
const MAX_TIME = 8_640_000_000_000_000

const DRAINING = /^draining-([\da-f]{16})\.json$/
const ENDED = /^ended-[\da-f]{16}\.sealed$/
const LEFT = /^usage-[\da-f]{16}-\d{6}\.sealed$/
/** What these are made of. */
export const HANDOVER_FILES = /^(?:draining|ended|usage|owner)\b/

export interface FileHandoverOptions {
  readonly directory: string
  readonly seal: TokenSeal
  /** Names of what was taken before, as they were written with it. */
  readonly taken: readonly string[]
}

/** What processes that have a data directory one after the other tell each other, in files of that directory (docs/data-directory.md). */
export class FileHandover implements Handover {
  readonly #options: FileHandoverOptions
  /** For the list of tokens that ended here. */
  readonly #id = randomBytes(8).toString('hex')
  /** File of this process, once it drains. */
  #own: string | undefined
  /** What was taken and may be there still: a removal can fail, or be undone by a power cut. */
  readonly #taken: Set<string>

  constructor(options: FileHandoverOptions) {
    this.#options = options
    this.#taken = new Set(options.taken)
  }

  /** What is to be written with what is taken next. */
  takenWith(name: string): readonly string[] {
    return [...this.#taken, name]
  }

  /** That is written. */
  noteTaken(name: string): void {
    this.#taken.add(name)
  }

  async leaving(): Promise<void> {
    await mayAsk(this.#options.directory, ownIdentity())
  }

  async beginDrain(until: number, state: DrainState): Promise<DrainRecord> {
    const record = new DrainFiles(this.#options, until)
    this.#own = record.name
    await record.begin(state)
    return record
  }

  async draining(): Promise<readonly DrainingProcess[]> {
    const names = await namesLike(this.#options.directory, DRAINING).catch(() => [])
    const found: DrainingProcess[] = []
    for (const name of names.filter((each) => each !== this.#own).slice(0, MAX_DRAINING)) {
      const path = join(this.#options.directory, name)
      const bytes = await readBounded(path, MAX_DRAIN_BYTES).catch(() => undefined)
      const draining = bytes && drainFileOf(bytes)
      if (draining !== undefined && mayDrain(draining)) found.push(draining.shown)
      // one that was killed, or damage
      else if (bytes !== undefined) await rm(path, { force: true }).catch(() => {})
    }
    return found.sort((one, other) => one.since - other.since)
  }

  async end(tokens: ReadonlyMap<string, number>): Promise<void> {
    const { directory, seal } = this.#options
    const name = `ended-${this.#id}.sealed`
    try {
      await replaceFile(join(directory, name), seal.seal(Buffer.from(JSON.stringify(Object.fromEntries(tokens))), name))
    } catch (cause) {
      throw notStored(directory, cause)
    }
  }

  async forgetEnded(): Promise<void> {
    const { directory } = this.#options
    for (const name of await namesLike(directory, ENDED).catch(() => []))
      await rm(join(directory, name), { force: true }).catch(() => {})
  }

  async left(): Promise<readonly LeftGrowth[]> {
    const { directory } = this.#options
    try {
      const names = (await namesLike(directory, LEFT)).filter((name) => !this.#taken.has(name))
      // the process ended before it could remove them
      for (const name of [...this.#taken]) await this.#remove(name)
      return names.map((name) => this.#growth(name))
    } catch (cause) {
      throw new LinkSocksError('ERR_STORE', `can't read ${directory}: ${reasonOf(cause)}`, { cause })
    }
  }

  #growth(name: string): LeftGrowth {
    const { directory, seal } = this.#options
    const path = join(directory, name)
    return {
      name,
      read: async () => {
        const sealed = await readBounded(path, MAX_LEFT_BYTES).catch((cause) => {
          throw new LinkSocksError('ERR_STORE', `can't read ${path}: ${reasonOf(cause)}`, { cause })
        })
        try {
          return decodeGrowth(seal.unseal(sealed, name))
        } catch {
          // no cause: it may repeat what was read
          const aside = `${path}.damaged`
          await rename(path, aside).catch(() => {})
          throw new LinkSocksError('ERR_STORE', `${path} is damaged: it is left out, and kept as ${aside}`)
        }
      },
      remove: () => this.#remove(name),
    }
  }

  async #remove(name: string): Promise<void> {
    const { directory } = this.#options
    try {
      await rm(join(directory, name), { force: true })
      await syncDirectory(directory)
      this.#taken.delete(name)
    } catch {
      // tried again by the next look
    }
  }
}

/** The files of one process that drains. */
class DrainFiles implements DrainRecord {
  readonly #options: FileHandoverOptions
  readonly #id = randomBytes(8).toString('hex')
  readonly #start = ownIdentity().start
  readonly #since = Date.now()
  readonly #until: number
  /** Tokens of which it was told that they ended. */
  readonly #known = new Set<string>()
  failure: LinkSocksError | undefined
  /** Changes of the record, one after the other. */
  #last: Promise<void> = Promise.resolve()
  #count = 0
  #ended = false

  constructor(options: FileHandoverOptions, until: number) {
    this.#options = options
    // times of the clock have fractions
    this.#until = Math.ceil(until)
  }

  async begin(state: DrainState): Promise<void> {
    try {
      await this.write(state)
    } catch (cause) {
      this.failure = notStored(this.#options.directory, cause)
    }
  }

  async leave(growth: UsageGrowth, last: boolean): Promise<void> {
    const { directory, seal } = this.#options
    if (this.#count >= MAX_LEFT_FILES && !last)
      throw new LinkSocksError(
        'ERR_NOT_STORED',
        `this drain has left ${MAX_LEFT_FILES} files: the rest comes at its end`,
      )
    const name = `usage-${this.#id}-${String(this.#count).padStart(6, '0')}.sealed`
    const path = join(directory, name)
    try {
      const sealed = seal.seal(encodeGrowth(growth), name)
      // a process that opens the directory sweeps unfinished files away, and there is one such process in an upgrade
      await putNew(path, sealed).catch((thrown) => {
        if (errorCode(thrown) !== 'ENOENT') throw thrown
        return putNew(path, sealed)
      })
      this.#count += 1
    } catch (cause) {
      throw notStored(directory, cause)
    }
  }

  /** @throws what the system says */
  write({ clients, streams }: DrainState): Promise<void> {
    const draining: DrainingProcess & Pick<ProcessIdentity, 'start'> = {
      ...{ pid: process.pid, start: this.#start, version: packageVersion(), since: this.#since, until: this.#until },
      ...{ clients, streams },
    }
    return this.#inTurn(async () => {
      if (!this.#ended) await replaceFile(this.#path, Buffer.from(`${JSON.stringify(draining)}\n`))
    })
  }

  async ended(): Promise<readonly string[]> {
    const { directory, seal } = this.#options
    const found: string[] = []
    for (const name of await namesLike(directory, ENDED).catch(() => [])) {
      // one that is being replaced is read by the next look
      const sealed = await readBounded(join(directory, name), MAX_ENDED_BYTES).catch(() => undefined)
      for (const [id, time] of sealed === undefined ? [] : endedOf(seal, sealed, name)) {
        if (time >= this.#since && !this.#known.has(id)) found.push(id)
      }
    }
    for (const id of found) this.#known.add(id)
    return found
  }

  show(state: DrainState): Promise<void> {
    return this.write(state).catch(() => {})
  }

  async end(): Promise<void> {
    this.#ended = true
    await this.#inTurn(() => rm(this.#path, { force: true })).catch(() => {})
  }

  get name(): string {
    return `draining-${this.#id}.json`
  }

  get #path(): string {
    return join(this.#options.directory, this.name)
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const done = this.#last.then(action)
    this.#last = done.catch(() => {})
    return done
  }
}

function endedOf(seal: TokenSeal, sealed: Uint8Array, name: string): readonly (readonly [string, number])[] {
  try {
    const value: unknown = JSON.parse(seal.unseal(sealed, name).toString())
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).flatMap(([id, time]) => (isCount(time) ? [[id, time] as const] : []))
  } catch {
    return []
  }
}

async function namesLike(directory: string, form: RegExp): Promise<readonly string[]> {
  return (await readdir(directory)).filter((name) => form.test(name)).sort()
}

async function putNew(path: string, content: Uint8Array): Promise<void> {
  const unfinished = unfinishedName(path)
  try {
    await writeNewFile(unfinished, content)
    await putInPlace(unfinished, path)
  } finally {
    await rm(unfinished, { force: true }).catch(() => {})
  }
}

function notStored(directory: string, cause: unknown): LinkSocksError {
  return new LinkSocksError('ERR_NOT_STORED', `can't write to ${directory}: ${reasonOf(cause)}`, { cause })
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** What the record of a process says. */
interface DrainFile {
  readonly shown: DrainingProcess
  /** Tells the process from a later one with its number. */
  readonly start: string | undefined
}

/** Whether the process may be there: where that can't be told, it is until its drain must be over. */
function mayDrain({ shown: { pid, until }, start }: DrainFile): boolean {
  return isRunning({ pid, start }) !== false && until + DRAIN_OVERDUE_MS > Date.now()
}

function drainFileOf(bytes: Uint8Array): DrainFile | undefined {
  try {
    const { pid, start, version, since, until, clients, streams } = JSON.parse(Buffer.from(bytes).toString()) as Record<
      keyof DrainingProcess | 'start',
      unknown
    >
    if (typeof version !== 'string' || !isCount(pid) || !isCount(clients) || !isCount(streams)) return undefined
    if (!isTime(since) || !isTime(until)) return undefined
    const shown = { pid, version, since, until, clients, streams }
    return { shown, start: typeof start === 'string' ? start : undefined }
  } catch {
    return undefined
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

/** One that a date can hold. */
function isTime(value: unknown): value is number {
  return isCount(value) && value <= MAX_TIME
}
