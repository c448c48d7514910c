/** Lists come in pages (docs/http-api.md). */
import type { Page, PageQuery } from '../relay/observe/page.js'
import { DEFAULT_PAGE } from './resources.js'

/** @param query judged: both are digits */
export function pageQueryOf({
  limit,
  after,
}: {
  readonly limit?: string | undefined
  readonly after?: string | undefined
}): PageQuery {
  return {
    limit: limit === undefined ? DEFAULT_PAGE : Number(limit),
    after: after === undefined ? undefined : Number(after),
  }
}

/** @param name of the list in the answer */
export function pageAnswer<T>(name: string, { entries, next, total }: Page<T>, view: (entry: T) => object): object {
  return { [name]: entries.map(view), next: next === undefined ? null : String(next), total }
}
