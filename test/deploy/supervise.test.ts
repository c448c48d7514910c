import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { PeerProcess } from '../interop/support/peer-process.js'
import { ROOT, readText } from '../project/support.js'
import { type Scene, sceneOfTest } from '../support/e2e/scene.js'
import { freePort } from '../support/ports.js'
import { eventually, until } from '../support/wait.js'
import { answerOf, Probes } from './support/probes.js'

const PERL = '/usr/bin/perl'
const SUPERVISOR = join(ROOT, 'deploy/supervise.pl')
const PROGRAM = join(ROOT, 'bin/linksocks.js')
const KEY = 'key of the tests'
const HEADERS = { 'X-API-Key': KEY }
const SOME = 20

function folderOf(scene: Scene): string {
  const folder = mkdtempSync(join(tmpdir(), 'linksocks-'))
  scene.own(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function supervise(scene: Scene, args: readonly string[], env: Readonly<Record<string, string>> = {}): PeerProcess {
  const supervisor = new PeerProcess([PERL, SUPERVISOR, ...args], env)
  scene.own(async () => {
    // its generations are in groups of their own
    for (const [, pid] of generationsOf(supervisor)) endQuietly(pid)
    await supervisor.end('SIGKILL')
    for (const [, pid] of generationsOf(supervisor)) endQuietly(pid)
  })
  return supervisor
}

/** Number and process of each generation so far. */
function generationsOf({ output }: PeerProcess): readonly (readonly [number, number])[] {
  return [...output.matchAll(/^supervise: generation (\d+) is process (\d+)$/gm)].map(([, number, pid]) => [
    Number(number),
    Number(pid),
  ])
}

function endQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // ended
  }
}

/** A shell in place of the program. */
function shell(script: string): readonly string[] {
  return ['--', 'sh', '-c', script]
}

describe.skipIf(!existsSync(PERL))('deploy/supervise.pl', () => {
  const scene = sceneOfTest()
  const http = async () => ['--socket', `http=127.0.0.1:${await freePort()}`]

  it.each([
    [['--socket'], '--socket: needs NAME=ADDRESS'],
    [['--socket', 'x'], '--socket x: is not NAME=ADDRESS'],
    [['--sokcet', 'x'], '--sokcet: unknown, see --help'],
    [['--', 'true'], 'no --socket: see --help'],
    [['--socket', 'http=127.0.0.1:1'], 'no program after --: see --help'],
    [['--socket=http=localhost:1', '--', 'true'], 'localhost:1: is neither IPV4:PORT, [IPV6]:PORT nor unix:/PATH'],
    [['--socket', 'http=127.0.0.1:65536', '--', 'true'], '127.0.0.1:65536: a port is 1 to 65535'],
    [['--socket', 'http=127.0.0.300:1', '--', 'true'], /^supervise: 127\.0\.0\.300:1: .*not/],
  ])('refuses %j', async (args, said) => {
    const refused = supervise(scene, args)
    expect(await refused.end()).toBe(2)
    if (typeof said === 'string') expect(refused.output).toBe(`supervise: ${said}\n`)
    else expect(refused.output).toMatch(said)
  })

  it('prints its help, and has fewer than 200 lines', async () => {
    const helped = supervise(scene, ['--help'])
    expect(await helped.end()).toBe(0)
    expect(helped.output).toMatch(/^Usage: supervise\.pl --socket NAME=ADDRESS/)
    expect((await readText('deploy/supervise.pl')).split('\n').length).toBeLessThan(200)
  })

  it('says which port is in use', async () => {
    const port = await freePort()
    const other = createServer().listen(port, '127.0.0.1')
    scene.own(() => other.close())
    const refused = supervise(scene, ['--socket', `http=127.0.0.1:${port}`, ...shell('true')])
    expect(await refused.end()).toBe(1)
    expect(refused.output).toBe(`supervise: 127.0.0.1:${port}: Address already in use\n`)
  })

  it('passes sockets in order from descriptor 3 on, and no other', async () => {
    const path = join(folderOf(scene), 'socket')
    const port = await freePort(2)
    const sockets = [`http=127.0.0.1:${port}`, `socks=127.0.0.1:${port + 1}`, `metrics=unix:${path}`]
    const script = 'echo "$LISTEN_PID $$ $LISTEN_FDS $LISTEN_FDNAMES"; ls /proc/$$/fd; exec sleep 1000'
    const running = supervise(scene, [...sockets.flatMap((socket) => ['--socket', socket]), ...shell(script)])
    await running.says(/^5$/m)
    const [, pid = 0] = generationsOf(running)[0] ?? []
    expect(running.output).toContain(`${pid} ${pid} 3 http:socks:metrics\n`)
    expect(running.output.match(/^\d+$/gm)).toEqual(expect.arrayContaining(['0', '1', '2', '3', '4', '5']))
    expect(running.output).not.toMatch(/^6$/m)
    expect(await running.end('SIGTERM')).toBe(128 + 15)
    expect(existsSync(path)).toBe(false)
  })

  it('takes the file of a socket that nobody uses any more, and none that is in use', async () => {
    const path = join(folderOf(scene), 'socket')
    const args = ['--socket', `http=unix:${path}`, ...shell('echo alive; exec sleep 1000')]
    const first = supervise(scene, args)
    await first.says('alive')
    const second = supervise(scene, args)
    expect(await second.end()).toBe(1)
    expect(second.output).toBe(`supervise: unix:${path}: Address already in use\n`)
    for (const [, pid] of generationsOf(first)) endQuietly(pid)
    await first.end('SIGKILL')
    expect(existsSync(path)).toBe(true)
    await supervise(scene, args).says('alive')
  })

  it.each([2, 3])('ends when the first one ends with %i', async (code) => {
    const ended = supervise(scene, [...(await http()), ...shell(`exit ${code}`)])
    expect(await ended.end()).toBe(code)
    expect(ended.output).toContain(`supervise: generation 1 ended with exit code ${code}\n`)
  })

  it('ends when the program is not there', async () => {
    const ended = supervise(scene, [...(await http()), '--', '/nonexistent/program'])
    expect(await ended.end()).toBe(127)
    expect(ended.output).toContain('supervise: /nonexistent/program: No such file or directory\n')
  })

  it('starts one again that ended by itself', async () => {
    const running = supervise(scene, [...(await http()), ...shell('exit 1')])
    await running.says('generation 2 is process')
    expect(running.output).toContain('generation 1 ended with exit code 1: the next one starts in 1 s\n')
  })

  it('keeps the old one when the new one ends first', async () => {
    const folder = folderOf(scene)
    const script = `if [ -e ${folder}/started ]; then exit 2; fi; : > ${folder}/started; echo alive; exec sleep 1000`
    const running = supervise(scene, [...(await http()), ...shell(script)])
    await running.says('alive')
    process.kill(running.pid, 'SIGHUP')
    await running.says('supervise: generation 2 ended with exit code 2: generation 1 stays\n')
    expect(await running.end('SIGINT')).toBe(128 + 2)
  })

  it.skipIf(process.platform !== 'linux')(
    'starts one again while an old one, which has no socket any more, still runs',
    async () => {
      const folder = folderOf(scene)
      const drains = 'exec 3<&-; echo drains; exec sleep 1000'
      const script = `if [ -e ${folder}/started ]; then exit 1; fi; : > ${folder}/started; ${drains}`
      const running = supervise(scene, [...(await http()), ...shell(script)])
      await running.says('drains')
      process.kill(running.pid, 'SIGHUP')
      await running.says('supervise: generation 2 ended with exit code 1: the next one starts in 1 s\n')
      await running.says('supervise: generation 3 is process')
    },
  )

  it('passes signals on to every generation, and ends with the code of the last', async () => {
    const script = `trap 'echo told; exit 7' TERM; echo alive; while :; do sleep 0.01; done`
    const running = supervise(scene, [...(await http()), ...shell(script)])
    await running.says('alive')
    process.kill(running.pid, 'SIGHUP')
    await running.says(/alive[\s\S]*alive/)
    expect(await running.end('SIGTERM')).toBe(7)
    expect(running.output.match(/told/g)).toHaveLength(2)
  })

  it.skipIf(process.getuid?.() !== 0)('waits for orphans as the first process of a container', async () => {
    const script = `orphan=$(sh -c 'sleep 0.01 >/dev/null & echo $!'); while [ -e /proc/$orphan ]; do sleep 0.01; done; echo reaped; exec sleep 1000`
    const args = [
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      PERL,
      SUPERVISOR,
      ...(await http()),
      ...shell(script),
    ]
    const container = new PeerProcess(['unshare', ...args])
    scene.own(() => container.end('SIGKILL'))
    await container.says('reaped')
    expect(container.output).toContain('generation 1 is process 2')
  })

  it('looks the program up again with each generation', async () => {
    const folder = folderOf(scene)
    for (const name of ['old', 'new'])
      writeFileSync(join(folder, name), `#!/bin/sh\necho ${name}\nexec sleep 1000\n`, { mode: 0o755 })
    const current = join(folder, 'current')
    symlinkSync('old', current)
    const running = supervise(scene, [...(await http()), '--', current])
    await running.says(/^old$/m)
    expect(running.output).toContain(`supervise: process ${running.pid} listens; SIGHUP starts a new generation\n`)
    rmSync(current)
    symlinkSync('new', current)
    process.kill(running.pid, 'SIGHUP')
    await running.says(/^new$/m)
  })
})

