import { spawnSync } from 'node:child_process'
import { copyFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort, Program } from '../lib/processes.mjs'
import { programPath } from '../lib/tools.mjs'

/**
 * `ssh -D` to an sshd of its own: what people use who have a shell over there. It encrypts, the others here do not.
 *
 * @param {string} folder for keys and configuration
 * @returns {import('./subject.mjs').Subject | import('./subject.mjs').Missing}
 */
export function ssh(folder) {
  const sshd = programPath('sshd')
  const program = programPath('ssh')
  if (sshd === undefined || program === undefined) return { name: 'ssh', reason: 'ssh or sshd is not installed' }
  for (const key of ['host', 'user']) {
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, key)])
  }
  copyFileSync(join(folder, 'user.pub'), join(folder, 'authorized_keys'))
  return {
    name: 'ssh',
    title: 'ssh -D (encrypts)',
    modes: ['forward'],
    version: spawnSync(program, ['-V'], { encoding: 'utf8' }).stderr?.split(',')[0] ?? '',
    async start(_mode, wires) {
      const serverPort = await freePort()
      const port = await freePort()
      const config = join(folder, `sshd-${serverPort}`)
      writeFileSync(config, serverConfig(folder, serverPort))
      const far = new Program('sshd', sshdCommand(sshd, config))
      await far.accepts(serverPort)
      const near = new Program('ssh', [program, ...clientFlags(folder, await wires.before(serverPort), port)])
      await near.accepts(port)
      return { programs: [far, near], port, socks: true, processes: 2 }
    },
  }
}

const serverConfig = (/** @type {string} */ folder, /** @type {number} */ port) => `ListenAddress 127.0.0.1:${port}
HostKey ${folder}/host
AuthorizedKeysFile ${folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
`

/**
 * @param {string} folder
 * @param {number} serverPort
 * @param {number} port
 */
const clientFlags = (folder, serverPort, port) => [
  '-F',
  '/dev/null',
  '-N',
  '-D',
  `127.0.0.1:${port}`,
  '-p',
  `${serverPort}`,
  '-i',
  join(folder, 'user'),
  ...['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'IdentitiesOnly=yes'].flatMap(
    (option) => ['-o', option],
  ),
  `${userInfo().username}@127.0.0.1`,
]

function sshdCommand(/** @type {string} */ sshd, /** @type {string} */ config) {
  const command = [sshd, '-D', '-e', '-f', config]
  if (userInfo().uid !== 0) return command
  // root's sshd wants a folder that the system's service makes: a /run of its own has one
  const script = 'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec "$@"'
  return ['unshare', '--mount', 'sh', '-c', script, 'sh', ...command]
}
