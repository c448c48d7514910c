import { type ErrorCode, LinkSocksError } from '../errors.js'
import { remoteText } from '../log.js'
import { redactSecrets } from '../redact.js'
import { type CommandName, MANAGE_COMMANDS } from './commands.js'

/** Exit codes of the program. */
export const EXIT = {
  /** Ended by request: a signal, help, version. */
  ended: 0,
  /** Failed while starting or running: port in use, link lost with -R. */
  failed: 1,
  /** The command line or the environment is wrong. */
  usage: 2,
  /** The server refused the token, or the API key. */
  rejected: 3,
} as const

const USAGE_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_OPTION',
  'ERR_URL',
  'ERR_TOKEN_INVALID',
  'ERR_TOKEN_RESERVED',
  'ERR_TOKEN_EXISTS',
  'ERR_TOKEN_AUTONOMY',
  'ERR_REVERSE_TOKEN_NOT_FOUND',
])

export function exitCodeOf({ code }: LinkSocksError): number {
  if (code === 'ERR_AUTH_REJECTED') return EXIT.rejected
  return USAGE_CODES.has(code) ? EXIT.usage : EXIT.failed
}

function isManage(command: CommandName): boolean {
  return MANAGE_COMMANDS.some((known) => known === command)
}

/** Of the address that could not be listened on. */
function listenFlag(side: 'ws' | 'socks', message: string): string {
  return /\bport \d/.test(message) ? `--${side}-port` : `--${side}-host`
}

/** The flag to look at for an error of the library, whose own messages name no flags. */
function flagOf({ code, message, cause }: LinkSocksError, command: CommandName): string | undefined {
  switch (code) {
    case 'ERR_AUTH_REJECTED':
      // the API's clients name where the key came from
      return isManage(command) ? undefined : '--token'
    case 'ERR_LISTEN':
      if (/\bdescriptor \d/.test(message)) return undefined
      return listenFlag(command === 'server' ? 'ws' : 'socks', message)
    case 'ERR_PORT_UNAVAILABLE':
      return cause instanceof Error ? listenFlag('socks', cause.message) : '--socks-port'
    case 'ERR_CONNECT':
      // whoever named the proxy, flag or variable: the message has its address
      return command === 'server' || /^(cannot reach )?the proxy /.test(message) ? undefined : '--url'
    case 'ERR_URL':
      return command === 'server' ? undefined : '--url'
    default:
      return undefined
  }
}

/** What went wrong in one line, beginning with the flag where one can be named. */
export function failureText(error: LinkSocksError, command?: CommandName): string {
  // its own message names neither the port nor what keeps it
  const { message } = error.code === 'ERR_PORT_UNAVAILABLE' && error.cause instanceof Error ? error.cause : error
  const flag = command === undefined ? undefined : flagOf(error, command)
  const text = remoteText(redactSecrets(message))
  return flag === undefined || text.startsWith('-') ? text : `${flag}: ${text}`
}

/** Anything thrown as an error with a code; what the library did not throw on purpose is called unexpected. */
export function asFailure(thrown: unknown): LinkSocksError {
  if (thrown instanceof LinkSocksError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new LinkSocksError('ERR_SESSION_CLOSED', `unexpected error: ${message}`, { cause: thrown })
}
