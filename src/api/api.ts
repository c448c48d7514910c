import { LinkSocksError } from '../errors.js'
import { limitedLog, remoteText } from '../log.js'
import type { Clock } from '../ports.js'
import type { FailedAttempts } from '../relay/failed-attempts.js'
import { type Answer, optionsAnswer, plainText, Refusal, toResponse } from './answers.js'
import { announcedTooLarge } from './body.js'
import { addToken, type Call, type CallOptions, removeNamedToken, removeTokenInPath, status } from './calls.js'
import { refusalFor } from './failures.js'
import { createKeyCheck } from './key.js'

export interface ApiOptions extends CallOptions {
  /** What `X-API-Key` must be. @default absent: everything under `/api/` is 404 */
  readonly apiKey?: string | undefined
  readonly clock: Clock
  /** Shared with whoever else authenticates. */
  readonly attempts: FailedAttempts
}

export interface ApiContext {
  /** Path of the request exactly as on the wire, one character per byte, without the query: parsed URLs lose `%2e%2e`. */
  readonly rawPath: string
  /** Who asks, for the log. */
  readonly remoteAddress: string
  /** Called when the key is right. */
  readonly admitted?: (() => void) | undefined
}

/** Answers one request. Never rejects. */
export type ApiHandler = (request: Request, context: ApiContext) => Promise<Response>

type Methods = ReadonlyMap<string, Call>

const API_PREFIX = '/api/'
const TOKEN_PREFIX = '/api/token/'
/** Told to who has failed too often. */
const RETRY_AFTER_S = '10'
/** A 401 carries a challenge (RFC 9110 section 15.5.2); browsers ignore a scheme they don't know. */
const CHALLENGE = 'X-API-Key realm="LinkSocks"'

/**
 * The HTTP API: `/api/status`, `/api/token`, and the line at `/` that says whether it is enabled.
 * @throws {LinkSocksError} ERR_OPTION for an empty key
 */
export function createApi(options: ApiOptions): ApiHandler {
  if (options.apiKey === '') throw new LinkSocksError('ERR_OPTION', 'apiKey must not be empty')
  const judge = createJudge(options)
  return async (request, context) => {
    const result = await settle(() => judge(request, context), options)
    return toResponse(result, request.method === 'HEAD')
  }
}

/** Judges in this order: key, path, method, size; what is left, JSON and fields, is the call's to judge. */
function createJudge(options: ApiOptions): (request: Request, context: ApiContext) => Promise<Answer> | Answer {
  const { apiKey, clock, crypto, attempts } = options
  // anybody may guess: one line each, as long as there are few
  const log = limitedLog(options.log, () => clock.now())
  const isKey = apiKey === undefined ? undefined : createKeyCheck(apiKey, crypto)
  const rejected = async (remoteAddress: string): Promise<Refusal> => {
    log.warn('api.key.rejected', { remote: remoteText(remoteAddress) })
    const { delayMs, refused } = attempts.note(remoteAddress, 'api_key')
    if (delayMs > 0) await new Promise<void>((resolve) => void clock.after(delayMs, resolve))
    if (refused) return new Refusal(429, 'too many failed attempts', { 'retry-after': RETRY_AFTER_S })
    return new Refusal(401, 'invalid API key', { 'www-authenticate': CHALLENGE })
  }
  return (request, { rawPath, remoteAddress, admitted }) => {
    if (rawPath.startsWith(API_PREFIX)) {
      if (isKey === undefined) return new Refusal(404, 'API is not enabled')
      if (!isKey(request.headers.get('x-api-key'))) return rejected(remoteAddress)
      admitted?.()
    }
    const methods = findMethods(rawPath, options)
    if (methods === undefined) return new Refusal(404, 'not found')
    return dispatch(request, methods)
  }
}

function dispatch(request: Request, methods: Methods): Promise<Answer> | Answer {
  const call = methods.get(request.method === 'HEAD' ? 'GET' : request.method)
  if (call !== undefined) return announcedTooLarge(request) ?? call(request)
  const allow = [...methods.keys(), ...(methods.has('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
  return request.method === 'OPTIONS' ? optionsAnswer(allow) : new Refusal(405, 'method not allowed', { allow })
}

function findMethods(rawPath: string, options: ApiOptions): Methods | undefined {
  if (rawPath === '/') return new Map([['GET', () => plainText(greeting(options))]])
  if (rawPath === '/api/status') return new Map([['GET', status(options)]])
  if (rawPath === '/api/token') {
    return new Map([
      ['POST', addToken(options)],
      ['DELETE', removeNamedToken(options)],
    ])
  }
  if (!rawPath.startsWith(TOKEN_PREFIX)) return undefined
  return new Map([['DELETE', removeTokenInPath(options, rawPath.slice(TOKEN_PREFIX.length))]])
}

/** The deployed wording: programs recognise a relay by it. */
function greeting({ version, apiKey }: ApiOptions): string {
  const rest = apiKey === undefined ? ' but API is not enabled.' : '. API endpoints available at /api/*'
  return `LinkSocks ${version} is running${rest}\n`
}

/** Answers what `call` threw: the caller's fault as such, anything else as 500 with the cause in the log only. */
async function settle(call: () => Promise<Answer> | Answer, { log }: ApiOptions): Promise<Answer> {
  try {
    return await call()
  } catch (thrown) {
    const refusal = refusalFor(thrown)
    if (refusal !== undefined) return refusal
    log.error('api.failed', { error: thrown instanceof Error ? remoteText(thrown.message) : typeof thrown })
    return new Refusal(500, 'internal error')
  }
}