describe.skipIf(!existsSync(PERL) || process.platform !== 'linux')('the relay under deploy/supervise.pl', () => {
  const scene = sceneOfTest()

  async function relay() {
    const port = await freePort()
    const data = join(folderOf(scene), 'data')
    const args = ['server', '--take-over', '--data-dir', data, '--log-format', 'json']
    const running = supervise(scene, ['--socket', `http=127.0.0.1:${port}`, '--', process.execPath, PROGRAM, ...args], {
      LINKSOCKS_API_KEY: KEY,
    })
    await running.says('server.ready')
    return { running, url: `http://127.0.0.1:${port}`, data }
  }

  it('is upgraded by SIGHUP, and every connection is answered', async () => {
    const { running, url } = await relay()
    const probes = new Probes(`${url}/api/tokens`, HEADERS)
    for (const number of [2, 3]) {
      await until(() => probes.count > SOME)
      process.kill(running.pid, 'SIGHUP')
      await running.says(`supervise: generation ${number - 1} ended with exit code 0: generation ${number} runs\n`)
      const count = probes.count
      await until(() => probes.count > count + SOME)
    }
    expect(await probes.stop()).toEqual(['200'])
    expect(await running.end('SIGTERM')).toBe(0)
  })

  it('is started again when it was killed, and connections wait for it', async () => {
    const { running, url, data } = await relay()
    const [, pid = 0] = generationsOf(running)[0] ?? []
    process.kill(pid, 'SIGKILL')
    await running.says('generation 1 ended with exit code 137')
    expect(await answerOf(`${url}/healthz`)).toBe('200')
    const owner = async () => {
      const text = await eventually('owner', () => readFileSync(join(data, 'owner.json'), 'utf8') || undefined)
      return JSON.parse(text).pid
    }
    expect(await owner()).toBe(generationsOf(running).at(-1)?.[1])
  })
})
