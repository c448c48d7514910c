import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { withScene } from '../support/beside.js'
import { MODES, type Mode, serverArgs } from '../support/e2e/modes.js'
import type { LinksocksProcess } from '../support/e2e/process.js'
import type { Scene } from '../support/e2e/scene.js'
import { readBytes, socksConnect } from '../support/e2e/socks.js'
import { echoTarget, errorOf, readAll, tcpTarget } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { eventually, until, within } from '../support/wait.js'
import { earlyTimers } from './preload.js'

/** Longer than any test: a stream that had to wait for it would not end. */
const NEVER_RESUMED = ['--resume-timeout', '2h']
const NEVER_RESUMED_MS = 7_200_000

interface Clients {
  readonly socksPort: number
  /** The ones whose session is lost with the server; that of the exit is the last. */
  readonly processes: readonly LinksocksProcess[]
}

async function startClients(scene: Scene, mode: Mode, url: string, reversePort: number): Promise<Clients> {
  if (mode === 'forward') {
    const { process, socksPort } = await scene.listener(url, ['-t', 'F', ...NEVER_RESUMED])
    return { socksPort, processes: [process] }
  }
  const autonomy = mode === 'autonomy' ? ['-c', 'C'] : []
  const provider = await scene.provider(url, ['-t', 'P', ...autonomy, ...NEVER_RESUMED])
  if (mode === 'reverse') return { socksPort: reversePort, processes: [provider] }
  if (mode === 'autonomy') await provider.event('connector.registered')
  const { process, socksPort } = await scene.listener(url, ['-t', 'C', ...NEVER_RESUMED])
  return { socksPort, processes: [process, provider] }
}

/** A stream that has carried something. */
async function openStream(scene: Scene, socksPort: number, target: number): Promise<Socket> {
  const open = (): Promise<Socket | undefined> =>
    socksConnect(scene, socksPort, ['127.0.0.1', target]).catch(() => undefined)
  const socket = await eventually('stream', open)
  socket.write('hello')
  expect((await readBytes(socket, 5)).toString()).toBe('hello')
  return socket
}

/** A target that echoes, and how its connections ended. */
async function watchedTarget(scene: Scene): Promise<{ port: number; ends: Promise<unknown>[] }> {
  const ends: Promise<unknown>[] = []
  const port = await tcpTarget(scene, (socket) => {
    ends.push(new Promise((resolve) => socket.once('error', resolve).once('end', () => resolve('end of input'))))
    socket.on('data', (bytes) => socket.write(bytes))
  })
  return { port, ends }
}

// they mostly wait, for processes to start and for the delays before a client connects again
describe.concurrent('a server that is killed', { timeout: 120_000 }, () => {
  it.for(MODES)(
    'and started again does not know the %s session any more, which ends its streams on both sides at once',
    (mode, context) =>
      withScene(async (scene) => {
        const target = await watchedTarget(scene)
        const [port, reversePort] = [await freePort(), await freePort()]
        const args = [...serverArgs(mode, reversePort), ...NEVER_RESUMED]
        const server = await scene.server(args, { port })
        const { socksPort, processes } = await startClients(scene, mode, server.url, reversePort)
        const end = errorOf(await openStream(scene, socksPort, target.port))
        await server.process.end('SIGKILL')
        await scene.server(args, { port })
        await until(() => processes.every((process) => process.events('link.up').length === 2))
        // in reverse mode the SOCKS5 port died with the server, and with forward the exit
        const ended = await within(end, 'end of the stream')
        if (mode !== 'reverse') expect(ended).toMatchObject({ code: 'ECONNRESET' })
        const [destination] = target.ends
        if (destination === undefined) throw new Error('nothing was dialled')
        const destinationEnd = await within(destination, 'end at the destination')
        if (mode !== 'forward') expect(destinationEnd).toMatchObject({ code: 'ECONNRESET' })
      })(context),
  )

  it(
    'three times in a row has its clients back each time, with no stream left over',
    withScene(async (scene) => {
      const echo = await echoTarget(scene)
      const [port, reversePort] = [await freePort(), await freePort()]
      let { process, url } = await scene.server(serverArgs('agent', reversePort), { port })
      const { socksPort } = await startClients(scene, 'agent', url, reversePort)
      for (let round = 0; round < 3; round++) {
        const streams = [await openStream(scene, socksPort, echo), await openStream(scene, socksPort, echo)]
        const ends = streams.map((socket) => errorOf(socket))
        await process.end('SIGKILL')
        ;({ process, url } = await scene.server(serverArgs('agent', reversePort), { port }))
        for (const end of ends) expect(await within(end, 'end')).toMatchObject({ code: 'ECONNRESET' })
      }
      const socket = await openStream(scene, socksPort, echo)
      socket.end('bye')
      expect((await readAll(socket)).toString()).toBe('bye')
    }),
  )

  it(
    'and stays away keeps the streams of a client waiting no longer than --resume-timeout',
    withScene(async (scene) => {
      const echo = await echoTarget(scene)
      const server = await scene.server(serverArgs('forward', 0))
      const { process, socksPort } = await scene.listener(server.url, ['-t', 'F', '--resume-timeout', '1s'])
      const end = errorOf(await openStream(scene, socksPort, echo))
      const began = performance.now()
      await server.process.end('SIGKILL')
      expect(await end).toMatchObject({ code: 'ECONNRESET' })
      expect(performance.now() - began).toBeGreaterThan(950)
      expect(await process.end('SIGTERM')).toBe(0)
    }),
  )
})

