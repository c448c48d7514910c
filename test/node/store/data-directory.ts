import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type LogFields, type Logger, silentLogger } from '../../../src/log.js'
import { openTokenDatabase, type TokenDatabaseOptions } from '../../../src/node/store/token-database.js'
import type { TokenStore } from '../../../src/ports.js'
import { memoryFolder } from '../../support/memory-folder.js'

/** A temporary data directory, and the stores opened in it. */
export class DataDirectory {
  readonly parent: string
  readonly directory: string
  readonly database: string
  readonly keyFile: string
  readonly #stores: TokenStore[] = []

  private constructor(parent: string) {
    this.parent = parent
    this.directory = join(parent, 'data')
    this.database = join(this.directory, 'tokens.db')
    this.keyFile = join(this.directory, 'data.key')
  }

  static async make(): Promise<DataDirectory> {
    return new DataDirectory(await mkdtemp(join(memoryFolder(), 'linksocks-store-')))
  }

  async open(options: Partial<TokenDatabaseOptions> = {}): Promise<TokenStore> {
    const store = await openTokenDatabase({ directory: this.directory, log: silentLogger, ...options })
    this.#stores.push(store)
    return store
  }

  /** Opens it, uses it and closes it. */
  async use<T>(work: (store: TokenStore) => Promise<T>, options: Partial<TokenDatabaseOptions> = {}): Promise<T> {
    const store = await this.open(options)
    try {
      return await work(store)
    } finally {
      await store.close()
    }
  }

  /** Every file and its bytes. */
  async files(): Promise<ReadonlyMap<string, Buffer>> {
    const names = (await readdir(this.directory)).sort()
    return new Map(
      await Promise.all(names.map(async (name) => [name, await readFile(join(this.directory, name))] as const)),
    )
  }

  async remove(): Promise<void> {
    for (const store of this.#stores) await store.close()
    await rm(this.parent, { recursive: true, force: true })
  }
}

/** Lines of a log. */
export class LogLines {
  readonly lines: string[] = []
  readonly log: Logger = {
    debug: (event, fields) => this.#add('debug', event, fields),
    info: (event, fields) => this.#add('info', event, fields),
    warn: (event, fields) => this.#add('warn', event, fields),
    error: (event, fields) => this.#add('error', event, fields),
  }

  #add(level: string, event: string, fields: LogFields = {}): void {
    this.lines.push([level, event, ...Object.entries(fields).map(([name, value]) => `${name}=${value}`)].join(' '))
  }
}
