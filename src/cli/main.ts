import { addressText } from '../address.js'
import type { LinkSocksError } from '../errors.js'
import { type LogFields, type Logger, limitedLog, remoteText } from '../log.js'
import { planClient } from './client.js'
import { type Invocation, namesNothing, parseCommandLine, writeUsage } from './command-line.js'
import { type CommandName, RUN_COMMANDS, type RunCommand } from './commands.js'
import type { Library } from './library.js'
import { runUntilEnded, type Service } from './lifecycle.js'
import { type Logging, openLog } from './logging.js'
import { asFailure, EXIT, exitCodeOf, failureText } from './outcome.js'
import { planServer } from './server.js'
import { hasApi } from './server-api.js'
import { listenFailure } from './server-listen.js'
import type { Notify } from './service-notify.js'
import type { ClientCommand } from './settings/client-flags.js'
import { type Environment, Settings } from './settings/environment.js'
import { type CliIo, processIo } from './settings/io.js'
import { type PassedSockets, passedFailure } from './settings/passed-sockets.js'
import { type Notice, readDrain } from './settings/plan.js'

/**
 * The `linksocks` program: reads the command line, runs a server or a client until it ends, or speaks to a running server,
 * and says how it ended.
 * @param argv the arguments after the program's name
 * @param loadLibrary is asked only when something is going to run
 * @returns the exit code: 0 ended by request, 1 failed, 2 usage, 3 the server refused the token or the API key; the caller exits with
 *   it at once, for a second signal leaves sockets open
 */
export async function main(
  argv: readonly string[] = process.argv.slice(2),
  env: Environment = process.env,
  io: CliIo = processIo(),
  loadLibrary: () => Promise<Library> = importLibrary,
): Promise<number> {
  if (namesNothing(argv, env)) {
    writeUsage(io)
    return EXIT.usage
  }
  let invocation: Invocation | undefined
  let logging: Logging | undefined
  try {
    invocation = parseCommandLine(argv, env, io)
    if (invocation === undefined) return EXIT.ended
    const { command } = invocation
    if (!isRun(command)) {
      const { manage } = await import('./manage/manage.js')
      await manage({ ...invocation, command }, env, io)
      return EXIT.ended
    }
    const settings = new Settings(invocation.values, env)
    logging = openLog(settings, invocation, env, io)
    const { logger } = logging
    const notify = await openNotify(env, logger)
    const passed = await passedSockets(env, io)
    const { service, started } =
      command === 'server'
        ? await prepareServer(settings, passed, logging, notify, loadLibrary)
        : await prepareClient(command, settings, { env, passed }, logging, loadLibrary)
    const limited = limitedLog(logger, () => performance.now())
    io.onFailure((thrown) => limited.error('process.failure', failureFields(thrown)))
    const error = await runUntilEnded(notifying(service, notify), io, logger, started)
    return error === undefined ? EXIT.ended : fail(error, io, logging, invocation)
  } catch (thrown) {
    return fail(asFailure(thrown), io, logging, invocation)
  }
}

function isRun(command: CommandName): command is RunCommand {
  return RUN_COMMANDS.some((known) => known === command)
}

/** How the service manager is told, where there is one that wants to know; it is loaded for nothing else. */
async function openNotify(env: Environment, logger: Logger): Promise<Notify> {
  if ((env.NOTIFY_SOCKET ?? '') === '') return () => {}
  const { ServiceNotifier } = await import('./service-notify.js')
  return new ServiceNotifier(env, logger).notify
}

/** Says when the service runs and when it begins to end. */
function notifying(service: Service, notify: Notify): Service {
  let closing = false
  return {
    ...service,
    start: async () => {
      await service.start()
      if (!closing) notify({ ready: true })
    },
    close: (drainMs) => {
      closing = true
      notify({ stopping: true, status: drainMs > 0 ? 'draining' : 'closing' })
      return service.close(drainMs)
    },
  }
}

