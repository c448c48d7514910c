import type { Scene } from '../../../support/e2e/scene.js'
import { type LocalCa, localCa } from './ca.js'
import type { Origin } from './origin.js'
import { carriedAll, ProgramTunnel } from './tunnel.js'

/** User name and password of the tunnel that asks for them. */
export const LOGIN = ['ann', 'open sesame'] as const

/** Two origins, and a tunnel to them in each mode. */
export interface WebTunnels {
  readonly ca: LocalCa
  readonly http: Origin
  readonly https: Origin
  readonly forward: ProgramTunnel
  readonly reverse: ProgramTunnel
  readonly agent: ProgramTunnel
  /** The port of a reverse token that asks for {@link LOGIN}. */
  readonly closed: ProgramTunnel
}

export interface WebTunnelsOptions {
  /** Starts an origin, with TLS where a certificate is given. */
  readonly origin: (scene: Scene, ca?: LocalCa) => Promise<Origin>
  /** Further flags of the connector in agent mode. */
  readonly agentArgs?: readonly string[]
}

export async function webTunnels(scene: Scene, { origin, agentArgs = [] }: WebTunnelsOptions): Promise<WebTunnels> {
  const ca = await localCa(scene)
  const password = ['-n', LOGIN[0], '-w', LOGIN[1]]
  return {
    ca,
    http: await origin(scene),
    https: await origin(scene, ca),
    forward: await ProgramTunnel.start(scene, 'forward'),
    reverse: await ProgramTunnel.start(scene, 'reverse'),
    agent: await ProgramTunnel.start(scene, 'agent', { listenerArgs: agentArgs }),
    closed: await ProgramTunnel.start(scene, 'reverse', { listenerArgs: password }),
  }
}

/** Waits until exits have opened as many connections to both origins, by any of `hosts`, as there were. */
export async function allCarried(web: WebTunnels, hosts: readonly string[]): Promise<void> {
  const tunnels = [web.forward, web.reverse, web.agent, web.closed]
  for (const { port, connections } of [web.http, web.https]) {
    const targets = hosts.map((host) => `${host}:${port}`)
    await carriedAll(tunnels, targets, connections)
  }
}
