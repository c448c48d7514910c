import type { Logger } from '../log.js'
import { createLogger } from '../node/system/pino-logger.js'
import type { Invocation } from './command-line.js'
import { LogOutput } from './log-output.js'
import type { Environment, Settings } from './settings/environment.js'
import { LOG_FORMAT } from './settings/flags.js'
import type { CliIo } from './settings/io.js'
import { parseChoice } from './settings/values.js'

export interface Logging {
  readonly logger: Logger
  readonly format: 'text' | 'json'
  /** -dd: every message as well. */
  readonly traceMessages: boolean
}

/**
 * The log that the command line asks for, on standard error.
 * @throws {LinkSocksError} ERR_OPTION
 */
export function openLog(settings: Settings, { debug }: Invocation, env: Environment, io: CliIo): Logging {
  const format = settings.value(LOG_FORMAT, (text) => parseChoice(text, ['text', 'json'] as const)) ?? 'text'
  const level = debug === 0 ? 'info' : debug === 1 ? 'debug' : 'trace'
  // https://no-color.org: set and not empty
  const colors = io.stderr.isTTY === true && (env.NO_COLOR ?? '') === ''
  const destination = new LogOutput(io.log?.() ?? io.stderr, (lines) => logger.warn('log.lost', { lines }))
  const logger = createLogger({ format, level, destination, colors })
  return { logger, format, traceMessages: debug > 1 }
}
