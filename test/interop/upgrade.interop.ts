import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Generations } from '../support/e2e/generations.js'
import { MODES, type Mode } from '../support/e2e/modes.js'
import { PacedDownload, PacedTarget } from '../support/e2e/paced-download.js'
import { Probes } from '../support/e2e/probes.js'
import type { LinksocksProcess } from '../support/e2e/process.js'
import type { Scene } from '../support/e2e/scene.js'
import { readBytes, socksConnect } from '../support/e2e/socks.js'
import { echoTarget, httpOrigin, readAll } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { eventually } from '../support/wait.js'
import { DEPLOYED } from './support/deployed.js'
import { ManagedTokens } from './support/managed-tokens.js'
import { accepts, startClient } from './support/mixed-tunnel.js'
import { ownScene } from './support/own-scene.js'

const UPGRADES = 10
/** Further ones, at which nothing but the probes is under way: providers have nothing that keeps their sessions. */
const IDLE_UPGRADES = 5
/** Connections through the tunnel that are tried at the same time. */
const SOCKS_PROBES = 3
/** Of each kind, between two upgrades. */
const PROBES_BETWEEN = 5
const KEY = 'key of the tests'
/** Whatever else the machine does: no drain is to end before its streams. */
const PATIENT = ['--drain-timeout', '1h', '--drain-idle', '1h']

interface UpgradedServer {
  readonly generations: Generations
  /** All so far. */
  readonly processes: LinksocksProcess[]
}

async function startServer(scene: Scene, mode: Mode, more: readonly string[] = []): Promise<UpgradedServer> {
  const names = mode === 'forward' ? ['http'] : ['http', 'socks']
  const always = [
    'server',
    '--log-format',
    'json',
    '-k',
    KEY,
    ...PATIENT,
    '--data-dir',
    join(scene.folder(), 'data'),
    '--data-dir-wait',
    '90s',
  ]
  const args = ({ socks = 0 }) => [...always, ...modeArgs(mode, socks), ...more]
  const generations = await Generations.open(scene, names, args, 1 + UPGRADES + IDLE_UPGRADES)
  const first = generations.next()
  await first.event('server.ready')
  return { generations, processes: [first] }
}

function modeArgs(mode: Mode, socksPort: number): readonly string[] {
  const reverse = ['-r', '-t', 'P', '-p', `${socksPort}`]
  return { forward: ['-t', 'F'], reverse, agent: [...reverse, '-c', 'C'], autonomy: [...reverse, '-a'] }[mode]
}

/** What a mode needs besides its server. @returns the port of the application */
async function startClients(scene: Scene, mode: Mode, { generations }: UpgradedServer): Promise<number> {
  const { http = 0, socks = 0 } = generations.ports
  const url = `ws://127.0.0.1:${http}`
  if (mode === 'forward') return (await scene.listener(url, ['-t', 'F'])).socksPort
  const provider = await scene.provider(url, ['-t', 'P', ...(mode === 'autonomy' ? ['-c', 'C'] : [])])
  if (mode === 'autonomy') await provider.event('connector.registered')
  return mode === 'reverse' ? socks : (await scene.listener(url, ['-t', 'C'])).socksPort
}

/** The next process waits for the store, and the one that runs is told to end. @returns that one */
async function beginUpgrade({ generations, processes }: UpgradedServer): Promise<LinksocksProcess> {
  const old = processes.at(-1)
  if (old === undefined) throw new Error('no process runs')
  const next = generations.next()
  processes.push(next)
  await next.event('store.waiting')
  old.kill('SIGTERM')
  return old
}

/** The next process takes over from the one that runs, which goes on with its streams. */
async function upgrade(server: UpgradedServer): Promise<LinksocksProcess> {
  const old = await beginUpgrade(server)
  await server.processes.at(-1)?.event('server.ready')
  return old
}

function socksProbes(scene: Scene, socksPort: number, target: readonly [string, number]): Probes {
  return new Probes(async (round) => {
    const socket = await socksConnect(scene, socksPort, target)
    const text = `probe ${round}`
    socket.write(text)
    const answer = (await readBytes(socket, text.length)).toString()
    socket.destroy()
    if (answer !== text) throw new Error(`answer: ${answer}`)
  })
}

