import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ROOT, readJson, repositoryFiles } from '../project/support.js'
import { sceneOfTest } from '../support/e2e/scene.js'
import { freePort } from '../support/ports.js'
import { ignorePatterns, ignores, instructions, readDockerfile, type Stage } from './support/dockerfile.js'

describe('Dockerfile', () => {
  let build: Stage | undefined
  let image: Stage | undefined
  beforeAll(async () => {
    const stages = await readDockerfile()
    expect(stages).toHaveLength(2)
    ;[build, image] = stages
  })

  it('builds in one stage and runs in another, with production packages alone', () => {
    expect(build?.name).toBe('build')
    expect(instructions(build, 'RUN').at(-1)).toMatch(/ npm install --omit=dev /)
    expect(instructions(image, 'COPY')).toEqual(['--from=build /opt/linksocks /opt/linksocks'])
  })

  it('runs as a user that is not root, with its data in a volume that this user owns', () => {
    expect(instructions(image, 'USER')).toEqual(['1000:1000'])
    expect(instructions(image, 'VOLUME')).toEqual(['/data'])
    expect(instructions(image, 'ENV').join(' ')).toMatch(/\bLINKSOCKS_DATA_DIR=\/data\b/)
    expect(instructions(image, 'RUN').join(' ')).toContain('install -d -o node -g node -m 0700 /data')
  })

  it('is the command itself, and ends as the command does', () => {
    expect(instructions(image, 'ENTRYPOINT')).toEqual(['["linksocks"]'])
    expect(instructions(image, 'STOPSIGNAL')).toEqual(['SIGTERM'])
    expect(instructions(image, 'EXPOSE')).toEqual(['8765'])
    expect(instructions(image, 'HEALTHCHECK').join()).toMatch(/CMD \["node", "\/opt\/linksocks\/healthcheck\.mjs"\]$/)
  })

  it('takes no secret', () => {
    const all = [build, image].flatMap((stage) => [...instructions(stage, 'ARG'), ...instructions(stage, 'ENV')])
    expect(all.filter((text) => /token|key|password|secret/i.test(text))).toEqual([])
  })

  it('gets what a build needs, and neither secrets nor what tests need', async () => {
    const patterns = await ignorePatterns()
    const { files } = await readJson<{ files: readonly string[] }>('package.json')
    const wanted = (await repositoryFiles()).filter((path) => !ignores(patterns, path))
    const folders = new Set(wanted.map((path) => path.split('/')[0]))
    for (const name of [
      ...files.filter((name) => name !== 'dist' && !name.startsWith('!')),
      'src',
      'scripts',
      'package-lock.json',
    ])
      expect(folders).toContain(name)
    expect(wanted).toContain('deploy/healthcheck.mjs')
    expect(folders).not.toContain('test')
    const secrets = [
      '.env',
      'deploy/.env',
      'deploy/secrets/token',
      'server.key',
      'tls/a.pem',
      'api-key',
      'data/data.key',
    ]
    expect(secrets.filter((path) => !ignores(patterns, path))).toEqual([])
  })
})

/** Certificates for tests. */
const TLS = join(ROOT, 'test/support/tls')

describe('deploy/healthcheck.mjs', () => {
  const scene = sceneOfTest()

  /** The check as the image runs it, but for the process it asks about. */
  function check(pid: number, env: Readonly<Record<string, string>> = {}): Promise<readonly [unknown, string]> {
    return new Promise((resolve) => {
      const script = join(ROOT, 'deploy/healthcheck.mjs')
      execFile(process.execPath, [script, `${pid}`], { env }, (error, _, stderr) => resolve([error?.code ?? 0, stderr]))
    })
  }

  it.each([
    [200, 0, ''],
    [503, 1, 'unhealthy: /healthz answers 503\n'],
  ])('asks a relay for /healthz: %i', async (status, code, said) => {
    const asked: (string | undefined)[] = []
    const server = createServer(({ url }, response) => {
      asked.push(url)
      response.writeHead(status).end()
    }).listen(0, '127.0.0.1')
    scene.own(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const env = { LINKSOCKS_MODE: 'server', LINKSOCKS_WEBSOCKET_PORT: `${port}` }
    expect(await check(process.pid, env)).toEqual([code, said])
    expect(asked).toEqual(['/healthz'])
  })

  it('finds a relay well, wherever its port was named', async () => {
    const server = await scene.server(['-t', 'F'])
    const port = `${server.port}`
    const checkNamed = async (...flags: readonly string[]) => {
      // runs until its input ends
      const named = spawn('sh', ['-c', 'read line', 'sh', 'server', ...flags])
      scene.own(() => named.kill())
      await once(named, 'spawn')
      return await check(named.pid ?? 0)
    }
    const checked = await Promise.all([
      check(server.process.pid, { LINKSOCKS_WEBSOCKET_PORT: port }),
      ...[['-P', port], [`-P${port}`], ['--ws-port', port], [`--ws-port=${port}`]].map((flags) => checkNamed(...flags)),
    ])
    expect(checked).toEqual(new Array(5).fill([0, '']))
  })

  it('finds a relay well by TLS, as flags or variables say', async () => {
    const keys = ['--tls-cert', join(TLS, 'server.pem'), '--tls-key', join(TLS, 'server.key')]
    const server = scene.start(['server', '-t', 'F', '--log-format', 'json', '--listen', 'wss://127.0.0.1:0', ...keys])
    const { address } = await server.event('server.ready')
    const port = String(address).split(':').at(-1) ?? ''
    const env = { LINKSOCKS_MODE: 'server' }
    const checked = await Promise.all([
      check(process.pid, { ...env, LINKSOCKS_LISTEN: `ws+unix:/run/x.sock wss://[::]:${port}` }),
      check(process.pid, { ...env, LINKSOCKS_WEBSOCKET_PORT: port, LINKSOCKS_TLS_CERT: 'server.pem' }),
      check(process.pid, { ...env, LINKSOCKS_WEBSOCKET_PORT: port }),
    ])
    // the last one asks without TLS
    expect(checked).toEqual([
      [0, ''],
      [0, ''],
      [1, 'unhealthy: /healthz answers 400\n'],
    ])
  })

  it('finds a relay ill that does not answer', async () => {
    const env = { LINKSOCKS_WEBSOCKET_PORT: `${await freePort()}`, LINKSOCKS_MODE: 'server' }
    expect(await check(process.pid, env)).toEqual([1, expect.stringMatching(/^unhealthy: connect ECONNREFUSED/)])
  })

  it('asks a connector for its SOCKS5 port, and a provider for nothing but to run', async () => {
    const server = await scene.server(['-r', '-t', 'P', '-c', 'C', '-p', '0'])
    const [provider, { process: connector, socksPort }] = await Promise.all([
      scene.provider(server.url, ['-t', 'P']),
      scene.listener(server.url, ['-t', 'C']),
    ])
    const free = await freePort()
    const checked = await Promise.all([
      check(provider.pid),
      check(connector.pid, { LINKSOCKS_SOCKS_PORT: `${socksPort}` }),
      check(connector.pid, { LINKSOCKS_SOCKS_PORT: `${free}` }),
    ])
    expect(checked).toEqual([
      [0, ''],
      [0, ''],
      [1, expect.stringMatching(/^unhealthy: connect ECONNREFUSED/)],
    ])
  })
})
