import { spawn } from 'node:child_process'
import { type Logger, remoteText } from '../log.js'
import { asFailure } from './outcome.js'
import type { Environment } from './settings/environment.js'

/** How long one call of {@link PROGRAM} may take: it waits until the service manager has read the message. */
export const NOTIFY_TIMEOUT_MS = 5_000
/** What is kept of a failed call's standard error. */
export const MAX_NOTIFY_ERROR_CHARACTERS = 1_024

/** Node has no Unix datagram sockets. The program comes with systemd, which is what sets NOTIFY_SOCKET. */
const PROGRAM = 'systemd-notify'
const MISSING = `${PROGRAM} is not installed: the service manager does not learn whether the program is ready`

/** What the service manager should know; what is left out stays as it was. */
export interface ServiceState {
  /** READY=1: it runs. */
  readonly ready?: true
  /** STOPPING=1: it has begun to end. */
  readonly stopping?: true
  /** One line for people. */
  readonly status?: string
}

export type Notify = (state: ServiceState) => void

/**
 * Tells the service manager behind NOTIFY_SOCKET how the program is, by `systemd-notify` (sd_notify(3)). Calls run one after the other;
 * what comes during one is put together for the next. None of them holds the program up, and a failure is only a warning.
 */
export class ServiceNotifier {
  readonly #env: Record<string, string>
  readonly #log: Logger
  #next: ServiceState | undefined
  #busy = false
  #warned = false
  #missing = false

  /** @param env has NOTIFY_SOCKET, and the PATH on which the program is looked for */
  constructor({ NOTIFY_SOCKET = '', PATH = '' }: Environment, log: Logger) {
    this.#env = { NOTIFY_SOCKET, PATH }
    this.#log = log
  }

  readonly notify: Notify = (state) => {
    if (this.#missing) return
    this.#next = { ...this.#next, ...state }
    if (!this.#busy) void this.#sendAll()
  }

  async #sendAll(): Promise<void> {
    this.#busy = true
    for (let state = this.#take(); state !== undefined; state = this.#take()) {
      const failure = await this.#send(assignments(state))
      if (failure !== undefined) this.#warn(failure)
    }
    this.#busy = false
  }

  #take(): ServiceState | undefined {
    const next = this.#missing ? undefined : this.#next
    this.#next = undefined
    return next
  }

  /** @returns why it failed, if it did */
  async #send(args: readonly string[]): Promise<string | undefined> {
    try {
      return await call(args, this.#env)
    } catch (thrown) {
      this.#missing = isMissing(thrown)
      return this.#missing ? MISSING : asFailure(thrown).message
    }
  }

  #warn(reason: string): void {
    if (this.#warned) return
    this.#warned = true
    this.#log.warn('service.notify-failed', { reason })
  }
}

function assignments({ ready, stopping, status }: ServiceState): readonly string[] {
  return [
    ...(ready ? ['READY=1'] : []),
    ...(stopping ? ['STOPPING=1'] : []),
    ...(status === undefined ? [] : [`STATUS=${remoteText(status)}`]),
  ]
}

/** Resolves when the program has ended. @throws what spawn() says */
function call(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(PROGRAM, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, NOTIFY_TIMEOUT_MS)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, MAX_NOTIFY_ERROR_CHARACTERS)
    })
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    // not 'close': a process that inherited standard error may keep it open
    child.on('exit', (code, signal) => {
      clearTimeout(timer)
      child.stderr.destroy()
      const how = late
        ? `no end within ${NOTIFY_TIMEOUT_MS} ms`
        : remoteText(said.trim()) || `ended with ${code ?? signal}`
      resolve(code === 0 ? undefined : `${PROGRAM}: ${how}`)
    })
  })
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT'
}
