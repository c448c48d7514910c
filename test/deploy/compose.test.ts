import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { PeerProcess } from '../interop/support/peer-process.js'
import { ROOT, readText, run } from '../project/support.js'
import { type Scene, sceneOfTest, sha256 } from '../support/e2e/scene.js'
import { socksConnect } from '../support/e2e/socks.js'
import { download, httpOrigin } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { eventually, until } from '../support/wait.js'
import { type Compose, interpolate, readCompose, type Service, variablesIn } from './support/compose.js'
import { instructions, readDockerfile } from './support/dockerfile.js'
import { Probes } from './support/probes.js'
import { drainMs, VARIABLES, variablesNamed } from './support/variables.js'

/** What the supervised relay has of its own. */
interface Supervised {
  readonly entrypoint: readonly string[]
  readonly volumes: readonly string[]
}

const SECRETS = '/run/secrets/'

describe('deploy/compose.yaml', () => {
  let compose: Compose
  let services: readonly (readonly [string, Service])[]
  beforeAll(async () => {
    compose = await readCompose()
    services = Object.entries(compose.services)
  })

  it('has relay, provider and connector, each under a profile of its name', () => {
    expect(services.map(([name, { profiles }]) => [name, profiles])).toEqual(
      ['relay', 'provider', 'connector'].map((name) => [name, [name]]),
    )
  })

  it('sets only variables that the program reads', async () => {
    const unknown = variablesNamed(await readText('deploy/compose.yaml')).filter((name) => !VARIABLES.has(name))
    expect(unknown).toEqual([])
    for (const [, { environment }] of services) {
      for (const text of Object.values(environment))
        for (const name of variablesIn(text)) expect(VARIABLES).toContain(name)
    }
  })

  it('gives every service the secrets that its variables name, as files that git and the image never hold', async () => {
    for (const [name, { environment, secrets = [] }] of services) {
      const named = Object.values(environment).filter((text) => text.startsWith(SECRETS))
      expect(named.map((path) => path.slice(SECRETS.length)).sort(), name).toEqual([...secrets].sort())
    }
    const files = Object.entries(compose.secrets)
    expect(files.map(([name, { file }]) => file === `secrets/${name}`)).not.toContain(false)
    const ignored = await run('git', ['check-ignore', 'deploy/secrets/api-key', 'deploy/.env'])
    expect(ignored.stdout.split('\n').filter(Boolean)).toHaveLength(2)
  })

  it('lets services do no more than they must, and gives them time to drain', () => {
    for (const [name, service] of services) {
      expect(service, name).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        restart: 'unless-stopped',
      })
      expect(Number.parseInt(service.stop_grace_period, 10) * 1_000, name).toBeGreaterThan(drainMs() + 5_000)
      expect(existsSync(join(ROOT, 'deploy', service.build, 'Dockerfile')), name).toBe(true)
    }
  })

  it('opens ports to this machine alone', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? [])
    expect(ports).toEqual(['127.0.0.1:8765:8765', '127.0.0.1:9870:9870'])
  })
})

describe('processes with the environment of deploy/compose.yaml', () => {
  const scene = sceneOfTest()

  it('carry traffic from the connector through the relay to the provider, and drain on SIGTERM', async () => {
    const { services } = await readCompose()
    const stage = await Stage.open(scene)
    const relay = stage.start(services.relay, '--socks-port', '0')
    await relay.event('server.ready')
    const [provider, connector] = [stage.start(services.provider), stage.start(services.connector)]
    await Promise.all([provider.event('link.up'), connector.event('socks.listening')])
    const content = randomBytes(3_000_000)
    const origin = await httpOrigin(scene, content)
    const socket = await socksConnect(scene, stage.socksPort, ['127.0.0.1', origin])
    expect(await download(socket)).toBe(sha256(content))

    const answer = await eventually('answer of the API', async () => {
      const headers = { 'X-API-Key': stage.secret('api-key') }
      return await fetch(`http://127.0.0.1:${stage.port}/api/status`, { headers })
    })
    expect(answer.status).toBe(200)
    for (const each of [connector, provider, relay]) expect(await each.end('SIGTERM')).toBe(0)
  })
})

