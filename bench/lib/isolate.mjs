import { spawn, spawnSync } from 'node:child_process'
import { userInfo } from 'node:os'

const GUARD = 'LINKSOCKS_BENCH_ISOLATED'
const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])
const LOOPBACK = ['sh', '-c', 'ip link set lo up && exec "$@"', 'sh']

/**
 * Runs this program again where nothing but loopback exists, if that is possible: no opponent can then ask anybody
 * else, and no port is taken. Only as root, because sshd doesn't run as root of a user's namespace.
 *
 * @returns {Promise<number | undefined>} the exit code of that run; `undefined` if this is it, or has to be
 */
export async function runIsolated() {
  const isolate = ['--net', ...LOOPBACK]
  const works = () => spawnSync('unshare', [...isolate, 'true'], { stdio: 'ignore' }).status === 0
  if (process.env[GUARD] === '1' || userInfo().uid !== 0 || !works()) return undefined
  const child = spawn('unshare', [...isolate, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [GUARD]: '1' },
  })
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal))
  return new Promise((resolve) => {
    child.on('error', () => resolve(1)).on('close', (code) => resolve(code ?? 1))
  })
}

/** Ends this program by its own hand, so that everything it started ends with it. */
export function endOnSignals() {
  for (const signal of SIGNALS) process.on(signal, () => process.exit(130))
}
