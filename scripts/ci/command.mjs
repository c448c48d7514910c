import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

/** From the request to end until the process group is killed. */
const GRACE_MS = 10_000
/** Between two looks whether all of the group has ended. */
const POLL_MS = 50
/** For what is still in the pipe after that: a process that left the group may hold it for ever. */
const DRAIN_MS = 1_000
const NEWLINE = 10

/**
 * Runs a command to its end, with all that it started: a group of its own, which is ended with it.
 * @param {readonly string[]} command program and arguments
 * @param {{ limitMs: number, signal?: AbortSignal, env?: Record<string, string> }} options `limitMs`: longest run; then it has failed
 * @returns {Promise<{ ok: boolean, how: string }>} whether it ended with 0, and how it ended
 */
export async function runCommand([program, ...args], { limitMs, signal, env = {} }) {
  if (signal?.aborted) return { ok: false, how: 'not run' }
  const limit = AbortSignal.timeout(limitMs)
  // a pipe of its own: what leaves the group can neither write below the sum nor hold our output open
  const child = spawn('sh', ['-c', 'exec "$@" 2>&1', 'sh', program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
    detached: true,
  })
  let last = NEWLINE
  child.stdout.on('data', (bytes) => {
    last = bytes.at(-1)
    process.stdout.write(bytes)
  })
  const closed = new Promise((resolve) => child.on('close', resolve))
  const ended = new Promise((resolve) => {
    child.on('error', (error) => resolve(`did not start: ${error.message}`))
    child.on('exit', (code, name) => resolve(code ?? name))
  })
  let killAt
  let timer
  const stop = () => {
    if (killAt !== undefined) return
    killAt = performance.now() + GRACE_MS
    timer = setTimeout(() => endGroup(child.pid, 'SIGKILL'), GRACE_MS)
    endGroup(child.pid, 'SIGTERM')
  }
  const reasons = signal === undefined ? [limit] : [limit, signal]
  for (const reason of reasons) reason.addEventListener('abort', stop)
  const how = await ended
  for (const reason of reasons) reason.removeEventListener('abort', stop)
  clearTimeout(timer)
  // those that it started clean up for as long as it might have
  while (killAt !== undefined && performance.now() < killAt && endGroup(child.pid, 0)) await sleep(POLL_MS)
  // nothing of it may go on beside the next
  endGroup(child.pid, 'SIGKILL')
  await Promise.race([closed, sleep(DRAIN_MS, undefined, { ref: false })])
  child.stdout.destroy()
  if (last !== NEWLINE) process.stdout.write('\n')
  if (limit.aborted) return { ok: false, how: `took longer than ${limitMs / 60_000} min` }
  return { ok: how === 0, how: typeof how === 'number' ? `ended with ${how}` : String(how) }
}

/** @returns whether there was anything left of it that could be told */
function endGroup(pid, name) {
  if (pid === undefined) return false
  try {
    process.kill(-pid, name)
    return true
  } catch (error) {
    // all of it has ended, or what is left is not ours to end
    if (error.code !== 'ESRCH' && error.code !== 'EPERM') throw error
    return false
  }
}
