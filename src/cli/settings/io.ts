/** Where the command line program writes and whom it obeys; tests bring their own. */

import { type LineSink, openTerminalSink } from './terminal-sink.js'

export interface TextSink {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  /** Width of the terminal, if it is one. */
  readonly columns?: number | undefined
}

export interface CliIo {
  readonly stdout: TextSink
  readonly stderr: TextSink
  /** For the log. @default standard error */
  log?(): LineSink
  /**
   * Resolves once what was written to standard output is out, or nobody reads it; rejects when it can't be written, as to a full
   * disk. @default nothing to wait for
   */
  flush?(): Promise<void>
  /** Calls `listener` at each request to end (SIGINT, SIGTERM, SIGQUIT, SIGHUP) until the returned function is called. */
  onSignal(listener: (signal: string) => void): () => void
  /** Calls `listener` at each request to read files again (SIGHUP, where it is no request to end) until the returned function is called. */
  onReload?(listener: () => void): () => void
  /** Number of this process. @default none: no sockets were passed to it */
  readonly pid?: number | undefined
  /** Takes variables out of the environment of the processes that this one starts. */
  forgetVariables?(names: readonly string[]): void
  /** Calls `listener` with what was thrown and caught by nobody, in place of ending the process. For good. */
  onFailure(listener: (thrown: unknown) => void): void
}

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM'] as const

/**
 * The real thing. A reader that went away (`linksocks --help | head -1`) is no reason to crash.
 * @param endingSignals those that ask the process to end. @default SIGINT and SIGTERM
 */
export function processIo(endingSignals: readonly NodeJS.Signals[] = ENDING_SIGNALS): CliIo {
  let failure: NodeJS.ErrnoException | undefined
  process.stderr.on('error', () => {})
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') failure ??= error
  })
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    log: () => (process.stderr.isTTY ? openTerminalSink() : undefined) ?? process.stderr,
    flush: async () => {
      await new Promise<void>((resolve) => process.stdout.write('', () => resolve()))
      if (failure !== undefined) throw failure
    },
    pid: process.pid,
    forgetVariables(names) {
      for (const name of names) delete process.env[name]
    },
    onSignal(listener) {
      for (const signal of endingSignals) process.on(signal, listener)
      return () => {
        for (const signal of endingSignals) process.off(signal, listener)
      }
    },
    onReload(listener) {
      if (endingSignals.includes('SIGHUP')) return () => {}
      process.on('SIGHUP', listener)
      return () => void process.off('SIGHUP', listener)
    },
    onFailure(listener) {
      process.on('uncaughtException', listener)
      process.on('unhandledRejection', listener)
    },
  }
}
