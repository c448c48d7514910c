import { DEFAULT_PAGE } from './resources.js'

export interface PageQuery {
  readonly limit?: string | undefined
  readonly after?: string | undefined
}

export interface Page<T> {
  readonly entries: readonly T[]
  /** What `after` of the next page is to be; `null` on the last one. */
  readonly next: string | null
  readonly total: number
}

/**
 * Cuts one page out of a list. The cursor is the number of the last entry that was given, so that entries may come and go between
 * two pages.
 * @param numberOf ascending or descending over the whole list
 */
export function pageOf<T>(list: readonly T[], numberOf: (entry: T) => number, { limit, after }: PageQuery): Page<T> {
  const size = limit === undefined ? DEFAULT_PAGE : Number(limit)
  const start = after === undefined ? 0 : startBehind(list, numberOf, Number(after))
  const entries = list.slice(start, start + size)
  const last = entries.at(-1)
  const more = last !== undefined && start + size < list.length
  return { entries, next: more ? String(numberOf(last)) : null, total: list.length }
}

function startBehind<T>(list: readonly T[], numberOf: (entry: T) => number, after: number): number {
  const [first] = list
  const last = list.at(-1)
  if (first === undefined || last === undefined) return 0
  const descending = numberOf(first) > numberOf(last)
  const start = list.findIndex((entry) => (descending ? numberOf(entry) < after : numberOf(entry) > after))
  return start === -1 ? list.length : start
}
