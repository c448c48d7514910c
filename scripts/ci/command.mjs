import { spawn } from 'node:child_process'

/** From the request to end until the process group is killed. */
const GRACE_MS = 10_000

/**
 * Runs a command to its end, with all that it started: a group of its own, which is ended with it.
 * @param {readonly string[]} command program and arguments
 * @param {{ limitMs: number, signal?: AbortSignal, env?: Record<string, string> }} options `limitMs`: longest run; then it has failed
 * @returns {Promise<{ ok: boolean, how: string }>} whether it ended with 0, and how it ended
 */
export async function runCommand([program, ...args], { limitMs, signal, env = {} }) {
  const limit = AbortSignal.timeout(limitMs)
  const child = spawn(program, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
    detached: true,
  })
  const ended = new Promise((resolve) => {
    child.on('error', (error) => resolve(`did not start: ${error.message}`))
    child.on('exit', (code, name) => resolve(code ?? name))
  })
  const stop = () => {
    endGroup(child.pid, 'SIGTERM')
    setTimeout(() => endGroup(child.pid, 'SIGKILL'), GRACE_MS).unref()
  }
  const reasons = signal === undefined ? [limit] : [limit, signal]
  for (const reason of reasons) reason.aborted ? stop() : reason.addEventListener('abort', stop)
  const how = await ended
  for (const reason of reasons) reason.removeEventListener('abort', stop)
  // nothing of it may go on beside the next
  endGroup(child.pid, 'SIGKILL')
  if (limit.aborted) return { ok: false, how: `took longer than ${limitMs / 60_000} min` }
  return { ok: how === 0, how: typeof how === 'number' ? `ended with ${how}` : String(how) }
}

function endGroup(pid, name) {
  if (pid === undefined) return
  try {
    process.kill(-pid, name)
  } catch (error) {
    // all of it has ended
    if (error.code !== 'ESRCH') throw error
  }
}