describe('deploy/compose.supervised.yaml', () => {
  const scene = sceneOfTest()
  let relay: Supervised
  beforeAll(async () => {
    const { services } = parse(await readText('deploy/compose.supervised.yaml'))
    expect(Object.keys(services)).toEqual(['relay'])
    relay = services.relay
  })

  it('runs a program that is not part of the image, with what the image has to run it', async () => {
    expect(relay.volumes).toEqual(['./program:/opt/program:ro'])
    expect(relay.entrypoint.slice(0, 2)).toEqual(['perl', '/opt/linksocks/supervise.pl'])
    const [build] = await readDockerfile()
    expect(instructions(build, 'RUN').join(' ')).toMatch(/cp [^&]*deploy\/supervise\.pl \/opt\/linksocks\//)
    expect(await readText('Dockerfile')).toContain('ARG NODE_IMAGE=node:22-slim\n')
    const ignored = await run('git', ['check-ignore', 'deploy/program/current'])
    expect(ignored.code).toBe(0)
  })

  it.skipIf(process.platform !== 'linux' || !existsSync('/usr/bin/perl'))(
    'goes over to the program that `current` leads to then, and is healthy for the check of the image',
    async () => {
      const { services } = await readCompose()
      const stage = await Stage.open(scene)
      const folder = dirname(scene.file(''))
      for (const version of ['1', '2']) {
        mkdirSync(join(folder, version, 'bin'), { recursive: true })
        const script = `#!/bin/sh\nexec ${process.execPath} ${join(ROOT, 'bin/linksocks.js')} "$@"\n`
        writeFileSync(join(folder, version, 'bin/linksocks.js'), script, { mode: 0o755 })
      }
      const current = join(folder, 'current')
      symlinkSync('1', current)
      const command = [...relay.entrypoint, ...(services.relay?.command ?? [])].map((word) =>
        word
          .replace('/opt/linksocks/', `${ROOT}/deploy/`)
          .replace('/opt/program', folder)
          .replace('0.0.0.0:8765', `127.0.0.1:${stage.port}`),
      )
      const supervised = new PeerProcess([...command, '--socks-port', '0'], stage.environment(services.relay))
      scene.own(async () => {
        await supervised.end('SIGTERM')
      })
      await supervised.says('server.ready')
      const probes = new Probes(`http://127.0.0.1:${stage.port}/api/status`, { 'X-API-Key': stage.secret('api-key') })
      await until(() => probes.count > 10)
      rmSync(current)
      symlinkSync('2', current)
      process.kill(supervised.pid, 'SIGHUP')
      await supervised.says('generation 1 ended with exit code 0: generation 2 runs')
      expect(await probes.stop()).toEqual(['200'])
      const check = await run(process.execPath, [join(ROOT, 'deploy/healthcheck.mjs'), `${supervised.pid}`])
      expect([check.code, check.stderr]).toEqual([0, ''])
      expect(await supervised.end('SIGTERM')).toBe(0)
    },
  )
})

/** What containers would have, on ports and in folders of the test. */
class Stage {
  readonly port: number
  readonly socksPort: number
  readonly #scene: Scene
  readonly #secrets = new Map<string, string>()
  readonly #data: string

  private constructor(scene: Scene, port: number) {
    this.#scene = scene
    this.port = port
    this.socksPort = port + 1
    this.#data = join(scene.file(''), '..', 'data')
  }

  static async open(scene: Scene): Promise<Stage> {
    return new Stage(scene, await freePort(2))
  }

  secret(name: string): string {
    return readFileSync(this.#secretFile(name), 'utf8').trim()
  }

  /** @param more flags, for what a container has for itself and a test has not */
  start(service: Service | undefined, ...more: readonly string[]) {
    return this.#scene.start([...(service?.command ?? []), ...more, '--log-format', 'json'], {
      env: this.environment(service),
    })
  }

  environment(service: Service | undefined): Readonly<Record<string, string>> {
    const filled = Object.entries(service?.environment ?? {}).map(([name, text]) => [name, this.#fill(name, text)])
    return Object.fromEntries(filled)
  }

  #fill(name: string, text: string): string {
    if (text.startsWith(SECRETS)) return this.#secretFile(text.slice(SECRETS.length))
    if (name === 'LINKSOCKS_DATA_DIR') return this.#data
    if (name === 'LINKSOCKS_WEBSOCKET_PORT') return `${this.port}`
    if (name === 'LINKSOCKS_SOCKS_PORT') return `${this.socksPort}`
    return interpolate(text, { LINKSOCKS_URL: `ws://127.0.0.1:${this.port}` })
  }

  #secretFile(name: string): string {
    const known = this.#secrets.get(name)
    if (known !== undefined) return known
    const path = this.#scene.file(`${randomBytes(24).toString('hex')}\n`)
    this.#secrets.set(name, path)
    return path
  }
}
