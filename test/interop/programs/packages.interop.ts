import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, it, vi } from 'vitest'
import { sceneOfSuite } from '../../support/e2e/scene.js'
import { aptRepository, ownApt } from '../support/programs/apt.js'
import { type LocalCa, localCa } from '../support/programs/ca.js'
import { type Files, filesListener } from '../support/programs/files-listener.js'
import { type Origin, origin } from '../support/programs/origin.js'
import { describeWith, folder, output, run } from '../support/programs/programs.js'
import { npmRegistry, pipIndex } from '../support/programs/registries.js'
import { carriedAll, ProgramTunnel } from '../support/programs/tunnel.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

const LOGIN = ['ann', 'sesame'] as const
const PASSWORD = ['-n', LOGIN[0], '-w', LOGIN[1]]
const WORDS = 'out of a package'
const PYTHON = fileURLToPath(new URL('../.venv/tools/bin/python', import.meta.url))

/** How a program goes: by which proxy, and with which scheme to the server. SOCKS4 has no password. */
type Way = readonly [proxy: string, scheme: 'http' | 'https']

/** Tunnels with and without a password, and a server behind them. */
function sceneOfPackages() {
  const scene = sceneOfSuite()
  let ca: LocalCa
  let open: ProgramTunnel
  let closed: ProgramTunnel
  beforeAll(async () => {
    ca = await localCa(scene)
    open = await ProgramTunnel.start(scene, 'forward')
    closed = await ProgramTunnel.start(scene, 'reverse', { listenerArgs: PASSWORD })
  })
  return {
    scene,
    caFile: () => ca.caFile,
    proxy: (name: string, password: string = LOGIN[1]): string =>
      name.startsWith('socks4') ? `${name}://${open.address}` : `${name}://${LOGIN[0]}:${password}@${closed.address}`,
    /** A server with files that may depend on its URL. */
    serve: async (scheme: Way[1], filesOf: (url: string) => Promise<Files>): Promise<Origin & { url: string }> => {
      let files: Files = {}
      const at = await origin(
        scene,
        (request, response) => filesListener(files)(request, response),
        scheme === 'https' ? ca : undefined,
      )
      const url = `${scheme}://localhost:${at.port}`
      files = await filesOf(url)
      return { ...at, url }
    },
    carried: ({ port, connections }: Origin) => carriedAll([open, closed], [`localhost:${port}`], connections),
  }
}

describeWith(['apt-get', 'dpkg-deb', 'openssl'], 'apt', () => {
  const { scene, caFile, proxy, serve, carried } = sceneOfPackages()
  const names = Array.from({ length: 8 }, (_, index) => `tiny-${index}`)
  const contents = Object.fromEntries(names.map((name) => [name, `${name} ${WORDS}`]))
  const aptOf = (url: string, scheme: Way[1], proxyUrl: string) => {
    const settings = [`Acquire::${scheme}::Proxy "${proxyUrl}"`, `Acquire::https::CaInfo "${caFile()}"`]
    return ownApt(scene, `${url}/`, settings)
  }

  it.each<Way>([
    ['http', 'http'],
    ['http', 'https'],
    ['socks5h', 'http'],
  ])('updates and downloads packages by %s and %s', async (kind, scheme) => {
    const at = await serve(scheme, () => aptRepository(scene, contents))
    const options = { cwd: folder(scene), env: aptOf(at.url, scheme, proxy(kind)) }
    await output(scene, ['apt-get', '-q', 'update'], options)
    await output(scene, ['apt-get', '-q', 'download', ...names], options)
    for (const name of names) await output(scene, ['dpkg-deb', '-x', `${name}_1.0_all.deb`, '.'], options)
    const unpacked = names.map((name) => [name, readFileSync(join(options.cwd, 'usr/share', name), 'utf8')])
    expect(Object.fromEntries(unpacked)).toEqual(contents)
    await carried(at)
  })

  it('says that a wrong password was refused', async () => {
    const at = await serve('http', () => aptRepository(scene, {}))
    const env = aptOf(at.url, 'http', proxy('http', 'wrong'))
    const { code, stderr } = await run(scene, ['apt-get', '-q', '--error-on=any', 'update'], { env })
    expect([code, stderr]).toEqual([100, expect.stringContaining('407  Proxy Authentication Required')])
    expect(at.connections()).toBe(0)
  })
})