/** Requests on connections that are kept as long as the proxy port keeps them. */
function httpProbes(scene: Scene, proxyPort: number, originPort: number): Probes {
  const agent = new Agent({ keepAlive: true })
  scene.own(() => agent.destroy())
  const get = async (): Promise<void> => {
    const sent = request({ agent, host: '127.0.0.1', port: proxyPort, path: `http://127.0.0.1:${originPort}/` }).end()
    let answered = false
    try {
      const [response] = (await once(sent, 'response')) as [IncomingMessage]
      answered = true
      const text = (await readAll(response)).toString()
      if (text !== 'content') throw new Error(`${response.statusCode} ${text}`)
    } catch (thrown) {
      // closed while this was on its way, which any server may do (RFC 9112 section 9.3.1)
      if (sent.reusedSocket && !answered) return get()
      throw thrown
    }
  }
  return new Probes(get)
}

interface RunningProbes {
  readonly all: readonly Probes[]
  readonly managed: ManagedTokens
}

/** What is asked of the server all the time. */
async function startProbes(
  scene: Scene,
  mode: Mode,
  server: UpgradedServer,
  socksPort: number,
): Promise<RunningProbes> {
  const managed = new ManagedTokens(server.generations.ports.http ?? 0, KEY)
  const target = ['127.0.0.1', await echoTarget(scene)] as const
  const all = Array.from({ length: SOCKS_PROBES }, () => socksProbes(scene, socksPort, target))
  if (mode === 'reverse') all.push(httpProbes(scene, socksPort, await httpOrigin(scene, Buffer.from('content'))))
  // it is the same in every mode
  if (mode === 'forward' || mode === 'reverse') all.push(new Probes((round) => managed.useOnce(round)))
  for (const probes of all) probes.start()
  return { all, managed }
}

async function openDownload(scene: Scene, socksPort: number, target: PacedTarget): Promise<PacedDownload> {
  const download = new PacedDownload(await socksConnect(scene, socksPort, ['127.0.0.1', target.port]))
  await download.began
  return download
}

async function expectWhole(target: PacedTarget, download: PacedDownload): Promise<void> {
  const [sent, arrived] = await target.finish(download)
  expect(arrived).toBe(sent)
}

/** Each process opened the store once, when the one before it had been told to end. */
function expectOneOwner({ processes }: UpgradedServer): void {
  for (const [index, process] of processes.entries()) {
    expect(process.events('store.opened')).toHaveLength(1)
    const before = processes[index - 1]
    // one that is killed as its drain begins says no more than that
    const gave = before?.events('store.released')[0] ?? before?.events('cli.stopping')[0]
    if (gave === undefined) continue
    const [opened] = process.events('store.opened')
    expect(String(opened?.time) >= String(gave.time)).toBe(true)
  }
}

async function expectAllKept(managed: ManagedTokens): Promise<void> {
  const there = new Set(await managed.tokens())
  expect([...managed.kept].filter((token) => !there.has(token))).toEqual([])
  expect([...managed.removed].filter((token) => there.has(token))).toEqual([])
}

const CASES: readonly (readonly [string, Mode, readonly string[]])[] = [
  ...MODES.map((mode) => [mode, mode, []] as const),
  ['reverse with --socks-nowait', 'reverse', ['--socks-nowait']],
]

