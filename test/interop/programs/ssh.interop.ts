import { randomFillSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { GIT_ENV, gitHttpListener, gitRepository } from '../support/programs/git.js'
import { origin } from '../support/programs/origin.js'
import { describeWith, folder, output, run } from '../support/programs/programs.js'
import { type Sshd, startSshd, whyNoSshd } from '../support/programs/sshd.js'
import { growTree, treeDigests } from '../support/programs/tree.js'
import { carriedAll, ProgramTunnel } from '../support/programs/tunnel.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

const MB = 1024 * 1024
const noSshd = whyNoSshd()

describeWith(['ssh', 'sshd', 'nc.openbsd'], 'OpenSSH through agent mode', () => {
  const scene = sceneOfSuite()
  let tunnel: ProgramTunnel
  let sshd: Sshd
  let ssh: readonly string[]
  beforeAll(async () => {
    if (noSshd !== undefined) return
    tunnel = await ProgramTunnel.start(scene, 'agent')
    sshd = await startSshd(scene, tunnel.socksPort)
    ssh = ['ssh', '-F', sshd.clientConfig]
  })
  beforeEach((context) => context.skip(noSshd !== undefined, noSshd))

  it('runs a command, which gets its input and whose exit code comes back', async () => {
    const { code, stdout } = await run(scene, [...ssh, 'far', 'sha256sum; exit 7'], { input: Buffer.from('far away') })
    expect(stdout.toString()).toBe(`${sha256('far away')}  -\n`)
    expect(code).toBe(7)
    await tunnel.carried(`127.0.0.1:${sshd.port}`)
  })

  it.each(['sftp', 'rcp'])('copies 50 MB there and back by scp (%s protocol)', async (protocol) => {
    const at = folder(scene)
    const content = randomFillSync(Buffer.alloc(50 * MB))
    writeFileSync(join(at, 'here'), content)
    const scp = ['scp', '-F', sshd.clientConfig, '-q', ...(protocol === 'rcp' ? ['-O'] : [])]
    await output(scene, [...scp, join(at, 'here'), `far:${at}/there`])
    await output(scene, [...scp, `far:${at}/there`, join(at, 'back')])
    expect(sha256(readFileSync(join(at, 'there')))).toBe(sha256(content))
    expect(sha256(readFileSync(join(at, 'back')))).toBe(sha256(content))
  })

  it('carries a tunnel of its own: ssh -W to a server beyond', async () => {
    const beyond = await origin(scene, (_request, response) => response.end('beyond'))
    const input = Buffer.from('GET / HTTP/1.1\r\nHost: beyond\r\nConnection: close\r\n\r\n')
    const text = await output(scene, [...ssh, '-W', `127.0.0.1:${beyond.port}`, 'far'], { input })
    expect(text.toString()).toContain('beyond')
  })

  describeWith(['git'], 'git over ssh', () => {
    it('clones, and pushes a commit back', async () => {
      const { path, head } = await gitRepository(scene)
      const at = folder(scene)
      const env = { ...GIT_ENV, GIT_SSH_COMMAND: ssh.join(' ') }
      const git = (cwd: string, ...args: readonly string[]) => output(scene, ['git', ...args], { cwd, env })
      await git(at, 'clone', '-q', `ssh://far${path}`, 'clone')
      const clone = join(at, 'clone')
      await git(clone, 'fsck', '--full', '--strict')
      expect((await git(clone, 'rev-parse', 'HEAD')).toString().trim()).toBe(head)
      writeFileSync(join(clone, 'new'), randomFillSync(Buffer.alloc(4 * MB)))
      await git(clone, 'add', 'new')
      await git(clone, 'commit', '-q', '-m', 'from afar')
      await git(clone, 'push', '-q', 'origin', 'HEAD:refs/heads/pushed')
      const pushed = await git(path, 'rev-parse', 'pushed')
      expect(pushed).toEqual(await git(clone, 'rev-parse', 'HEAD'))
      await git(path, 'fsck', '--full', '--strict')
    })
  })

  describeWith(['rsync'], 'rsync over ssh', () => {
    it('copies a tree there, and the second time nothing', async () => {
      const [here, there] = [folder(scene), folder(scene)]
      growTree(here, { files: 400, maxBytes: MB / 2 })
      const rsync = ['rsync', '-a', '--itemize-changes', '-e', ssh.join(' '), `${here}/`, `far:${there}/`]
      const first = await output(scene, rsync)
      expect(first.toString().match(/^<f\+/gm)).toHaveLength(400)
      expect(treeDigests(there)).toEqual(treeDigests(here))
      expect((await output(scene, rsync)).toString()).toBe('')
    })
  })
})

describeWith(['git'], 'git over HTTP with http.proxy=socks5h', () => {
  const scene = sceneOfSuite()

  it('clones, and fetches what is new', async () => {
    const { path, head } = await gitRepository(scene)
    const { port, connections } = await origin(scene, gitHttpListener(path))
    const tunnel = await ProgramTunnel.start(scene, 'forward')
    const at = folder(scene)
    const proxy = ['-c', `http.proxy=socks5h://${tunnel.address}`]
    const git = (cwd: string, ...args: readonly string[]) =>
      output(scene, ['git', ...proxy, ...args], { cwd, env: GIT_ENV })
    await git(at, 'clone', '-q', `http://localhost:${port}/.git`, 'clone')
    const clone = join(at, 'clone')
    await git(clone, 'fsck', '--full', '--strict')
    expect((await git(clone, 'rev-parse', 'HEAD')).toString().trim()).toBe(head)
    await git(path, 'commit', '-q', '--allow-empty', '-m', 'later')
    await git(clone, 'fetch', '-q')
    expect(await git(clone, 'rev-parse', 'origin/main')).toEqual(await git(path, 'rev-parse', 'HEAD'))
    await carriedAll([tunnel], [`localhost:${port}`], connections)
  })
})
