/** Lists come in pages (docs/http-api.md). */
import * as v from 'valibot'
import type { Page, PageQuery } from '../relay/observe/page.js'
import { count, queryOf } from './fields.js'

/** Entries of one page, unless the request names fewer or more. */
export const DEFAULT_PAGE = 100
const MAX_PAGE = 1_000

const LIMIT_ERROR = 'limit must be an integer from 1 to 1000'
const AFTER_ERROR = 'after must be what next of the page before was'

const digits = (error: string, longest: number) =>
  v.pipe(v.string(error), v.regex(new RegExp(`^[0-9]{1,${longest}}$`), error))

/** What every list takes. */
export const pageParameters = {
  limit: v.optional(
    v.pipe(
      digits(LIMIT_ERROR, 4),
      v.check((text) => Number(text) >= 1 && Number(text) <= MAX_PAGE, LIMIT_ERROR),
      v.metadata({ type: 'integer', pattern: undefined, minimum: 1, maximum: MAX_PAGE, default: DEFAULT_PAGE }),
    ),
  ),
  after: v.optional(digits(AFTER_ERROR, 15)),
}
export const pageQuery = queryOf(pageParameters)

/** What every list gives beside its entries. */
export const pageFields = { next: v.nullable(v.string()), total: count }

/** @param query as `pageParameters` let it through: both are digits */
export function pageQueryOf({ limit, after }: v.InferOutput<typeof pageQuery>): PageQuery {
  return {
    limit: limit === undefined ? DEFAULT_PAGE : Number(limit),
    after: after === undefined ? undefined : Number(after),
  }
}

/** @param name of the list in the answer */
export function pageAnswer<T>(name: string, { entries, next, total }: Page<T>, view: (entry: T) => object): object {
  return { [name]: entries.map(view), next: next === undefined ? null : String(next), total }
}
