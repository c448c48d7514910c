export interface PageQuery {
  /** Entries at most. */
  readonly limit: number
  /** Number of the last entry of the page before. */
  readonly after?: number | undefined
  /** The list is in descending order. @default false */
  readonly descending?: boolean | undefined
}

export interface Page<T> {
  readonly entries: readonly T[]
  /** What `after` of the next page is to be; `undefined` on the last one. */
  readonly next: number | undefined
  readonly total: number
}

/**
 * Cuts one page out of a list. The cursor is the number of the last entry that was given, so that entries may come and go between
 * two pages.
 */
export function pageOf<T>(
  list: readonly T[],
  numberOf: (entry: T) => number,
  { limit, after, descending = false }: PageQuery,
): Page<T> {
  const behind = (entry: T): boolean =>
    after === undefined || (descending ? numberOf(entry) < after : numberOf(entry) > after)
  const found = list.findIndex(behind)
  const start = found === -1 ? list.length : found
  const entries = list.slice(start, start + limit)
  const last = entries.at(-1)
  const more = last !== undefined && start + limit < list.length
  return { entries, next: more ? numberOf(last) : undefined, total: list.length }
}

/** The same page, each entry made into something else. */
export function mapPage<T, U>({ entries, ...rest }: Page<T>, make: (entry: T) => U): Page<U> {
  return { ...rest, entries: entries.map(make) }
}
