import { LinkSocksError } from '../../errors.js'
import { type Environment, Settings } from '../settings/environment.js'
import type { CliIo } from '../settings/io.js'
import { ApiClient } from './api-client.js'
import { readAccess } from './manage-settings.js'
import { showUsage } from './show-usage.js'
import { showStatus } from './status.js'
import type { ManageCommand, Task } from './task.js'
import { addToken } from './token-add.js'
import { changeTokens, removeTokens } from './token-change.js'
import { checkToken } from './token-check.js'
import { listTokens } from './token-list.js'
import { showToken } from './token-show.js'

const COMMANDS: Readonly<Record<ManageCommand, (task: Task) => Promise<void>>> = {
  status: showStatus,
  'token list': listTokens,
  'token show': showToken,
  'token add': addToken,
  'token set': changeTokens,
  'token check': checkToken,
  'token usage': showUsage,
  'token rm': removeTokens,
}

export interface ManageInvocation {
  readonly command: ManageCommand
  readonly values: Readonly<Record<string, unknown>>
  readonly words: readonly string[]
}

/**
 * Runs one of the commands that speak to a running server; a signal ends it.
 * @throws {LinkSocksError} ERR_OPTION, ERR_AUTH_REJECTED (the API key), ERR_CONNECT, ERR_HTTP, ERR_LIMIT, ERR_CANCELLED
 */
export async function manage({ command, values, words }: ManageInvocation, env: Environment, io: CliIo): Promise<void> {
  const settings = new Settings(values, env)
  const interrupted = new AbortController()
  const access = await readAccess(settings, env)
  const dispose = io.onSignal(() => interrupted.abort(new LinkSocksError('ERR_CANCELLED', 'interrupted')))
  try {
    await COMMANDS[command]({ api: new ApiClient(access, interrupted.signal), settings, words, io })
  } finally {
    dispose()
    await io.flush?.()
  }
}
