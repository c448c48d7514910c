import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { LinkSocksError } from '../../errors.js'
import type { Clock, Timer } from '../../ports.js'
import { errorCode } from '../system/error-code.js'
import { MAX_PEM_BYTES } from './certificate-pair.js'

/** How often it is looked whether files have changed. */
export const FILES_LOOK_MS = 5_000
/** A FIFO that nobody writes to would hold up a thread of this process, and its end, for as long. Windows has neither the flag nor the files. */
const READ_WITHOUT_WAITING = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

export interface WatchedFilesOptions<Content> {
  readonly paths: readonly string[]
  /** Makes something of their texts; throws where that can't be. */
  readonly read: (texts: readonly string[]) => Content
  /** Takes what is new. */
  readonly changed: (content: Content) => void
  /** Hears why what is new is not taken; the old one stays. */
  readonly refused: (reason: string) => void
  readonly clock: Clock
}

/**
 * Files that are read again when they change, all of them together. A file that somebody is just writing, or of which the second one is
 * still the old one, is given until the next look before it is refused.
 */
export class WatchedFiles<Content> {
  readonly #options: WatchedFilesOptions<Content>
  /** Of the files that were taken or refused last. */
  #judged = ''
  /** Of those that could not be taken at the last look. */
  #doubtful: string | undefined
  #timer: Timer | undefined
  /** One look after the other: what an earlier one has read must not take the place of what a later one has. */
  #looking: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: WatchedFilesOptions<Content>) {
    this.#options = options
  }

  /**
   * Reads them for the first time, and watches them from then on.
   * @throws {LinkSocksError} ERR_OPTION
   */
  async open(): Promise<void> {
    const { read, changed } = this.#options
    this.#judged = await this.#signature()
    changed(read(await this.#texts()))
    this.#watch()
  }

  /** Reads them now. Never rejects. */
  reload(): Promise<void> {
    return this.#lookNext(true)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #watch(): void {
    if (this.#closed) return
    this.#timer = this.#options.clock.after(FILES_LOOK_MS, () => {
      void this.#lookNext(false).then(() => this.#watch())
    })
  }

  #lookNext(asked: boolean): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look(asked))
    return this.#looking
  }

  async #look(asked: boolean): Promise<void> {
    const signature = await this.#signature()
    if (this.#closed) return
    if (signature === this.#judged && !asked) {
      this.#doubtful = undefined
      return
    }
    const { read, changed, refused } = this.#options
    try {
      const content = read(await this.#texts())
      if (this.#closed) return
      this.#judged = signature
      this.#doubtful = undefined
      changed(content)
    } catch (thrown) {
      if (this.#closed) return
      const settled = asked || signature === this.#doubtful
      this.#doubtful = signature
      if (!settled) return
      this.#judged = signature
      refused(LinkSocksError.from(thrown, 'ERR_OPTION').message)
    }
  }

  /** Changes when one of the files does. */
  async #signature(): Promise<string> {
    const found = this.#options.paths.map(async (path) => {
      try {
        const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true })
        return `${dev} ${ino} ${size} ${mtimeNs}`
      } catch (thrown) {
        return errorCode(thrown)
      }
    })
    return (await Promise.all(found)).join()
  }

  /** One after the other: of several that can't be read the first is named. */
  async #texts(): Promise<readonly string[]> {
    const texts: string[] = []
    for (const path of this.#options.paths) texts.push(await readPem(path))
    return texts
  }
}

/** @throws {LinkSocksError} ERR_OPTION, which names the file */
async function readPem(path: string): Promise<string> {
  try {
    const file = await open(path, READ_WITHOUT_WAITING)
    try {
      const found = await file.stat()
      if (found.isDirectory()) throw new LinkSocksError('ERR_OPTION', `can't read ${path}: ${readProblem('EISDIR')}`)
      if (!found.isFile())
        throw new LinkSocksError('ERR_OPTION', `${path} is no ordinary file, which could be read again`)
      const { size } = found
      if (size > MAX_PEM_BYTES) throw new LinkSocksError('ERR_OPTION', `${path} is larger than ${MAX_PEM_BYTES} bytes`)
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_PEM_BYTES), 0, MAX_PEM_BYTES)
      return buffer.toString('latin1', 0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (cause instanceof LinkSocksError) throw cause
    throw new LinkSocksError('ERR_OPTION', `can't read ${path}: ${readProblem(errorCode(cause))}`, { cause })
  }
}

function readProblem(code: string): string {
  if (code === 'ENOENT') return 'it is not there'
  if (code === 'EACCES' || code === 'EPERM') return 'no permission'
  if (code === 'EISDIR') return 'it is a directory'
  return code
}
