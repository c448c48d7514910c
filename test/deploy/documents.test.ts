import { execFile } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { SERVER_FLAGS } from '../../src/cli/settings/server-flags.js'
import { type Block, type Document, readMarkdown } from '../docs/markdown.js'
import { ROOT, readText } from '../project/support.js'
import { type Scene, sceneOfTest } from '../support/e2e/scene.js'
import { readCompose } from './support/compose.js'
import { SOCKET, unitPath } from './support/units.js'
import { VARIABLES, variablesNamed } from './support/variables.js'

const execute = promisify(execFile)
/** Programs of which it is enough to know how they are called. */
const STAND_INS = ['caddy', 'curl', 'docker', 'linksocks', 'nginx', 'perl', 'systemctl']

describe('docs/deployment.md', () => {
  const scene = sceneOfTest()
  let english: Document
  let blocks: readonly Block[]
  beforeAll(async () => {
    english = readMarkdown(await readText('docs/deployment.md'))
    blocks = english.blocks.filter(({ language }) => language === 'sh')
  })

  /** Runs the blocks below a heading, one after the other on the machine. */
  async function follow(machine: Machine, heading: string, ...which: readonly number[]): Promise<void> {
    const below = blocks.filter(({ headings }) => headings.at(-1) === heading)
    for (const index of which.length > 0 ? which : below.keys()) await machine.run(below[index]?.text ?? 'exit 9')
  }

  it('names only variables that the program reads', async () => {
    const named = variablesNamed(await readText('docs/deployment.md'))
    expect(named.filter((name) => !VARIABLES.has(name))).toEqual([])
  })

  it('says the same in Chinese', async () => {
    const chinese = readMarkdown(await readText('docs/zh/deployment.md'))
    expect(chinese.blocks.map(({ text }) => text)).toEqual(english.blocks.map(({ text }) => text))
    expect(chinese.headings.map(({ level }) => level)).toEqual(english.headings.map(({ level }) => level))
    const rows = ({ prose }: Document): number => (prose.match(/^\|/gm) ?? []).length
    expect(rows(chinese)).toBe(rows(english))
  })

  it('makes the secrets that compose.yaml needs, and starts profiles that it has', async () => {
    const machine = new Machine(scene)
    await follow(machine, 'Compose', 0)
    const { secrets, services } = await readCompose()
    for (const { file } of Object.values(secrets)) {
      expect(machine.read(`deploy/${file}`)).toMatch(/^[0-9a-f]{48}\n$/)
      expect(machine.mode(`deploy/${file}`)).toBe(0o644)
    }
    expect(machine.mode('deploy/secrets')).toBe(0o700)
    await follow(machine, 'Compose', 1, 2)
    expect(machine.read('deploy/.env')).toBe('LINKSOCKS_URL=wss://relay.example.com\n')
    const started = machine
      .calls()
      .flatMap((call) => /^docker compose --profile (\w+) up --detach$/.exec(call)?.[1] ?? [])
    expect(started).toEqual(Object.keys(services))
  })

  it('puts units and secrets where the units look for them', async () => {
    const machine = new Machine(scene)
    await follow(machine, 'systemd')
    await follow(machine, 'Monitoring')
    for (const name of ['server', 'provider']) {
      const unit = machine.read(`etc/systemd/system/linksocks-${name}.service`)
      expect(unit).toBe(await readText(`deploy/systemd/linksocks-${name}.service`))
      for (const [, path = ''] of unit.matchAll(/^(?:LoadCredential=[\w-]+:|EnvironmentFile=)\/(\S+)$/gm)) {
        expect(machine.has(path), path).toBe(true)
        if (!path.endsWith('.env')) expect(machine.mode(path)).toBe(0o600)
      }
    }
    expect(machine.mode('etc/linksocks/metrics-key')).toBe(0o600)
    expect(machine.read('etc/systemd/system/linksocks-server.socket')).toBe(await readText(SOCKET))
    // the instance that takes over has the same unit and the same settings
    const instance = 'etc/systemd/system/linksocks-server@.service'
    expect(machine.read(instance)).toBe(await readText(unitPath('server')))
    expect(machine.read(`${instance}.d/metrics.conf`)).toContain('LINKSOCKS_METRICS_KEY_FILE=')
    expect(machine.calls().filter((call) => call !== 'systemctl daemon-reload')).toEqual([
      'systemctl enable linksocks-server.socket linksocks-server.service',
      'systemctl restart linksocks-server',
      'systemctl enable --now linksocks-provider',
      'systemctl restart linksocks-server',
    ])
  })

  it('gives the ports of a certificate of its own to units of sockets, which the service names', async () => {
    const machine = new Machine(scene)
    await follow(machine, 'A certificate of its own')
    const folder = 'etc/systemd/system'
    const [, named = ''] = /^Sockets=(.+)$/m.exec(machine.read(`${folder}/linksocks-server.service.d/tls.conf`)) ?? []
    const names = named.split(' ').map((unit) => {
      const text = machine.read(`${folder}/${unit}`)
      expect(text).toContain('\nService=linksocks-server.service\n')
      return /^FileDescriptorName=(\w+)$/m.exec(text)?.[1]
    })
    expect(names).toEqual(['tls', 'acme'])
    expect(machine.calls()).toContain(`systemctl enable ${named}`)
  })

  it.each([
    ['service', 0, 'linksocks-server@next'],
    ['instance', 3, 'linksocks-server'],
  ])('upgrades with systemd where the %s runs', async (_, isActive, started) => {
    const machine = new Machine(scene)
    machine.answers('systemctl', `[ "$1" != is-active ] || exit ${isActive}`)
    await follow(machine, 'With systemd')
    expect(machine.calls().at(-1)).toBe(`systemctl start ${started}`)
  })

  it('starts the supervisor with a relay that takes over', async () => {
    const machine = new Machine(scene)
    await follow(machine, 'With the supervisor')
    expect(machine.calls()).toEqual([
      expect.stringMatching(/^perl deploy\/supervise\.pl --socket http=\S+ -- linksocks server --take-over /),
    ])
    const flags = machine
      .calls()
      .join()
      .split(' -- ')[1]
      ?.match(/--[\w-]+/g)
    expect(flags?.filter((flag) => !SERVER_FLAGS.some((known) => known.flags.includes(flag)))).toEqual([])
  })

  it('replaces the program of a container by a link', async () => {
    const machine = new Machine(scene)
    machine.answers('docker', '[ "$1" != create ] || echo 0123456789ab')
    await follow(machine, 'In a container')
    const calls = machine.calls()
    const version = /^docker cp 0123456789ab:\/opt\/linksocks program\/(\d{14})$/.exec(calls[2] ?? '')?.[1] ?? 'none'
    expect(machine.link('deploy/program/current')).toBe(version)
    const compose = 'docker compose --file compose.yaml --file compose.supervised.yaml --profile relay'
    expect(calls.slice(-2)).toEqual([`${compose} up --detach`, `${compose} kill --signal HUP relay`])
    expect(machine.has('deploy/compose.supervised.yaml')).toBe(true)
  })

  it('gives systemd more time than the relay takes, and keeps to forms that both know', async () => {
    const machine = new Machine(scene)
    await follow(machine, 'More time for streams')
    const text = machine.read('etc/systemd/system/linksocks-server.service.d/drain.conf')
    const [, hours, minutes] = /--drain-timeout (\d+)h [\s\S]*TimeoutStopSec=(\d+)min/.exec(text) ?? []
    expect(Number(minutes) * 60).toBeGreaterThan(Number(hours) * 3_600 + 10)
  })

  it('leaves no name of an example in what proxies read, and starts a relay with flags that it has', async () => {
    const machine = new Machine(scene)
    await follow(machine, 'Reverse proxies')
    for (const path of ['etc/nginx/conf.d/linksocks.conf', 'etc/caddy/Caddyfile']) {
      expect(machine.read(path)).toContain('relay.my.example')
      expect(machine.read(path)).not.toContain('example.com')
    }
    const [relay = ''] = machine.calls().filter((call) => call.startsWith('linksocks server '))
    const known = SERVER_FLAGS.flatMap(({ flags }) => flags.split(/[ ,]+/).filter((word) => word.startsWith('-')))
    const used = relay.split(' ').filter((word) => word.startsWith('-'))
    expect(used.length).toBeGreaterThan(2)
    expect(used.filter((flag) => !known.includes(flag))).toEqual([])
  })

  it('builds an image from the Dockerfile', async () => {
    const machine = new Machine(scene)
    await follow(machine, 'Image')
    expect(machine.calls()).toEqual(['docker build --tag linksocks .'])
  })
})

