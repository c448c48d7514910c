import { connect } from 'node:net'
import type { Mode } from '../../support/e2e/modes.js'
import { LinksocksProcess } from '../../support/e2e/process.js'
import type { Scene } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import { eventually } from '../../support/wait.js'
import { CLIENT_FLAGS, type Deployed } from './deployed.js'
import { PeerProcess } from './peer-process.js'

/** Whose program plays a role. */
export type Side = 'ours' | 'theirs'

/** Who plays which role. In forward mode the listener is the forward client; in reverse mode the server itself. */
export interface Cast {
  readonly server: Side
  readonly provider?: Side
  readonly listener?: Side
}

export interface MixedOptions {
  /** Further flags of the server. */
  readonly serverArgs?: readonly string[]
  /** Further flags of the process with the SOCKS5 port. */
  readonly listenerArgs?: readonly string[]
  readonly providerArgs?: readonly string[]
  /** What clients put behind `ws://host:port`; any path but `/socket` makes them authenticate in-band. */
  readonly path?: string
  /** Where the server listens, for a restart. @default a free port */
  readonly port?: number
  /** Gives the URL that clients use instead of the server's: of a proxy in front of it. */
  readonly inFront?: (port: number) => Promise<string>
}

/** A program of either side. */
export interface Player {
  end(signal?: NodeJS.Signals): Promise<number | string>
  readonly pid: number
  readonly tail: string
}

export interface MixedTunnel {
  readonly server: Player
  readonly serverPort: number
  /** What clients were given for --url. */
  readonly url: string
  readonly socksPort: number
  readonly provider?: Player
  readonly listener?: Player
}

const SIDES = ['ours', 'theirs'] as const

/** Every cast of a mode: who is server, provider and listener. */
export function castsOf(mode: Mode): readonly Cast[] {
  if (mode === 'forward') return pairs((server, listener) => ({ server, listener }))
  if (mode === 'reverse') return pairs((server, provider) => ({ server, provider }))
  return SIDES.flatMap((server) => pairs((provider, listener) => ({ server, provider, listener })))
}

function pairs(make: (a: Side, b: Side) => Cast): readonly Cast[] {
  return SIDES.flatMap((a) => SIDES.map((b) => make(a, b)))
}

/** For test names. */
export function castName({ server, provider, listener }: Cast): string {
  const roles = [`server ${server}`, provider && `provider ${provider}`, listener && `client ${listener}`]
  return roles.filter((role) => role !== undefined).join(', ')
}

/** Tokens: F forward, P provider, C connector. */
const serverArgs = (mode: Mode, socksPort: number): readonly string[] => {
  switch (mode) {
    case 'forward':
      return ['-t', 'F']
    case 'reverse':
      return ['-r', '-t', 'P', '-p', `${socksPort}`]
    case 'agent':
      return ['-r', '-t', 'P', '-p', `${socksPort}`, '-c', 'C']
    case 'autonomy':
      return ['-r', '-a', '-t', 'P', '-p', `${socksPort}`]
  }
}

/** Starts what the mode needs, and waits until it can carry traffic. */
export async function startMixed(
  scene: Scene,
  deployed: Deployed,
  mode: Mode,
  cast: Cast,
  options: MixedOptions = {},
): Promise<MixedTunnel> {
  const socksPort = await freePort()
  const serverFlags = [
    ...serverArgs(mode, mode === 'reverse' ? socksPort : await freePort()),
    ...(mode === 'reverse' ? (options.listenerArgs ?? []) : []),
    ...(options.serverArgs ?? []),
  ]
  const { server, serverPort } = await startServer(scene, deployed, cast.server, serverFlags, options.port)
  const base = options.inFront === undefined ? `ws://127.0.0.1:${serverPort}` : await options.inFront(serverPort)
  const url = `${base}${options.path ?? ''}`
  const start = (side: Side, args: readonly string[]) => startClient(scene, deployed, side, ['-u', url, ...args])

  const providerArgs = ['-t', 'P', ...(mode === 'autonomy' ? ['-c', 'C'] : []), ...(options.providerArgs ?? [])]
  const provider = cast.provider && (await start(cast.provider, ['-r', ...providerArgs]))
  // a deployed provider may be in with another link before it says its connector token
  if (mode === 'autonomy' && server instanceof LinksocksProcess) await server.event('connector.changed')
  const token = mode === 'forward' ? 'F' : 'C'
  const listenerArgs = ['-t', token, '-p', `${socksPort}`, ...(options.listenerArgs ?? [])]
  const listener = cast.listener && (await start(cast.listener, listenerArgs))
  await accepts(socksPort, () => [server, provider, listener].map((player) => player?.tail).join('\n'))
  return { server, serverPort, url, socksPort, ...(provider && { provider }), ...(listener && { listener }) }
}

export async function startServer(
  scene: Scene,
  deployed: Deployed,
  side: Side,
  args: readonly string[],
  port?: number,
): Promise<{ server: Player; serverPort: number }> {
  if (side === 'ours') {
    const { process, port: serverPort } = await scene.server(args, { port: port ?? 0 })
    return { server: process, serverPort }
  }
  const serverPort = port ?? (await freePort())
  const server = startPeer(scene, [...deployed.command, 'server', '-H', '127.0.0.1', '-P', `${serverPort}`, ...args])
  await accepts(serverPort, () => server.tail)
  return { server, serverPort }
}

/** A client of any role that was admitted by its server. */
export async function startClient(
  scene: Scene,
  deployed: Deployed,
  side: Side,
  args: readonly string[],
): Promise<Player> {
  if (side === 'ours') {
    const process = scene.start(['client', '--log-format', 'json', ...args])
    await process.event('link.up')
    if (args.includes('-c')) await process.event('connector.registered')
    return process
  }
  const peer = startPeer(scene, [...deployed.command, 'client', ...CLIENT_FLAGS, ...args])
  await peer.says('Authentication successful')
  return peer
}

export function startPeer(
  scene: Scene,
  command: readonly string[],
  env?: Readonly<Record<string, string>>,
): PeerProcess {
  const peer = new PeerProcess(command, env)
  scene.own(() => peer.end('SIGKILL'))
  return peer
}

/** Waits until something accepts connections at a port of loopback. */
export async function accepts(port: number, tail: () => string): Promise<void> {
  const probe = (): Promise<true | undefined> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('connect', () => resolve(true)).on('error', () => resolve(undefined))
      socket.on('connect', () => socket.destroy())
    })
  await eventually(`listener at port ${port}`, probe).catch((error: Error) => {
    throw new Error(`${error.message}; the output of the programs ends:\n${tail()}`)
  })
}
