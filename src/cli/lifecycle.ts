import type { LinkSocksError } from '../errors.js'
import type { Logger } from '../log.js'
import { asFailure } from './outcome.js'
import type { CliIo } from './settings/io.js'

/** How long an orderly end may take, behind what is waited for, before the process ends all the same. */
export const CLOSE_LIMIT_MS = 10_000

const KEEP_ALIVE_MS = 3_600_000

/** Something to start, to wait for and to close. */
export interface Service {
  /** Resolves once it runs. */
  start(): Promise<void>
  /** Settles when it ended without being asked; `undefined`: it never does. */
  readonly ended?: Promise<LinkSocksError | undefined> | undefined
  /** @param drainMs how long what is under way may take to end by itself; 0 on a signal other than {@link DRAIN_SIGNALS} */
  close(drainMs: number): Promise<void>
  /** Reads files again, when it is asked to. Never rejects. @default there is nothing to read */
  readonly reload?: (() => Promise<void>) | undefined
  /** What `close()` is given then. @default 0 */
  readonly drainMs?: number | undefined
}

/** Ask for an end without haste: from a service manager, and when the terminal is gone. By a key (SIGINT, SIGQUIT) it comes at once. */
const DRAIN_SIGNALS: readonly string[] = ['SIGTERM', 'SIGHUP']

type Event =
  | { readonly kind: 'started' }
  | { readonly kind: 'signal'; readonly signal: string }
  | { readonly kind: 'ended'; readonly error?: LinkSocksError | undefined }

/**
 * Runs `service` until it ends by itself or a signal asks it to. A second signal ends the wait for an orderly close
 * at once, and so does {@link CLOSE_LIMIT_MS}.
 * @param started is called once `start()` has resolved
 * @returns the error that ended it, or `undefined` when it ended by request
 */
export async function runUntilEnded(
  service: Service,
  io: CliIo,
  log: Logger,
  started: () => void = () => {},
): Promise<LinkSocksError | undefined> {
  const signals = watchSignals(io, log)
  // a client between two attempts to connect has nothing open that would keep the process alive
  const alive = setInterval(() => {}, KEEP_ALIVE_MS)
  try {
    const signal = signals.first.then((name): Event => ({ kind: 'signal', signal: name }))
    const ended = eventOf(service.ended)
    let event = await Promise.race([startEvent(service), ended, signal])
    if (event.kind === 'started') {
      started()
      const { reload } = service
      const ignore = reload && io.onReload?.(() => void reloadNow(reload, log))
      event = await Promise.race([ended, signal])
      ignore?.()
    }
    const drains = event.kind === 'signal' && DRAIN_SIGNALS.includes(event.signal)
    await Promise.race([closeQuietly(service, drains ? (service.drainMs ?? 0) : 0, log), signals.second])
    return event.kind === 'ended' ? event.error : undefined
  } finally {
    clearInterval(alive)
    signals.dispose()
  }
}

async function reloadNow(reload: () => Promise<void>, log: Logger): Promise<void> {
  log.info('cli.reloading')
  await reload()
  log.info('cli.reloaded')
}

async function startEvent(service: Service): Promise<Event> {
  try {
    await service.start()
    return { kind: 'started' }
  } catch (thrown) {
    return { kind: 'ended', error: asFailure(thrown) }
  }
}

async function eventOf(ended: Service['ended']): Promise<Event> {
  return { kind: 'ended', error: await (ended ?? new Promise<never>(() => {})) }
}

/** Closes within {@link CLOSE_LIMIT_MS} of what it may wait; a failure to do so is only logged, the process ends anyway. */
async function closeQuietly(service: Service, drainMs: number, log: Logger): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      log.warn('cli.close-timeout', { limitMs: CLOSE_LIMIT_MS })
      resolve()
    }, drainMs + CLOSE_LIMIT_MS)
  })
  try {
    await Promise.race([service.close(drainMs), limit])
  } catch (thrown) {
    log.warn('cli.close-failed', { error: asFailure(thrown).message })
  } finally {
    clearTimeout(timer)
  }
}

interface Signals {
  /** The signal's name. */
  readonly first: Promise<string>
  readonly second: Promise<string>
  dispose(): void
}

function watchSignals(io: CliIo, log: Logger): Signals {
  const waiting: ((signal: string) => void)[] = []
  const next = (): Promise<string> => new Promise((resolve) => waiting.push(resolve))
  const first = next()
  const second = next()
  const dispose = io.onSignal((signal) => {
    if (waiting.length === 2) log.info('cli.stopping', { signal })
    waiting.shift()?.(signal)
  })
  return { first, second, dispose }
}
