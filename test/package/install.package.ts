import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { PeerProcess } from '../interop/support/peer-process.js'
import { folderOf } from '../interop/support/proxies/reverse-proxy.js'
import { readJson } from '../project/support.js'
import { sceneOfSuite, sha256 } from '../support/e2e/scene.js'
import { socksConnect } from '../support/e2e/socks.js'
import { download, httpOrigin } from '../support/e2e/targets.js'

const NODES = Object.entries<string>(JSON.parse(process.env.PACKED_NODES ?? '{}'))
const INSTALL_MS = 120_000
const execute = promisify(execFile)

const LIBRARY = `
import { createServer } from 'node:net'
import { Client, Server } from 'linksocks'

const target = createServer((socket) => socket.end('through the tunnel')).listen(0, '127.0.0.1')
await new Promise((resolve) => target.once('listening', resolve))
const server = new Server({ host: '127.0.0.1', port: 0, tokens: [{ type: 'forward', token: 'SECRET' }] })
const { port } = await server.listen()
const client = new Client({ url: \`ws://127.0.0.1:\${port}\`, token: 'SECRET' })
await client.start()
const stream = await client.dial('127.0.0.1', target.address().port)
stream.end('GET')
for await (const chunk of stream) process.stdout.write(chunk)
await client.close()
await server.close()
target.close()
`

/** Loaded before a client: says so when a frame with a masking key of 0 is written over TLS (RFC 6455 section 5.2). */
const ZERO_KEYS = `
import { TLSSocket } from 'node:tls'

const { write } = TLSSocket.prototype
TLSSocket.prototype.write = function (chunk, ...rest) {
  const [first = 0, second = 0] = chunk
  const at = 2 + ((second & 127) === 126 ? 2 : (second & 127) === 127 ? 8 : 0)
  const isFrame = (first & 0x80) !== 0 && (second & 0x80) !== 0
  if (isFrame && chunk.readUInt32BE(at) === 0) console.error('zero key')
  return write.call(this, chunk, ...rest)
}
`
/** Certificates for tests. */
const TLS = fileURLToPath(new URL('../support/tls', import.meta.url))

interface Manifest {
  readonly name: string
  readonly scripts?: Readonly<Record<string, string>>
  readonly gypfile?: boolean
}

describe('npm run test:package', () => {
  it('has a tarball and releases of Node', () => {
    expect(process.env.PACKED).toMatch(/\.tgz$/)
    expect(NODES.length).toBeGreaterThan(0)
  })
})

