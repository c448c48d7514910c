import { randomFillSync } from 'node:crypto'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { HAS_IPV6, readAll, tcpTarget, udpEcho } from '../../support/e2e/targets.js'
import { freePort } from '../../support/ports.js'
import { socksProxy } from '../../support/proxies.js'
import { accepts } from '../support/mixed-tunnel.js'
import { contentListener, origin } from '../support/programs/origin.js'
import { describeWith, folder, output, run, startProgram } from '../support/programs/programs.js'
import { afterEofAnswer, afterEofTarget } from '../support/programs/targets.js'
import { growTree, treeDigests } from '../support/programs/tree.js'
import { carriedAll, ProgramTunnel } from '../support/programs/tunnel.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

const MB = 1024 * 1024
const content = randomFillSync(Buffer.alloc(24 * MB))
const digest = sha256(content)
const PYTHON = fileURLToPath(new URL('../.venv/tools/bin/python', import.meta.url))
const PYSOCKS = fileURLToPath(new URL('../peers/programs_pysocks.py', import.meta.url))

describeWith(['nc.openbsd'], 'nc', () => {
  describe('through agent mode', () => ncCases([]))
  describe('through agent mode with fast open', () => ncCases(['-f']))
})

function ncCases(listenerArgs: readonly string[]): void {
  const scene = sceneOfSuite()
  let tunnel: ProgramTunnel
  beforeAll(async () => {
    tunnel = await ProgramTunnel.start(scene, 'agent', { listenerArgs })
  })
  const nc = (...args: readonly string[]) => ['nc.openbsd', '-X', '5', '-x', tunnel.address, ...args]

  it('-N ends its side and gets the whole answer to that: 24 MB up, then 24 MB down', async () => {
    const port = await afterEofTarget(scene)
    const answer = await output(scene, nc('-N', '127.0.0.1', `${port}`), { input: content })
    expect(sha256(answer)).toBe(sha256(afterEofAnswer(content)))
    await tunnel.carried(`127.0.0.1:${port}`)
  })

  it('-N with nothing to send gets the answer to nothing', async () => {
    const port = await afterEofTarget(scene)
    expect(await output(scene, nc('-N', 'localhost', `${port}`))).toEqual(afterEofAnswer(Buffer.alloc(0)))
    await tunnel.carried(`localhost:${port}`)
  })

  it('goes on sending to a target that has ended its side', async () => {
    const received: Promise<Buffer>[] = []
    const port = await tcpTarget(scene, (socket) => received.push(readAll(socket.end('goodbye'))))
    const answer = await output(scene, nc('-N', '127.0.0.1', `${port}`), { input: content })
    expect(answer.toString()).toBe('goodbye')
    expect((await Promise.all(received)).map(sha256)).toEqual([digest])
  })

  const told = listenerArgs.includes('-f')
    ? 'and can not say why: it was connected already'
    : 'and says that it refused'
  it(`gets nothing from a port that refuses, ${told}`, async () => {
    const { code, stdout, stderr } = await run(scene, nc('-N', '127.0.0.1', `${await freePort()}`))
    expect(stdout).toHaveLength(0)
    if (!listenerArgs.includes('-f')) expect([code, stderr]).toEqual([1, expect.stringContaining('refused')])
    else expect(stderr).not.toContain('refused')
  })
}

describeWith(['wget', 'proxychains4'], 'wget in proxychains', () => {
  const scene = sceneOfSuite()
  // it preloads itself into wget: environment and configuration alone tell it where the proxy is
  const wget = (tunnel: ProgramTunnel, dns: string, url: string) => {
    const config = `strict_chain\n${dns}\n[ProxyList]\nsocks5 127.0.0.1 ${tunnel.socksPort}\n`
    return ['proxychains4', '-q', '-f', scene.file(config), 'wget', '-q', '-t', '1', '-T', '20', '-O', '-', url]
  }

  it('brings 24 MB down', async () => {
    const tunnel = await ProgramTunnel.start(scene, 'forward')
    const { port, connections } = await origin(scene, contentListener(content))
    expect(sha256(await output(scene, wget(tunnel, '', `http://127.0.0.1:${port}/`)))).toBe(digest)
    await carriedAll([tunnel], [`127.0.0.1:${port}`], connections)
  })

  it('reaches a name that only the exit knows', async () => {
    const { port } = await origin(scene, contentListener(content))
    const beyond = await socksProxy({ targetPort: port })
    scene.own(() => beyond.close())
    const tunnel = await ProgramTunnel.start(scene, 'agent', { exitArgs: ['-x', `socks5://127.0.0.1:${beyond.port}`] })
    const url = 'http://printer.office.test/hello/name'
    expect((await output(scene, wget(tunnel, 'proxy_dns', url))).toString()).toBe('hello name')
    expect(beyond.requests).toEqual(['printer.office.test:80'])
    const alone = await run(scene, ['wget', '-q', '-t', '1', '-T', '20', '-O', '-', url])
    expect(alone.code).not.toBe(0)
  })
})

