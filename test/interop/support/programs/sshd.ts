import { readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Scene } from '../../../support/e2e/scene.js'
import { freePort } from '../../../support/ports.js'
import { accepts } from '../mixed-tunnel.js'
import { folder, output, programPath, startProgram } from './programs.js'

/** An OpenSSH server of the test's own, and how to reach it through a SOCKS5 port. */
export interface Sshd {
  readonly port: number
  /** `ssh -F file`: knows the host `far`, its keys, and the way through the proxy. */
  readonly clientConfig: string
}

/** What keeps sshd from running here, or `undefined`. */
export function whyNoSshd(): string | undefined {
  // root of a namespace may not change groups, and sshd takes it for the real one
  const mapped = userInfo().uid === 0 && !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'))
  return mapped ? 'sshd runs as a plain user or as root, and not as root of a user namespace' : undefined
}

/** Starts sshd on loopback, with keys made for it, for the user that runs the tests. */
export async function startSshd(scene: Scene, socksPort: number): Promise<Sshd> {
  const at = folder(scene)
  const port = await freePort()
  for (const key of ['host', 'user']) {
    await output(scene, ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(at, key)])
  }
  writeFileSync(join(at, 'sshd_config'), serverConfig(at, port))
  let log = ''
  const sshd = startProgram(scene, sshdCommand(join(at, 'sshd_config')))
  sshd.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  await accepts(port, () => log)
  const hostKey = readFileSync(join(at, 'host.pub'), 'utf8')
  writeFileSync(join(at, 'known_hosts'), `far ${hostKey}`)
  writeFileSync(join(at, 'ssh_config'), clientConfig(at, port, socksPort))
  return { port, clientConfig: join(at, 'ssh_config') }
}

function serverConfig(at: string, port: number): string {
  return `ListenAddress 127.0.0.1:${port}
HostKey ${at}/host
AuthorizedKeysFile ${at}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
`
}

function clientConfig(at: string, port: number, socksPort: number): string {
  return `Host far
  HostName 127.0.0.1
  HostKeyAlias far
  Port ${port}
  User ${userInfo().username}
  IdentityFile ${at}/user
  IdentitiesOnly yes
  UserKnownHostsFile ${at}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  ProxyCommand nc.openbsd -X 5 -x 127.0.0.1:${socksPort} %h %p
`
}

function sshdCommand(config: string): readonly string[] {
  // sshd wants to be called by its whole path
  const command = [programPath('sshd') ?? 'sshd', '-D', '-e', '-f', config]
  if (userInfo().uid !== 0) return command
  // root's sshd wants a folder that the system's service makes: a /run of its own has one
  const script = 'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec "$@"'
  return ['unshare', '--mount', 'sh', '-c', script, 'sh', ...command]
}
