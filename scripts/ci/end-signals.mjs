/** Signals that end a program, and its exit codes then. */
const SIGNALS = [
  ['SIGHUP', 129],
  ['SIGINT', 130],
  ['SIGTERM', 143],
]

/**
 * Aborts at the first of these signals, from now on; the process goes on until its work has stopped.
 * @returns {{ readonly signal: AbortSignal, readonly exitCode: number | undefined }} `exitCode` from that signal on
 */
export function endAtSignals() {
  const controller = new AbortController()
  let exitCode
  for (const [name, code] of SIGNALS) {
    process.on(name, () => {
      exitCode ??= code
      controller.abort()
    })
  }
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode
    },
  }
}