describeWith([PYTHON], 'PySocks', () => {
  const scene = sceneOfSuite()
  const login = ['ann', 'open sesame'] as const
  let tunnel: ProgramTunnel
  beforeAll(async () => {
    tunnel = await ProgramTunnel.start(scene, 'forward', { listenerArgs: ['-n', login[0], '-w', login[1]] })
  })
  const python = (kind: string, host: string, port: number, credentials: readonly string[] = login) => {
    return [PYTHON, PYSOCKS, `${tunnel.socksPort}`, kind, host, `${port}`, ...credentials]
  }

  it('sends 24 MB, ends its side, and receives the answer to that', async () => {
    const port = await afterEofTarget(scene)
    const answer = await output(scene, python('tcp', 'localhost', port), { input: content })
    expect(sha256(answer)).toBe(sha256(afterEofAnswer(content)))
    await tunnel.carried(`localhost:${port}`)
  })

  it('serves a library that knows nothing of proxies', async () => {
    const { port, connections } = await origin(scene, contentListener(content))
    const answer = await output(scene, python('patched', '127.0.0.1', port), { input: content })
    expect(answer.toString()).toBe(digest)
    await carriedAll([tunnel], [`127.0.0.1:${port}`], connections)
  })

  it('sends datagrams to an address and to a name, and hears who answered', async () => {
    const port = await udpEcho(scene, '127.0.0.1')
    const names = ['127.0.0.1', 'localhost']
    if (HAS_IPV6) await udpEcho(scene, '::1', port)
    for (const name of names) {
      const answer = await output(scene, python('udp', name, port), {
        input: Buffer.from(`one\ntwo\n${'3'.repeat(1_400)}\n`),
      })
      const lines = answer.toString().trim().split('\n')
      expect(lines.map((line) => line.split(' from ')[0])).toEqual(['one', 'two', '3'.repeat(1_400)])
      for (const line of lines) expect(line).toMatch(new RegExp(` from (127\\.0\\.0\\.1|::1):${port}$`))
    }
  })

  it('is told of a port that refuses, and of a wrong password', async () => {
    const refused = await run(scene, python('tcp', '127.0.0.1', await freePort()))
    expect(refused.stderr).toContain('0x05: Connection refused')
    const rejected = await run(scene, python('tcp', '127.0.0.1', await freePort(), ['ann', 'wrong']))
    expect(rejected.stderr).toContain('SOCKS5 authentication failed')
  })
})

describeWith(['rsync', 'nc.openbsd'], 'rsync to a daemon, by RSYNC_CONNECT_PROG', () => {
  const scene = sceneOfSuite()

  it('brings a tree down, takes one up, and moves nothing the second time', async () => {
    const [served, mirror, taken] = [folder(scene), folder(scene), folder(scene)]
    growTree(served, { files: 400, maxBytes: MB / 2 })
    const port = await startDaemon(served, taken)
    const tunnel = await ProgramTunnel.start(scene, 'agent')
    const env = { RSYNC_CONNECT_PROG: `nc.openbsd -X 5 -x ${tunnel.address} %H ${port}` }
    const rsync = async (from: string, to: string): Promise<string> => {
      return (await output(scene, ['rsync', '-a', '--itemize-changes', from, to], { env })).toString()
    }
    const down = () => rsync('rsync://127.0.0.1/served/', `${mirror}/`)
    expect((await down()).match(/^>f\+/gm)).toHaveLength(400)
    expect(treeDigests(mirror)).toEqual(treeDigests(served))
    expect(await down()).toBe('')

    const up = () => rsync(`${mirror}/`, 'rsync://127.0.0.1/taken/')
    expect((await up()).match(/^<f\+/gm)).toHaveLength(400)
    expect(treeDigests(taken)).toEqual(treeDigests(served))
    expect(await up()).toBe('')
    await tunnel.carried(`127.0.0.1:${port}`, 4)
  })

  async function startDaemon(served: string, taken: string): Promise<number> {
    const port = await freePort()
    const { uid, gid } = userInfo()
    // root's daemon would become nobody
    const owner = uid === 0 ? `uid = ${uid}\ngid = ${gid}\n` : ''
    const modules = `[served]\npath = ${served}\n[taken]\npath = ${taken}\nread only = no\n`
    const config = scene.file(`use chroot = no\n${owner}log file = ${join(folder(scene), 'log')}\n${modules}`)
    const args = ['--daemon', '--no-detach', '--address', '127.0.0.1', '--port', `${port}`, '--config', config]
    startProgram(scene, ['rsync', ...args])
    await accepts(port, () => 'rsync writes to its log')
    return port
  }
})
