import { execFile } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { PeerProcess } from '../interop/support/peer-process.js'
import { folderOf } from '../interop/support/proxies/reverse-proxy.js'
import { ROOT, readJson, repositoryFiles, run } from '../project/support.js'
import { sceneOfSuite } from '../support/e2e/scene.js'
import { ignorePatterns, ignores, readDockerfile } from './support/dockerfile.js'

const TOOLS = join(ROOT, 'test/deploy/.venv/bin')
const HADOLINT = join(TOOLS, 'hadolint')
const CHECK_SCHEMA = join(TOOLS, 'check-jsonschema')
const BUILD_MS = 150_000
/** The image's own user. */
const USER = 1_000
interface Lock {
  readonly packages: Readonly<Record<string, { readonly version: string }>>
}

const execute = promisify(execFile)

describe('what linters say', () => {
  it.skipIf(!existsSync(HADOLINT))('about the Dockerfile: nothing', async () => {
    const { code, stdout, stderr } = await run(HADOLINT, ['--no-color', 'Dockerfile'])
    expect([code, stdout + stderr]).toEqual([0, ''])
  })

  it.skipIf(!existsSync(CHECK_SCHEMA))('about files of Compose: that they are such', async () => {
    const files = ['deploy/compose.yaml', 'deploy/compose.supervised.yaml']
    const { code, stdout } = await run(CHECK_SCHEMA, ['--builtin-schema', 'vendor.compose-spec', ...files])
    expect([code, stdout]).toEqual([0, 'ok -- validation done\n'])
  })
})

describe('the build stage of the Dockerfile, by hand', () => {
  const scene = sceneOfSuite()
  let folder = ''
  /** A path of the image, below the folder of the test. */
  const inside = (path: string): string => join(folder, path)

  beforeAll(async () => {
    folder = folderOf(scene)
    chmodSync(folder, 0o755)
    const [build] = await readDockerfile()
    let cwd = '/'
    for (const { name, text } of build?.instructions ?? []) {
      if (name === 'WORKDIR') cwd = text
      mkdirSync(inside(cwd), { recursive: true })
      if (name === 'COPY') await copy(text.split(' '), inside(cwd))
      if (name === 'RUN') await execute('sh', ['-ec', text.replaceAll('/opt', inside('/opt'))], { cwd: inside(cwd) })
      expect(['WORKDIR', 'COPY', 'RUN']).toContain(name)
    }
  }, BUILD_MS)

  async function copy(sources: readonly string[], target: string): Promise<void> {
    const patterns = await ignorePatterns()
    const context = (await repositoryFiles()).filter((path) => !ignores(patterns, path))
    const wanted = sources[0] === '.' ? context : sources.slice(0, -1)
    for (const path of wanted) {
      mkdirSync(dirname(join(target, path)), { recursive: true })
      copyFileSync(join(ROOT, path), join(target, path))
    }
  }

  it('makes the command, with production packages alone', async () => {
    const made = inside('/opt/linksocks')
    expect(readdirSync(made)).toEqual(expect.arrayContaining(['bin', 'dist', 'node_modules', 'healthcheck.mjs']))
    expect(readdirSync(made)).not.toContain('src')
    const packages = readdirSync(join(made, 'node_modules'))
    expect(packages).toContain('ws')
    for (const tool of ['vitest', 'typescript', '@biomejs']) expect(packages).not.toContain(tool)
    const locked = await readJson<Lock>('package-lock.json')
    for (const name of packages.filter((name) => /^[^.@]/.test(name))) {
      const { version } = JSON.parse(readFileSync(join(made, 'node_modules', name, 'package.json'), 'utf8'))
      expect(locked.packages[`node_modules/${name}`]?.version, name).toBe(version)
    }
    const { stdout } = await run('du', ['-sk', made])
    process.stdout.write(`what the image adds to Node: ${Number.parseInt(stdout, 10)} kB\n`)
    expect(statSync(join(made, 'bin/linksocks.js')).mode & 0o111).toBe(0o111)
  })

  it('has native parts for one C library alone', async () => {
    const { stdout } = await run('find', [inside('/opt/linksocks/node_modules'), '-name', '*-musl'])
    expect(stdout).toBe('')
  })

  it('runs as the user of the image, writes to its data directory, and ends when told to', async () => {
    const data = inside('/data')
    mkdirSync(data, { mode: 0o700 })
    const isRoot = process.getuid?.() === 0
    if (isRoot) chownSync(data, USER, USER)
    const drop = isRoot ? ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'] : []
    const command = [...drop, process.execPath, inside('/opt/linksocks/bin/linksocks.js')]
    const env = { LINKSOCKS_MODE: 'server', LINKSOCKS_DATA_DIR: data, LINKSOCKS_API_KEY: 'key of the tests' }
    const server = new PeerProcess([...command, '-P', '0', '-H', '127.0.0.1'], env)
    scene.own(() => server.end('SIGKILL'))
    await server.says('server.ready')
    expect(await server.end('SIGTERM')).toBe(0)
  })
})
