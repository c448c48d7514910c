import type { Settings } from '../settings/environment.js'
import type { CliIo } from '../settings/io.js'
import type { ApiClient } from './api-client.js'

/** The commands that speak to a running server. */
export type ManageCommand =
  | 'status'
  | 'token list'
  | 'token show'
  | 'token add'
  | 'token set'
  | 'token check'
  | 'token usage'
  | 'token rm'

/** What a command that speaks to a server works with. */
export interface Task {
  readonly api: ApiClient
  readonly settings: Settings
  /** Arguments that are no flags. */
  readonly words: readonly string[]
  readonly io: CliIo
}