describe.each(NODES)('the package, installed into an empty folder with Node %s', (version, node) => {
  const scene = sceneOfSuite()
  let folder = ''
  let env: Readonly<Record<string, string>> = {}
  let command = ''
  beforeAll(async () => {
    folder = folderOf(scene)
    env = { PATH: [dirname(node), process.env.PATH].join(delimiter) }
    command = join(folder, 'node_modules/.bin/linksocks')
    const npm = process.env.npm_execpath ?? ''
    const args = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--engine-strict', process.env.PACKED ?? '']
    await execute(node, [npm, ...args], { cwd: folder, env: { ...process.env, ...env } })
  }, INSTALL_MS)

  it('says its version', async () => {
    const { version: own } = await readJson<{ version: string }>('package.json')
    const { stdout } = await execute(command, ['--version'], { env })
    expect(stdout).toBe(`linksocks ${own}\n`)
    expect((await execute('node', ['--version'], { env })).stdout).toMatch(new RegExp(`^v${version}\\b`))
  })

  it('transfers through server and client', async () => {
    const start = (...args: readonly string[]): PeerProcess => {
      const started = new PeerProcess([command, ...args, '--log-format', 'json'], {
        ...env,
        LINKSOCKS_DATA_DIR: join(folder, 'data'),
      })
      scene.own(() => started.end('SIGKILL'))
      return started
    }
    const server = start('server', '-k', 'key of the tests', '-t', 'SECRET', '-H', '127.0.0.1', '-P', '0')
    const client = start('client', '-t', 'SECRET', '-u', `ws://${await address(server, 'server.ready')}`, '-p', '0')
    const socks = await address(client, 'socks.listening')
    const content = randomBytes(5_000_000)
    const origin = await httpOrigin(scene, content)
    const socket = await socksConnect(scene, Number(socks.split(':').at(-1)), ['127.0.0.1', origin])
    expect(await download(socket)).toBe(sha256(content))
    for (const each of [client, server]) expect(await each.end('SIGTERM')).toBe(0)
  })

  it('transfers by TLS, without masks', async () => {
    const start = (...args: readonly string[]): PeerProcess => {
      const started = new PeerProcess([command, ...args, '--log-format', 'json'], env)
      scene.own(() => started.end('SIGKILL'))
      return started
    }
    const keys = ['--tls-cert', join(TLS, 'server.pem'), '--tls-key', join(TLS, 'server.key')]
    const server = start('server', '-t', 'SECRET', '--listen', 'wss://127.0.0.1:0', ...keys)
    const url = `wss://${await address(server, 'server.ready')}`
    // sees whether what is sent over TLS is masked
    const hook = join(folder, 'zero-keys.mjs')
    writeFileSync(hook, ZERO_KEYS)
    const env2 = { ...env, NODE_OPTIONS: `--import=${pathToFileURL(hook)}` }
    const client = new PeerProcess(
      [
        command,
        'client',
        '-t',
        'SECRET',
        '-u',
        url,
        '--ca-file',
        join(TLS, 'ca.pem'),
        '-p',
        '0',
        '--log-format',
        'json',
      ],
      env2,
    )
    scene.own(() => client.end('SIGKILL'))
    const socks = await address(client, 'socks.listening')
    const content = randomBytes(5_000_000)
    const origin = await httpOrigin(scene, content)
    const socket = await socksConnect(scene, Number(socks.split(':').at(-1)), ['127.0.0.1', origin])
    expect(await download(socket)).toBe(sha256(content))
    await client.says(/zero key/)
    for (const each of [client, server]) expect(await each.end('SIGTERM')).toBe(0)
  })

  it('is a library', async () => {
    writeFileSync(join(folder, 'main.mjs'), LIBRARY)
    expect((await execute('node', ['main.mjs'], { cwd: folder, env })).stdout).toBe('through the tunnel')
  })

  it('brought nothing that compiles or downloads when it is installed', async () => {
    const installed = packagesIn(join(folder, 'node_modules'))
    expect(installed.length).toBeGreaterThan(10)
    const active = installed.filter((path) => {
      const { scripts = {}, gypfile } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Manifest
      const runs = ['preinstall', 'install', 'postinstall'].some((name) => name in scripts)
      return runs || gypfile === true || existsSync(join(path, 'binding.gyp'))
    })
    expect(active).toEqual([])
    const { stdout } = await execute('du', ['-sk', join(folder, 'node_modules')])
    process.stdout.write(`Node ${version}: ${installed.length} packages, ${Number.parseInt(stdout, 10)} kB installed\n`)
  })
})

/** What an event in a log of JSON lines says about where a process listens. */
async function address(process: PeerProcess, event: string): Promise<string> {
  await process.says(new RegExp(`"${event}".*\n`))
  const line = process.output.split('\n').find((each) => each.includes(`"${event}"`)) ?? '{}'
  const { address: where, port } = JSON.parse(line) as { address?: string; port?: number }
  return where ?? `127.0.0.1:${port}`
}

/** The folders of all packages, those inside of others too. */
function packagesIn(modules: string): readonly string[] {
  if (!existsSync(modules)) return []
  const names = readdirSync(modules).filter((name) => !name.startsWith('.'))
  const paths = names.flatMap((name) => {
    const path = join(modules, name)
    return name.startsWith('@') ? readdirSync(path).map((inside) => join(path, inside)) : [path]
  })
  return paths.flatMap((path) => [path, ...packagesIn(join(path, 'node_modules'))])
}
