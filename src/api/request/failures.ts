/** How failures of the relay are answered. */
import { type ErrorCode, LinkSocksError } from '../../errors.js'
import { Refusal } from './answers.js'

/** Status and text for an error of RelayAdmin; without a text the error's own message is the answer. */
const FAILURES: ReadonlyMap<ErrorCode, readonly [status: number, text?: string]> = new Map([
  ['ERR_TOKEN_INVALID', [400]],
  // of an access rule
  ['ERR_OPTION', [400]],
  ['ERR_TOKEN_RESERVED', [400, "'anonymous' is reserved and cannot be used as a token"]],
  ['ERR_TOKEN_AUTONOMY', [400, 'connector tokens of this reverse token are managed by its providers']],
  ['ERR_TOKEN_NOT_FOUND', [404, 'token not found']],
  ['ERR_CLIENT_NOT_FOUND', [404, 'client not found']],
  ['ERR_REVERSE_TOKEN_NOT_FOUND', [404, 'reverse token not found']],
  ['ERR_TOKEN_EXISTS', [409, 'token already exists']],
  ['ERR_PORT_UNAVAILABLE', [409, 'port not available']],
  ['ERR_LIMIT', [409]],
  ['ERR_NOT_STORED', [507, 'not stored']],
  ['ERR_SHUTTING_DOWN', [503, 'server is shutting down']],
])

/** Seconds until a change that a process refuses which drains may be tried with the one that took over. */
const RETRY_AFTER_S = '1'

/** The answer for `thrown`; `undefined` when it is not of the caller's making. */
export function refusalFor(thrown: unknown): Refusal | undefined {
  if (!(thrown instanceof LinkSocksError)) return undefined
  const failure = FAILURES.get(thrown.code)
  if (failure === undefined) return undefined
  const [status, text = thrown.message] = failure
  return new Refusal(status, text, thrown.code === 'ERR_SHUTTING_DOWN' ? { 'Retry-After': RETRY_AFTER_S } : {})
}
