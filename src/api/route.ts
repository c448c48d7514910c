/** What a route is. Each file of a resource has functions that make its routes, with their schemas above them. */
import type * as v from 'valibot'
import type { RelayAdmin } from '../relay/admin.js'
import type { Audit } from './audit.js'
import type { KeyHolder } from './keys.js'
import type { Answer } from './request/answers.js'

/** What a request needs: nothing, any key, or a key that may change things; `metrics`: any key, or the one of the metrics. */
export type Access = 'open' | 'metrics' | 'read' | 'full'

type Query = Readonly<Record<string, string | undefined>>

/** A request that has passed the checks which all routes share. */
export interface Exchange {
  readonly request: Request
  /** The text in the place of the braces of the path, as on the wire. */
  readonly segment: string
  readonly query: Query
  /** `undefined` on open routes. */
  readonly key: KeyHolder | undefined
  readonly remoteAddress: string
}

/** One method of one path: what is documented, and what answers. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With at most one name in braces, which stands for the rest of the path up to what follows it here. */
  readonly path: string
  readonly access: Access
  readonly summary: string
  /** Of the text in the place of the braces; for the documentation. */
  readonly segment?: v.GenericSchema | undefined
  /** @default the query is ignored */
  readonly query?: v.GenericSchema<Query> | undefined
  readonly body?: v.GenericSchema | undefined
  /** @default MAX_BODY_BYTES */
  readonly maxBodyBytes?: number | undefined
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

/** What the routes of the resources need. */
export interface RouteContext {
  readonly admin: RelayAdmin
  readonly audit: Audit
  readonly version: string
  /** Unix milliseconds. */
  readonly startedAt: number
  /** Whether there is a key, without which only the open routes answer. */
  readonly enabled: boolean
}

/** The part of `path` in the place of the braces of `template`; `undefined` when it is no such path. */
export function matchPath(template: string, path: string): string | undefined {
  const [before = '', after] = template.split(/\{\w+\}/)
  if (after === undefined) return path === template ? '' : undefined
  const fits = path.startsWith(before) && path.endsWith(after) && path.length >= before.length + after.length
  return fits ? path.slice(before.length, path.length - after.length) : undefined
}