describe.concurrent('a provider that is killed', { timeout: 120_000 }, () => {
  it(
    'and started again carries new streams while the old one waits for --resume-timeout',
    withScene(async (scene) => {
      const target = await watchedTarget(scene)
      const args = [...serverArgs('agent', await freePort()), ...NEVER_RESUMED]
      const { url, process } = await scene.server(args, { env: earlyTimers(NEVER_RESUMED_MS) })
      const first = await scene.provider(url, ['-t', 'P'])
      const { socksPort } = await scene.listener(url, ['-t', 'C'])
      const old = await openStream(scene, socksPort, target.port)
      let over = false
      const end = errorOf(old).finally(() => (over = true))
      await first.end('SIGKILL')
      await process.event('link.suspended', { role: 'provider' })
      await scene.provider(url, ['-t', 'P'])
      const fresh = await openStream(scene, socksPort, target.port)
      expect(over).toBe(false)
      process.kill('SIGUSR2')
      expect(await end).toMatchObject({ code: 'ECONNRESET' })
      fresh.write('after')
      expect((await readBytes(fresh, 5)).toString()).toBe('after')
    }),
  )

  it(
    'takes the connections to its destinations along',
    withScene(async (scene) => {
      const target = await watchedTarget(scene)
      const { url } = await scene.server(serverArgs('agent', await freePort()))
      const provider = await scene.provider(url, ['-t', 'P'])
      const { socksPort } = await scene.listener(url, ['-t', 'C'])
      await openStream(scene, socksPort, target.port)
      await provider.end('SIGKILL')
      expect(await within(Promise.all(target.ends), 'end at the destination')).toHaveLength(1)
    }),
  )
})

describe.concurrent('a port in use', { timeout: 120_000 }, () => {
  it(
    'ends a second server and a second client with 1 and one line, and leaves the first ones alone',
    withScene(async (scene) => {
      const echo = await echoTarget(scene)
      const server = await scene.server(serverArgs('forward', 0))
      const { socksPort } = await scene.listener(server.url, ['-t', 'F'])
      const stream = await openStream(scene, socksPort, echo)
      const attempts = [
        {
          args: ['server', '-t', 'F', '-H', '127.0.0.1', '-P', `${server.port}`],
          flag: '--ws-port',
          port: server.port,
        },
        { args: ['client', '-t', 'F', '-u', server.url, '-p', `${socksPort}`], flag: '--socks-port', port: socksPort },
      ]
      for (const { args, flag, port } of attempts) {
        const second = scene.start(args)
        expect(await second.end()).toBe(1)
        const lines = second.stderr.split('\n').filter((line) => line.startsWith('linksocks: '))
        expect(lines).toEqual([`linksocks: ${flag}: port ${port} on 127.0.0.1 is already in use`])
      }
      stream.write('alive')
      expect((await readBytes(stream, 5)).toString()).toBe('alive')
    }),
  )
})
