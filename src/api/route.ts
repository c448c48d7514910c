import type * as v from 'valibot'
import type { Answer } from './answers.js'
import type { KeyHolder } from './keys.js'

/** Who may call: anybody, who holds any key, or who holds one that may change things; `metrics`: also who has the key of the metrics. */
export type Access = 'open' | 'metrics' | 'read' | 'full'

type Query = Readonly<Record<string, string | undefined>>

/** A judged request. */
export interface Exchange {
  readonly request: Request
  /** What stands in the place of the braces of the path, as on the wire. */
  readonly segment: string
  readonly query: Query
  /** `undefined` on open routes. */
  readonly key: KeyHolder | undefined
  readonly remoteAddress: string
}

/** One method of one path: what is documented, and what answers. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** With at most one name in braces, at the end. */
  readonly path: string
  readonly access: Access
  readonly summary: string
  /** Of what stands in the place of the braces; for the documentation. */
  readonly segment?: v.GenericSchema | undefined
  /** @default what comes behind the question mark is not looked at */
  readonly query?: v.GenericSchema<Query> | undefined
  readonly body?: v.GenericSchema | undefined
  /** Of success. */
  readonly answer: {
    readonly status: number
    readonly type?: string | undefined
    readonly schema?: v.GenericSchema | undefined
    /** Names of headers with their meaning. */
    readonly headers?: Readonly<Record<string, string>> | undefined
  }
  /** Statuses of its failures, beyond those that every route with its method, access, query and body may have. */
  readonly failures?: readonly number[] | undefined
  /** Of failures that don't look like all others, by their status. */
  readonly failureSchemas?: Readonly<Record<number, v.GenericSchema>> | undefined
  readonly handle: (exchange: Exchange) => Promise<Answer> | Answer
}

/** The part of `path` that stands for the braces of `template`; `undefined` when it is no such path. */
export function matchPath(template: string, path: string): string | undefined {
  const brace = template.indexOf('{')
  if (brace === -1) return path === template ? '' : undefined
  return path.startsWith(template.slice(0, brace)) ? path.slice(brace) : undefined
}