describe.concurrent('ten upgrades', () => {
  it.for(CASES)('fail no request and cut no download: %s', async ([, mode, more], context) => {
    const scene = ownScene(context)
    const server = await startServer(scene, mode, more)
    const socksPort = await startClients(scene, mode, server)
    const [target, longTarget] = [await PacedTarget.open(scene), await PacedTarget.open(scene)]
    const { all, managed } = await startProbes(scene, mode, server, socksPort)
    const [first] = server.processes
    const long = await openDownload(scene, socksPort, longTarget)
    for (let upgrades = 0; upgrades < UPGRADES + IDLE_UPGRADES; upgrades += 1) {
      const download = upgrades < UPGRADES ? await openDownload(scene, socksPort, target) : undefined
      const old = await upgrade(server)
      await Promise.all(all.map((probes) => probes.more(PROBES_BETWEEN)))
      if (download !== undefined) await expectWhole(target, download)
      expect(old.events('store.released')).toHaveLength(1)
      if (old !== first) expect(await old.end()).toBe(0)
    }
    // the first process has drained through all of them
    await expectWhole(longTarget, long)
    expect(await first?.end()).toBe(0)
    await Promise.all(all.map((probes) => probes.stop()))
    expect(all.flatMap(({ failures }) => failures)).toEqual([])
    expectOneOwner(server)
    await expectAllKept(managed)
  })

  it('lose nothing that was acknowledged, and fail no request, when each old process is killed while it drains', async (context) => {
    const scene = ownScene(context)
    const server = await startServer(scene, 'forward')
    const socksPort = await startClients(scene, 'forward', server)
    const target = await PacedTarget.open(scene)
    const { all, managed } = await startProbes(scene, 'forward', server, socksPort)
    for (let upgrades = 0; upgrades < UPGRADES; upgrades += 1) {
      const download = await openDownload(scene, socksPort, target)
      const old = await upgrade(server)
      await Promise.all(all.map((probes) => probes.more(PROBES_BETWEEN)))
      // the download keeps it
      expect(await old.end('SIGKILL')).toBe('SIGKILL')
      await expect(download.digest).rejects.toThrow()
    }
    await Promise.all(all.map((probes) => probes.stop()))
    expect(all.flatMap(({ failures }) => failures)).toEqual([])
    expectOneOwner(server)
    await expectAllKept(managed)
  })

  it('lose nothing that was acknowledged when each old process is killed as its drain begins', async (context) => {
    const scene = ownScene(context)
    const server = await startServer(scene, 'forward')
    const managed = new ManagedTokens(server.generations.ports.http ?? 0, KEY)
    const probes = new Probes((round) => managed.useOnce(round)).start()
    for (let upgrades = 0; upgrades < UPGRADES; upgrades += 1) {
      const old = await beginUpgrade(server)
      await old.event('cli.stopping')
      expect(['SIGKILL', 0]).toContain(await old.end('SIGKILL'))
      await server.processes.at(-1)?.event('server.ready')
      await probes.more(PROBES_BETWEEN)
    }
    await probes.stop()
    expect(probes.latencies.length).toBeGreaterThan(0)
    expectOneOwner(server)
    await expectAllKept(managed)
  })
})

describe.concurrent.for(DEPLOYED)('an upgrade under a client of $name, which is not told', (deployed) => {
  it.skipIf(deployed.missing !== undefined)(
    'serves it until it has no stream, and then the next process does',
    async (context) => {
      const scene = ownScene(context)
      const server = await startServer(scene, 'forward')
      const socksPort = await freePort()
      const url = `ws://127.0.0.1:${server.generations.ports.http ?? 0}`
      const client = await startClient(scene, deployed, 'theirs', ['-u', url, '-t', 'F', '-p', `${socksPort}`])
      await accepts(socksPort, () => client.tail)
      const echo = ['127.0.0.1', await echoTarget(scene)] as const
      const target = await PacedTarget.open(scene)
      const download = await openDownload(scene, socksPort, target)
      const old = await upgrade(server)
      await exchange(scene, socksPort, echo, 'while it drains')
      await expectWhole(target, download)
      expect(await old.exited).toBe(0)
      await eventually('stream by the next process', () =>
        exchange(scene, socksPort, echo, 'after').catch(() => undefined),
      )
      expectOneOwner(server)
    },
  )
})

async function exchange(
  scene: Scene,
  socksPort: number,
  target: readonly [string, number],
  text: string,
): Promise<true> {
  const socket = await socksConnect(scene, socksPort, target)
  socket.write(text)
  expect((await readBytes(socket, text.length)).toString()).toBe(text)
  socket.destroy()
  return true
}