/** Something ready to run; nothing is open yet. */
interface Running {
  readonly service: Service
  /** Called once it runs. */
  readonly started?: () => void
}

/** Few processes are passed sockets: the others don't load what reads it. */
async function passedSockets(env: Environment, { pid, forgetVariables }: CliIo): Promise<PassedSockets | undefined> {
  if (env.LISTEN_PID === undefined || pid === undefined) return undefined
  const { LISTEN_VARIABLES, readPassedSockets } = await import('./settings/listen-fds.js')
  const passed = readPassedSockets(env, pid)
  forgetVariables?.(LISTEN_VARIABLES)
  return passed
}

async function prepareServer(
  settings: Settings,
  passed: PassedSockets | undefined,
  log: Logging,
  notify: Notify,
  loadLibrary: () => Promise<Library>,
): Promise<Running> {
  const { logger, traceMessages } = log
  const { options, notices, announcements } = await planServer(settings, passed)
  const { Server } = await loadLibrary()
  report(logger, notices)
  const server = new Server({ ...options, logger, traceMessages })
  let address = ''
  const start = async (): Promise<void> => {
    address = addressText(
      await server.listen().catch((thrown) => {
        throw listenFailure(thrown, options, passed)
      }),
    )
  }
  const started = (): void => {
    const listen = server.addresses.join(' ')
    logger.info('server.ready', { address, api: hasApi(options), listen })
    notify({ status: `listening on ${listen}` })
    report(logger, announcements)
  }
  const { drainMs, drainIdleMs } = readDrain(settings)
  const service: Service = {
    ...{ start, drainMs },
    reload: () => server.reload(),
    close: (limitMs) => server.close({ drainMs: limitMs, drainIdleMs }),
  }
  return { service, started }
}

async function prepareClient(
  command: ClientCommand,
  settings: Settings,
  { env, passed }: { readonly env: Environment; readonly passed: PassedSockets | undefined },
  log: Logging,
  loadLibrary: () => Promise<Library>,
): Promise<Running> {
  const { logger, traceMessages } = log
  const { options, notices } = await planClient(command, settings, { env, passed })
  const { Client } = await loadLibrary()
  report(logger, notices)
  const client = new Client({ ...options, logger, traceMessages })
  const { drainMs, drainIdleMs } = readDrain(settings)
  return {
    service: {
      start: () =>
        client.start().catch((thrown) => {
          throw passedFailure(thrown, passed)
        }),
      ended: client.closed.then((error) => passedFailure(error, passed)),
      drainMs,
      close: (limitMs) => client.close({ drainMs: limitMs, drainIdleMs }),
    },
  }
}

/** What nobody caught is one stream's or handler's trouble: the others go on. */
function failureFields(thrown: unknown): LogFields {
  const error = asFailure(thrown)
  return { code: error.code, reason: remoteText(error.message), stack: remoteText(stackOf(thrown)) }
}

function stackOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? '').split('\n').slice(1, 6).join(' ').replace(/\s+/g, ' ') : ''
}

function report(logger: Logger, notices: readonly Notice[]): void {
  for (const { level, event, fields } of notices) logger[level](event, fields)
}

/** One line that says why: for people, or an object where the log consists of objects. */
function fail(
  error: LinkSocksError,
  io: CliIo,
  logging: Logging | undefined,
  invocation: Invocation | undefined,
): number {
  const exit = exitCodeOf(error)
  const text = failureText(error, invocation?.command)
  if (exit === EXIT.failed) logging?.logger.debug('cli.trace', { stack: error.stack })
  if (logging?.format === 'json') logging.logger.error('cli.failed', { code: error.code, exit, error: text })
  else io.stderr.write(`linksocks: ${text}\n`)
  return exit
}

/** Loaded late, so that help and usage errors are quick. */
async function importLibrary(): Promise<Library> {
  return await import('../index.js')
}
