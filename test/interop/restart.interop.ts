import type { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { MODES, type Mode } from '../support/e2e/modes.js'
import type { Scene } from '../support/e2e/scene.js'
import { readBytes, socksConnect } from '../support/e2e/socks.js'
import { errorOf, tcpTarget } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { eventually } from '../support/wait.js'
import type { Deployed } from './support/deployed.js'
import { echoAttempts } from './support/exchanges.js'
import { describeDeployed, mixedCasts, named } from './support/mixed.js'
import { type Cast, type MixedTunnel, startClient, startMixed, startServer } from './support/mixed-tunnel.js'
import { ownScene } from './support/own-scene.js'

async function serverArgs(mode: Mode, socksPort: number): Promise<readonly string[]> {
  if (mode === 'forward') return ['-t', 'F']
  const port = mode === 'reverse' ? socksPort : await freePort()
  const more = { reverse: [], agent: ['-c', 'C'], autonomy: ['-a'] }
  return ['-r', '-t', 'P', '-p', `${port}`, ...more[mode]]
}

/** An echo target, and its connections in the order they came. */
async function watchedEcho(scene: Scene): Promise<{ readonly port: number; readonly connections: readonly Socket[] }> {
  const connections: Socket[] = []
  const port = await tcpTarget(scene, (socket) => {
    connections.push(socket)
    socket.pipe(socket)
  })
  return { port, connections }
}

/**
 * Waits until streams pass again. A connector of theirs that is back before its provider has brought its token is
 * refused, by their server as by ours, and gives up for good: it is started again.
 */
async function isBack(tunnel: MixedTunnel, attempts: () => () => unknown, startAgain: () => Promise<unknown>) {
  const refused = () => tunnel.listener?.tail.includes('Authentication failed') || undefined
  const works = attempts()
  await eventually('stream after the restart', () => works() ?? refused())
  if (refused() !== true) return
  await tunnel.listener?.end('SIGKILL')
  await eventually('admitted connector', () => startAgain().catch(() => undefined))
  await eventually('stream of the new connector', attempts())
}

async function restart(
  scene: Scene,
  deployed: Deployed,
  mode: Mode,
  cast: Cast,
  signal: NodeJS.Signals,
): Promise<void> {
  const echo = await watchedEcho(scene)
  const target = ['127.0.0.1', echo.port] as const
  const port = await freePort()
  // the stream stays open
  const drain = cast.server === 'ours' ? ['--drain-timeout', '200ms'] : []
  const tunnel = await startMixed(scene, deployed, mode, cast, { port, serverArgs: drain })
  const { server, socksPort, url } = tunnel
  const attempts = () => echoAttempts(scene, socksPort, target, 'works')
  await eventually('stream', attempts())
  const stream = await socksConnect(scene, socksPort, target)
  stream.write('open')
  await readBytes(stream, 4)
  const atTarget = echo.connections.at(-1)
  const cut = errorOf(stream)

  const ended = async (): Promise<void> => {
    // streams of theirs hang until somebody writes; those of ours end at once, at both ends
    if (cast.listener === 'ours') expect(await cut).toMatchObject({ code: 'ECONNRESET' })
    if (cast.provider === 'ours') await eventually('end at the target', () => atTarget?.destroyed || undefined)
  }

  await server.end(signal)
  // two of ours wait for one that is killed: it might be back and know their session
  const waits = cast.server === 'ours' && signal === 'SIGKILL'
  if (!waits) await ended()
  await startServer(scene, deployed, cast.server, await serverArgs(mode, socksPort), port)
  if (waits) await ended()
  const connector = ['-u', url, '-t', 'C', '-p', `${socksPort}`]
  const gaveUp = mode === 'autonomy' && cast.listener === 'theirs'
  if (gaveUp) await isBack(tunnel, attempts, () => startClient(scene, deployed, 'theirs', connector))
  else await eventually('stream after the restart', attempts())
}

for (const mode of MODES) {
  describeDeployed(`a server that is killed and started again in ${mode} mode`, (deployed) => {
    it.concurrent.for(named(mixedCasts(mode)))('has its clients back: %s', ([, cast], context) =>
      restart(ownScene(context), deployed, mode, cast, 'SIGKILL'),
    )
  })

  describeDeployed(`a server of ours that is told to end and started again in ${mode} mode`, (deployed) => {
    const casts = mixedCasts(mode).filter((cast) => cast.server === 'ours')
    it.concurrent.for(named(casts))('ends soon, and has its clients back: %s', ([, cast], context) =>
      restart(ownScene(context), deployed, mode, cast, 'SIGTERM'),
    )
  })
}
