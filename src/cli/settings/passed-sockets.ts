import { LinkSocksError } from '../../errors.js'
import type { Settings } from './environment.js'
import type { Flag } from './flags.js'
import type { Notice } from './plan.js'

export const SOCKET_NAMES = ['http', 'tls', 'socks', 'metrics', 'acme'] as const

/** What a socket is for; `main` is the proxy port of a client, and of a server HTTP and WebSockets, with TLS where it has certificates. */
export type SocketName = (typeof SOCKET_NAMES)[number] | 'main'

interface PassedSocket {
  readonly fd: number
  readonly name: SocketName
}

/** Sockets that a supervisor passed to this process. */
export interface PassedSockets {
  readonly sockets: readonly PassedSocket[]
  /** Why there are none. */
  readonly notices: readonly Notice[]
}

export const NOTHING_PASSED: PassedSockets = { sockets: [], notices: [] }

/** A notice for each of `flags` that is given, itself or by its variable, and in whose place a socket was passed. */
export function replacedBySockets(settings: Settings, flags: readonly Flag[]): readonly Notice[] {
  const reason = 'a socket was passed in its place (LISTEN_FDS)'
  const given = flags.flatMap((flag) => settings.source(flag) ?? [])
  return given.map((option) => ({ level: 'info', event: 'option.ignored', fields: { option, reason } }))
}

/** What was thrown, with the variable that says which sockets there are where it is about one of them. */
export function passedFailure<T>(thrown: T, { sockets }: PassedSockets = NOTHING_PASSED): T | LinkSocksError {
  if (!(thrown instanceof LinkSocksError) || thrown.code !== 'ERR_LISTEN') return thrown
  if (!sockets.some(({ fd }) => thrown.message.startsWith(`descriptor ${fd} `))) return thrown
  return new LinkSocksError(thrown.code, `LISTEN_FDS: ${thrown.message}`, { cause: thrown })
}
