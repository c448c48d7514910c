import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { PeerProcess } from '../interop/support/peer-process.js'
import { findProgram, folderOf } from '../interop/support/proxies/reverse-proxy.js'
import { ROOT, readText, run } from '../project/support.js'
import { type Scene, sceneOfSuite, sceneOfTest, sha256 } from '../support/e2e/scene.js'
import { socksConnect } from '../support/e2e/socks.js'
import { download, httpOrigin } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { readUnit, SOCKET, settings, UNITS, unitPath } from './support/units.js'

const ANALYZE = findProgram('systemd-analyze')
const PYTHON = '/usr/bin/python3'
const PROGRAM = join(ROOT, 'bin/linksocks.js')
const FILTERED = join(ROOT, 'test/deploy/filtered.py')
const canFilter = (await run(PYTHON, ['-c', 'import seccomp']).catch(() => ({ code: 1 }))).code === 0
/** In tenths, as `systemd-analyze security` counts: from 0, locked in, to 100, exposed. Its "OK" ends at 49. */
const MAX_EXPOSURE = 15

/** The units as they are but for the program, which is where this checkout has it. */
async function unitsIn(scene: Scene): Promise<readonly string[]> {
  const folder = folderOf(scene)
  const services = await Promise.all(
    UNITS.map(async (name) => [`linksocks-${name}.service`, await readText(unitPath(name))] as const),
  )
  const [[, server = ''] = []] = services
  const all = [
    ...services,
    ['linksocks-server@next.service', server],
    ['linksocks-server.socket', await readText(SOCKET)],
  ]
  return all.map(([name = '', text = '']) => {
    const path = join(folder, name)
    writeFileSync(path, text.replace('/usr/local/bin/linksocks', PROGRAM))
    return path
  })
}

describe.skipIf(ANALYZE === undefined)('units, for systemd', () => {
  const scene = sceneOfTest()

  it('have nothing that it warns about', async () => {
    const verified = await run(ANALYZE ?? '', ['verify', '--man=no', ...(await unitsIn(scene))])
    // a warning alone leaves the exit code at 0
    expect([verified.code, verified.stdout + verified.stderr]).toEqual([0, ''])
  })

  it('leave little that a program taken over could do', async () => {
    for (const path of (await unitsIn(scene)).filter((path) => path.endsWith('.service'))) {
      const judged = await run(ANALYZE ?? '', ['security', '--offline=true', `--threshold=${MAX_EXPOSURE}`, path])
      expect(judged.code, judged.stdout).toBe(0)
    }
  })
})

/** The system calls that `SystemCallFilter=` of a unit lets through. */
async function allowedCalls(filters: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await run(ANALYZE ?? '', ['syscall-filter', '--no-pager'])
  const sets = new Map<string, string[]>()
  for (const line of stdout.split('\n')) {
    const entry = line.trim()
    if (/^@[\w-]+$/.test(line)) sets.set(entry, [])
    else if (line.startsWith('    ') && !entry.startsWith('#')) [...sets.values()].at(-1)?.push(entry)
    // behind the sets stands what is in none
    else if (line !== '' && !line.startsWith(' ')) break
  }
  const expand = (name: string): readonly string[] => (sets.has(name) ? (sets.get(name) ?? []).flatMap(expand) : [name])
  const allowed = new Set(expand('@default'))
  for (const filter of filters) {
    const calls = filter.replace(/^~/, '').split(' ').flatMap(expand)
    for (const call of calls) filter.startsWith('~') ? allowed.delete(call) : allowed.add(call)
  }
  return [...allowed]
}

describe.skipIf(ANALYZE === undefined || !canFilter)('the program, under the filter of its unit', () => {
  const scene = sceneOfSuite()
  let rules = ''
  let data = ''
  const start = (args: readonly string[]) => {
    const started = new PeerProcess([PYTHON, FILTERED, rules, process.execPath, PROGRAM, ...args], {
      LINKSOCKS_DATA_DIR: data,
    })
    scene.own(() => started.end('SIGKILL'))
    return started
  }
  beforeAll(async () => {
    data = folderOf(scene)
    const unit = await readUnit('server')
    const calls = await allowedCalls(settings(unit, 'SystemCallFilter'))
    expect(calls).toEqual(expect.arrayContaining(['read', 'epoll_wait', 'execve']))
    expect(calls).not.toEqual(expect.arrayContaining(['setrlimit']))
    rules = scene.file([settings(unit, 'RestrictAddressFamilies').join(' '), ...calls, ''].join('\n'))
  })

  it('is really filtered', async () => {
    const script = 'import os, sys\ntry: os.nice(1)\nexcept PermissionError: sys.exit(7)'
    const { code } = await run(PYTHON, [FILTERED, rules, PYTHON, '-c', script])
    expect(code).toBe(7)
  })

  it('works as relay, provider and connector, looks up names, and drains', async () => {
    const port = await freePort(2)
    const relay = start([
      'server',
      '-k',
      'key of the tests',
      '-r',
      '-t',
      'P',
      '-c',
      'C',
      '-H',
      '127.0.0.1',
      '-P',
      `${port}`,
      '-p',
      '0',
    ])
    await relay.says('server.ready')
    const provider = start(['provider', '-t', 'P', '-u', `ws://localhost:${port}`])
    await provider.says('link.up')
    const connector = start(['connector', '-t', 'C', '-u', `ws://localhost:${port}`, '-p', `${port + 1}`])
    await connector.says('socks.listening')
    const content = randomBytes(3_000_000)
    const origin = await httpOrigin(scene, content)
    expect(await download(await socksConnect(scene, port + 1, ['localhost', origin]))).toBe(sha256(content))
    for (const each of [connector, provider, relay]) expect(await each.end('SIGTERM')).toBe(0)
  })
})
