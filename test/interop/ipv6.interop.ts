import { expect, it } from 'vitest'
import type { Scene } from '../support/e2e/scene.js'
import { echoTarget, HAS_IPV6 } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { eventually } from '../support/wait.js'
import type { Deployed } from './support/deployed.js'
import { echoAttempts } from './support/exchanges.js'
import { describeDeployed, mixedCasts, named } from './support/mixed.js'
import { type Side, startClient, startPeer } from './support/mixed-tunnel.js'
import { ownScene } from './support/own-scene.js'

/** A server on the IPv6 loopback. @returns its URL */
async function startServer(scene: Scene, deployed: Deployed, side: Side, args: readonly string[]): Promise<string> {
  const port = await freePort()
  const flags = ['server', '-H', '::1', '-P', `${port}`, ...args]
  const server = side === 'ours' ? scene.start(flags) : startPeer(scene, [...deployed.command, ...flags])
  const up = () =>
    fetch(`http://[::1]:${port}/`).then(
      () => true,
      () => undefined,
    )
  await eventually('server on the IPv6 loopback', up).catch((error: Error) => {
    throw new Error(`${error.message}; its output ends:\n${server.tail}`)
  })
  return `ws://[::1]:${port}`
}

for (const mode of ['forward', 'agent'] as const) {
  describeDeployed(`IPv6 all the way in ${mode} mode`, (deployed) => {
    it.skipIf(!HAS_IPV6).concurrent.for(named(mixedCasts(mode)))('%s', async ([, cast], context) => {
      const scene = ownScene(context)
      const args = mode === 'forward' ? ['-t', 'F'] : ['-r', '-t', 'P', '-p', `${await freePort()}`, '-c', 'C']
      const url = await startServer(scene, deployed, cast.server, args)
      if (cast.provider) await startClient(scene, deployed, cast.provider, ['-u', url, '-r', '-t', 'P'])
      const socksPort = await freePort()
      const token = mode === 'forward' ? 'F' : 'C'
      await startClient(scene, deployed, cast.listener ?? 'ours', ['-u', url, '-t', token, '-p', `${socksPort}`])
      const target = ['::1', await echoTarget(scene, '::1')] as const
      expect(await eventually('echo', echoAttempts(scene, socksPort, target, 'over IPv6'))).toBe('over IPv6')
    })
  })
}
