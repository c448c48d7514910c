import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { beforeAll, expect, it, vi } from 'vitest'
import { sceneOfSuite } from '../../support/e2e/scene.js'
import { socksProxy, type TestProxy } from '../../support/proxies.js'
import { type LocalCa, localCa } from '../support/programs/ca.js'
import { kubeConfig, kubernetesApi, LOGS } from '../support/programs/kubernetes.js'
import type { Origin } from '../support/programs/origin.js'
import { describeWith, folder, output, programPath, type RunOptions, run } from '../support/programs/programs.js'
import { ProgramTunnel } from '../support/programs/tunnel.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

/** Programs in Go never use a proxy of the environment for loopback: only the exit finds this name. */
const NAME = 'api.cluster.test'
const TOKEN = 'token of the tests'
const LOGIN = ['ann', 'open sesame'] as const
const POD = { kind: 'Pod', apiVersion: 'v1', metadata: { name: 'new', namespace: 'default' }, spec: { containers: [] } }
/** From here on kubectl runs commands over a WebSocket; before, over SPDY, which no scripted server here knows. */
const WEBSOCKET_SINCE = 31

/** The minor version of the kubectl that is installed; 0 where there is none. */
function minorVersion(): number {
  const { stdout } = spawnSync(programPath('kubectl') ?? 'false', ['version', '--client', '-o', 'json'])
  return Number(/"gitVersion": "v1\.(\d+)/.exec(`${stdout}`)?.[1] ?? 0)
}

/** An API that is reached by a name beyond the exit alone, through a proxy port with a password. */
interface Cluster {
  readonly api: Origin
  readonly beyond: TestProxy
  readonly tunnel: ProgramTunnel
}

describeWith(['kubectl', 'openssl'], 'kubectl', () => {
  const scene = sceneOfSuite()
  let ca: LocalCa
  let http: Cluster
  let https: Cluster
  beforeAll(async () => {
    ca = await localCa(scene)
    http = await cluster(undefined)
    https = await cluster(ca)
  })

  async function cluster(tls: LocalCa | undefined): Promise<Cluster> {
    const api = await kubernetesApi(scene, TOKEN, tls)
    const beyond = await socksProxy({ targetPort: api.port })
    scene.own(() => beyond.close())
    const tunnel = await ProgramTunnel.start(scene, 'forward', {
      listenerArgs: ['-n', LOGIN[0], '-w', LOGIN[1]],
      exitArgs: ['-x', `socks5://127.0.0.1:${beyond.port}`],
    })
    return { api, beyond, tunnel }
  }

  /** How kubectl hears of the proxy: by a variable, or by `proxy-url` of its configuration. */
  type Way = readonly [scheme: 'http' | 'https', setting: 'HTTP_PROXY' | 'HTTPS_PROXY' | 'proxy-url', proxy: string]
  const optionsOf = ([scheme, setting, proxy]: Way, password: string = LOGIN[1]): RunOptions => {
    const { tunnel } = scheme === 'http' ? http : https
    const proxyUrl = `${proxy}://${LOGIN[0]}:${encodeURIComponent(password)}@${tunnel.address}`
    const [env, configured] = setting === 'proxy-url' ? [{}, { proxyUrl }] : [{ [setting]: proxyUrl }, {}]
    const config = kubeConfig({ server: `${scheme}://${NAME}:6443`, caFile: ca.caFile, token: TOKEN, ...configured })
    return { cwd: folder(scene), env: { KUBECONFIG: scene.file(config), ...env } }
  }

  it.each<Way>([
    ['http', 'HTTP_PROXY', 'http'],
    ['https', 'HTTPS_PROXY', 'http'],
    ['https', 'HTTPS_PROXY', 'socks5'],
    ['https', 'proxy-url', 'http'],
  ])('reads, creates and watches by %s and %s=%s', async (...way) => {
    const options = optionsOf(way)
    const kubectl = async (args: readonly string[], input = Buffer.alloc(0)): Promise<string> =>
      (await output(scene, ['kubectl', ...args], { ...options, input })).toString()

    const version = JSON.parse(await kubectl(['version', '-o', 'json']))
    expect(version).toMatchObject({ serverVersion: { gitVersion: 'v1.32.0' } })
    expect(await kubectl(['get', 'pods', '-o', 'name'])).toBe('pod/web\npod/db\n')
    expect(await kubectl(['logs', 'web'])).toBe(LOGS)
    const created = await kubectl(['create', '--validate=false', '-f', '-'], Buffer.from(JSON.stringify(POD)))
    expect(created).toBe('pod/new created\n')
    const waited = await kubectl(['wait', '--for=condition=Ready', 'pod/web', '--timeout=100s'])
    expect(waited).toBe('pod/web condition met\n')
  })

  it.skipIf(minorVersion() < WEBSOCKET_SINCE).each<Way>([
    ['http', 'HTTP_PROXY', 'http'],
    ['https', 'HTTPS_PROXY', 'http'],
    ['https', 'HTTPS_PROXY', 'socks5'],
  ])(`runs a command by %s and %s=%s (kubectl 1.${WEBSOCKET_SINCE})`, async (...way) => {
    const input = randomBytes(300_000)
    const exec = ['kubectl', 'exec', '-i', 'web', '--', 'cat']
    const echoed = await output(scene, exec, { ...optionsOf(way), input })
    expect(echoed.equals(input)).toBe(true)
  })

  it.each<Way>([
    ['http', 'HTTP_PROXY', 'http'],
    ['https', 'HTTPS_PROXY', 'http'],
  ])('says by %s and %s=%s that a wrong password was refused', async (...way) => {
    const { api } = way[0] === 'http' ? http : https
    const before = api.connections()
    const get = ['kubectl', 'get', '--raw', '/version']
    const { code, stderr } = await run(scene, get, optionsOf(way, 'wrong'))
    expect([code, stderr]).toEqual([1, expect.stringMatching(/status code 407|Proxy Authentication Required/)])
    expect(api.connections()).toBe(before)
  })

  it('made every connection to the APIs through the tunnels', () => {
    for (const { api, beyond } of [http, https]) {
      expect(new Set(beyond.requests)).toEqual(new Set([`${NAME}:6443`]))
      expect(beyond.requests).toHaveLength(api.connections())
    }
  })
})
