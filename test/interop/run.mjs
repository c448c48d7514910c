// Runs the suite where nothing but loopback can be reached: some of the programs under test ask public servers who they are.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const VITEST = [
  'npx',
  '--no-install',
  'vitest',
  'run',
  '--config',
  'test/interop/vitest.config.ts',
  ...process.argv.slice(2),
]
/** Ways to a network namespace of our own: as root, else as a user that is root in a namespace. */
const ISOLATE = [
  ['unshare', '--net'],
  ['unshare', '--map-root-user', '--net'],
]
/** Kernels differ in what one connection may hold, up to 32 MB: the cases about slow readers want to know. */
const RECEIVE_BUFFER = '{ echo 4096 131072 6291456 >/proc/sys/net/ipv4/tcp_rmem; } 2>/dev/null'
const LOOPBACK = ['sh', '-c', `ip link set lo up && { ${RECEIVE_BUFFER}; exec "$@"; }`, 'sh']

const works = (command) => spawnSync(command[0], command.slice(1), { stdio: 'ignore' }).status === 0

const isolate = ISOLATE.find((way) => works([...way, ...LOOPBACK, 'true']))
if (isolate === undefined)
  process.stderr.write('no network namespace here: deployed clients run with --direct-mode relay-only\n')
const [program, ...args] = isolate === undefined ? VITEST : [...isolate, ...LOOPBACK, ...VITEST]
const env = { ...process.env, LINKSOCKS_INTEROP_ISOLATED: isolate === undefined ? '0' : '1' }
const { status, signal } = spawnSync(program, args, { cwd: ROOT, env, stdio: 'inherit' })
process.exitCode = status ?? (signal === 'SIGINT' ? 130 : 1)