/** A folder that stands for a machine: `deploy`, an `/etc`, and programs that only write down how they were called. */
class Machine {
  readonly #root: string

  constructor(scene: Scene) {
    this.#root = dirname(scene.file(''))
    cpSync(join(ROOT, 'deploy'), join(this.#root, 'deploy'), {
      recursive: true,
      filter: (path) => !/\/(secrets|program|\.env)$/.test(path),
    })
    for (const folder of ['bin', 'etc/systemd/system', 'etc/nginx/conf.d', 'etc/caddy'])
      mkdirSync(join(this.#root, folder), { recursive: true })
    for (const name of STAND_INS) this.answers(name, ':')
    this.#program('openssl', '[ "$*" = "rand -hex 24" ] && echo 0123456789abcdef0123456789abcdef0123456789abcdef')
    writeFileSync(join(this.#root, 'token'), 'PROVIDER-SECRET\n')
    writeFileSync(join(this.#root, 'calls'), '')
  }

  async run(text: string): Promise<void> {
    const PATH = [join(this.#root, 'bin'), process.env.PATH].join(delimiter)
    const script = text.replaceAll(/(?<=[\s>])\/etc\//g, `${this.#root}/etc/`)
    await execute('sh', ['-euc', script], { cwd: this.#root, env: { PATH } })
  }

  /** Lets a program that writes down how it was called do something too, as a line of a shell. */
  answers(name: string, line: string): void {
    this.#program(name, `echo "${name} $*" >> "${this.#root}/calls"\n${line}`)
  }

  calls(): readonly string[] {
    return this.read('calls').split('\n').filter(Boolean)
  }

  has(path: string): boolean {
    return existsSync(join(this.#root, path))
  }

  read(path: string): string {
    return readFileSync(join(this.#root, path), 'utf8')
  }

  link(path: string): string {
    return readlinkSync(join(this.#root, path))
  }

  mode(path: string): number {
    return statSync(join(this.#root, path)).mode & 0o777
  }

  #program(name: string, line: string): void {
    const path = join(this.#root, 'bin', name)
    writeFileSync(path, `#!/bin/sh\n${line}\n`)
    chmodSync(path, 0o755)
  }
}
