import type { Api, Page } from '../api/http.js'
import { Store } from './store.js'

export interface ListState<T> {
  readonly rows: readonly T[]
  /** How many there are; more than rows when the list was cut. */
  readonly total: number
  readonly loaded: boolean
  readonly error: Error | undefined
}

export interface ListOptions {
  readonly name: 'tokens' | 'clients' | 'streams'
  readonly query?: Readonly<Record<string, string>>
  /** Pause between two looks at a list that is on screen. */
  readonly everyMs: number
  /** Rows taken at most. */
  readonly maxRows: number
}

/** Rows the API gives at a time. */
const PAGE_ROWS = '1000'
/** Changes that come together are asked for once. */
const GATHER_MS = 300
/** A list of this many rows is asked for at the pace that was named, a longer one less often. */
const ROWS_AT_FULL_PACE = 2_000
/** A list that takes long is asked for less often: its pause is at least so many times its own time. */
const REST_FACTOR = 4

/** Lists of ids and quotas are compared as text. */
function same(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === 'object' && a !== null && JSON.stringify(a) === JSON.stringify(b))
}

function sameRow<T extends object>(a: T, b: T): boolean {
  const keys = Object.keys(a) as (keyof T)[]
  return keys.length === Object.keys(b).length && keys.every((key) => same(a[key], b[key]))
}

/** A list of the API, kept fresh while somebody looks at it. */
export class List<T extends { readonly id: string }> {
  readonly state = new Store<ListState<T>>({ rows: [], total: 0, loaded: false, error: undefined })
  readonly #api: Api
  readonly #options: ListOptions
  #watchers = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #loading: Promise<void> | undefined
  #stale = false

  constructor(api: Api, options: ListOptions) {
    this.#api = api
    this.#options = options
  }

  /** Follows the list until the function that is handed back is called. */
  readonly watch = (): (() => void) => {
    this.#watchers += 1
    if (this.#watchers === 1) {
      document.addEventListener('visibilitychange', this.#shown)
      void this.reload()
    }
    return () => {
      this.#watchers -= 1
      if (this.#watchers > 0) return
      document.removeEventListener('visibilitychange', this.#shown)
      clearTimeout(this.#timer)
    }
  }

  /** Something in it has changed. */
  touch(): void {
    if (this.#watchers === 0) return
    this.#plan(GATHER_MS)
  }

  /** Puts an answer in place of its row until the list is asked for again. */
  replace(row: T): void {
    const state = this.state.get()
    this.state.set({ ...state, rows: state.rows.map((old) => (old.id === row.id ? row : old)) })
  }

  /** Loads now; settles when what was true at the call is on screen. Never rejects. */
  async reload(): Promise<void> {
    if (this.#loading !== undefined) {
      this.#stale = true
      return this.#loading
    }
    this.#loading = this.#load()
    await this.#loading
  }

  readonly #shown = (): void => {
    if (!document.hidden) void this.reload()
  }

  #plan(afterMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      if (!document.hidden && this.#watchers > 0) void this.reload()
    }, afterMs)
  }

  async #load(): Promise<void> {
    clearTimeout(this.#timer)
    const began = performance.now()
    do {
      this.#stale = false
      await this.#once()
    } while (this.#stale)
    this.#loading = undefined
    const { everyMs } = this.#options
    const byLength = everyMs * Math.max(1, this.state.get().rows.length / ROWS_AT_FULL_PACE)
    if (this.#watchers > 0) this.#plan(Math.max(byLength, (performance.now() - began) * REST_FACTOR))
  }

  async #once(): Promise<void> {
    try {
      const { rows, total } = await this.#allPages()
      const known = new Map(this.state.get().rows.map((row) => [row.id, row]))
      const kept = rows.map((row) => {
        const old = known.get(row.id)
        return old !== undefined && sameRow(old, row) ? old : row
      })
      this.state.set({ rows: kept, total, loaded: true, error: undefined })
    } catch (error) {
      this.state.set({ ...this.state.get(), error: error instanceof Error ? error : new Error(String(error)) })
    }
  }

  /** Rows that move from page to page while these are read are counted once. */
  async #allPages(): Promise<{ rows: readonly T[]; total: number }> {
    const { name, query = {}, maxRows } = this.#options
    const rows = new Map<string, T>()
    let total = 0
    let after: string | null = null
    do {
      const page: Page<T> = await this.#api.page<T>(name, {
        limit: PAGE_ROWS,
        ...query,
        ...(after === null ? {} : { after }),
      })
      for (const row of page.rows) rows.set(row.id, row)
      total = page.total
      after = page.next
    } while (after !== null && rows.size < maxRows)
    return { rows: [...rows.values()], total }
  }
}