describeWith([PYTHON, 'openssl'], 'pip', () => {
  const { scene, caFile, proxy, serve, carried } = sceneOfPackages()
  const pip = (url: string, proxyUrl: string, target: string): readonly string[] => [
    ...[PYTHON, '-m', 'pip', '--isolated', 'install', '--disable-pip-version-check', '--no-cache-dir'],
    ...['--no-deps', '--retries', '0', '--cert', caFile(), '--trusted-host', 'localhost'],
    ...['--proxy', proxyUrl, '--index-url', `${url}/simple/`, '--target', target, 'tiny'],
  ]

  it.each<Way>([
    ['http', 'http'],
    ['http', 'https'],
    ['socks4a', 'http'],
    ['socks5h', 'https'],
  ])('installs a package by %s and %s', async (kind, scheme) => {
    const at = await serve(scheme, () => pipIndex(scene, PYTHON, WORDS))
    const target = folder(scene)
    await output(scene, pip(at.url, proxy(kind), target))
    const said = await output(scene, [PYTHON, '-c', 'import tiny; print(tiny.words)'], { cwd: target })
    expect(said.toString()).toBe(`${WORDS}\n`)
    await carried(at)
  })

  it('says that a wrong password was refused', async () => {
    const at = await serve('https', () => pipIndex(scene, PYTHON, WORDS))
    const { code, stdout } = await run(scene, [...pip(at.url, proxy('http', 'wrong'), folder(scene)), '-vv'])
    expect([code, stdout.toString()]).toEqual([1, expect.stringContaining('407 Proxy Authentication Required')])
    expect(at.connections()).toBe(0)
  })
})

describeWith(['npm', 'tar', 'openssl'], 'npm', () => {
  const { scene, caFile, proxy, serve, carried } = sceneOfPackages()
  const npm = (url: string, proxyUrl: string): readonly string[] => [
    ...['npm', 'install', '--no-audit', '--no-fund', '--no-update-notifier', '--fetch-retries=0'],
    ...['--globalconfig=/dev/null', `--cache=${folder(scene)}`, `--cafile=${caFile()}`],
    ...[`--proxy=${proxyUrl}`, `--https-proxy=${proxyUrl}`, `--registry=${url}/`, 'tiny'],
  ]
  const project = (): string => {
    const cwd = join(folder(scene), 'project')
    mkdirSync(cwd)
    writeFileSync(join(cwd, 'package.json'), '{ "name": "project", "private": true }')
    return cwd
  }

  it.each<Way>([
    ['http', 'http'],
    ['http', 'https'],
    ['socks4a', 'http'],
    ['socks5h', 'https'],
  ])('installs a package by %s and %s', async (kind, scheme) => {
    const at = await serve(scheme, (url) => npmRegistry(scene, url, WORDS))
    const cwd = project()
    await output(scene, npm(at.url, proxy(kind)), { cwd })
    const said = await output(scene, [process.execPath, '-p', 'require("tiny").words'], { cwd })
    expect(said.toString()).toBe(`${WORDS}\n`)
    await carried(at)
  })

  it('says that a wrong password was refused', async () => {
    const at = await serve('http', (url) => npmRegistry(scene, url, WORDS))
    const { code, stderr } = await run(scene, npm(at.url, proxy('http', 'wrong')), { cwd: project() })
    expect([code === 0, stderr]).toEqual([false, expect.stringContaining('407')])
    expect(at.connections()).toBe(0)
  })
})
