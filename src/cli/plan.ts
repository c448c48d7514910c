import type { LogFields } from '../log.js'
import { optionError, type Settings } from './environment.js'
import { type Flag, longName, SOCKS_PASSWORD, SOCKS_USERNAME } from './flags.js'
import { parseCredential } from './values.js'

/** A line for the log. */
export interface Notice {
  readonly level: 'info' | 'warn'
  readonly event: string
  readonly fields: LogFields
}

/** What a command line came to: options for the library, and what its user should read. */
export interface Plan<Options> {
  readonly options: Options
  /** Logged before anything starts. */
  readonly notices: readonly Notice[]
}

/** Says that `flag` was given for nothing. */
export function ignored(flag: Flag, reason: string): Notice {
  return { level: 'warn', event: 'option.ignored', fields: { option: longName(flag), reason } }
}

/** An {@link ignored} notice for each of `flags` that stands on the command line. */
export function ignoredIfGiven(settings: Settings, flags: readonly Flag[], reason: string): readonly Notice[] {
  return flags.filter((flag) => settings.given(flag)).map((flag) => ignored(flag, reason))
}

export interface Credentials {
  readonly username: string | undefined
  readonly password: string | undefined
}

/** @throws {LinkSocksError} ERR_OPTION when only one of the two is set: authentication would silently be off */
export async function readCredentials(settings: Settings): Promise<Credentials> {
  const username = settings.value(SOCKS_USERNAME, parseCredential)
  const password = await settings.secret(SOCKS_PASSWORD, parseCredential)
  if ((username === undefined) !== (password === undefined)) {
    const [set, missing] = password === undefined ? [SOCKS_USERNAME, SOCKS_PASSWORD] : [SOCKS_PASSWORD, SOCKS_USERNAME]
    throw optionError(settings.source(set) ?? longName(set), `needs ${longName(missing)} as well`)
  }
  return { username, password }
}
