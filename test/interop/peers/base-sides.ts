import type { Socket } from 'node:net'
import type { LinksocksProcess } from '../../support/e2e/process.js'
import type { ProcessOptions, Scene } from '../../support/e2e/scene.js'
import { type SocksOptions, socksConnect } from '../../support/e2e/socks.js'
import { tcpTarget } from '../../support/e2e/targets.js'
import { freePort } from '../../support/ports.js'
import { Bell } from './base-bell.js'
import { baseClient } from './base-client.js'
import type { BaseLink } from './base-link.js'
import { BaseServer } from './base-server.js'
import { connect, connected, newId } from './base-wire.js'

/** Our SOCKS5 port; a scripted peer answers what is asked for there. */
export interface SocksSide {
  readonly socksPort: number
  readonly exit: BaseLink
  /** The processes of ours, the one at the peer's link first. */
  readonly processes: readonly LinksocksProcess[]
  /** A new scripted peer in the place of one that is gone. */
  again(): Promise<BaseLink>
}

/** Our exit; a scripted peer asks it. */
export interface ExitSide {
  readonly asker: BaseLink
  readonly processes: readonly LinksocksProcess[]
  again(): Promise<BaseLink>
}

/** What each process of a side is started with. */
type Options = () => ProcessOptions

const PROVIDER = { token: 'P', reverse: true }
const CONNECTOR = { token: 'C', reverse: false }

async function ourClient(scene: Scene, options: Options): Promise<SocksSide> {
  const server = await BaseServer.open(scene)
  const { process, socksPort } = await scene.listener(server.url, ['-t', 'F'], options())
  return { socksPort, exit: await server.link(), processes: [process], again: () => server.link() }
}

async function ourReverseServer(scene: Scene, options: Options): Promise<SocksSide> {
  const socksPort = await freePort()
  const { url, process } = await scene.server(['-r', '-t', 'P', '-p', `${socksPort}`], options())
  const again = () => baseClient(scene, url, PROVIDER)
  const exit = await again()
  await process.event('socks.listening')
  return { socksPort, exit, processes: [process], again }
}

async function ourRelayAndClient(scene: Scene, options: Options): Promise<SocksSide> {
  const { url, process } = await scene.server(['-r', '-t', 'P', '-p', '0', '-c', 'C'], options())
  const again = () => baseClient(scene, url, PROVIDER)
  const exit = await again()
  const listener = await scene.listener(url, ['-t', 'C'], options())
  return { socksPort: listener.socksPort, exit, processes: [process, listener.process], again }
}

async function provide(scene: Scene, url: string, options: ProcessOptions): Promise<LinksocksProcess> {
  const process = scene.start(['provider', '-u', url, '-t', 'P', '--log-format', 'json'], options)
  await process.event('link.up')
  return process
}

async function ourProvider(scene: Scene, options: Options): Promise<ExitSide> {
  const server = await BaseServer.open(scene)
  const process = await provide(scene, server.url, options())
  return { asker: await server.link(), processes: [process], again: () => server.link() }
}

async function ourServer(scene: Scene, options: Options): Promise<ExitSide> {
  const { url, process } = await scene.server(['-t', 'F'], options())
  const again = () => baseClient(scene, url, { token: 'F', reverse: false })
  return { asker: await again(), processes: [process], again }
}

async function ourRelayAndProvider(scene: Scene, options: Options): Promise<ExitSide> {
  const { url, process } = await scene.server(['-r', '-t', 'P', '-p', '0', '-c', 'C'], options())
  const provider = await provide(scene, url, options())
  const again = () => baseClient(scene, url, CONNECTOR)
  return { asker: await again(), processes: [process, provider], again }
}

let started: Promise<unknown> = Promise.resolve()

/** Starts one side at a time: processes that all start at once take longer than anybody waits. */
function inTurn<T>(
  open: (scene: Scene, options: Options) => Promise<T>,
): (scene: Scene, options?: Options) => Promise<T> {
  return (scene, options = () => ({})) => {
    const turn = started.then(() => open(scene, options))
    started = turn.catch(() => {})
    return turn
  }
}

/** Every place of ours that opens channels towards a deployed exit. */
export const SOCKS_SIDES = [
  ['our client at a deployed server', inTurn(ourClient)],
  ['our reverse server with a deployed provider', inTurn(ourReverseServer)],
  ['our client and relay with a deployed provider', inTurn(ourRelayAndClient)],
] as const

/** Every place of ours that serves the channels of a deployed SOCKS side. */
export const EXIT_SIDES = [
  ['our provider at a deployed server', inTurn(ourProvider)],
  ['our server with a deployed client', inTurn(ourServer)],
  ['our relay and provider with a deployed connector', inTurn(ourRelayAndProvider)],
] as const

export interface Opened {
  readonly app: Socket
  readonly id: string
}

/** A SOCKS client that the scripted exit lets in. */
export async function openChannel(scene: Scene, side: SocksSide, exit = side.exit): Promise<Opened> {
  const { opening, id } = await askChannel(scene, side, exit)
  exit.send(connected(id))
  return { app: await opening, id }
}

let asked = 0

/** A SOCKS client whose Connect has reached the scripted exit, which dials nothing: each wants to go somewhere else. */
export async function askChannel(
  scene: Scene,
  { socksPort }: SocksSide,
  exit: BaseLink,
  options?: SocksOptions,
): Promise<{ readonly opening: Promise<Socket>; readonly id: string }> {
  asked += 1
  const host = `nowhere-${asked}.test`
  const opening = socksConnect(scene, socksPort, [host, 80], options)
  // looked at later, or never
  opening.catch(() => {})
  const ask = await exit.until(`connect to ${host}`, () => exit.all('connect').find(({ place }) => place.host === host))
  return { opening, id: ask.id }
}

/** A TCP target whose connections the test handles. */
export class Target {
  readonly port: number
  readonly sockets: readonly Socket[]
  readonly #come: Bell
  #taken = 0

  constructor(port: number, sockets: readonly Socket[], come: Bell) {
    this.port = port
    this.sockets = sockets
    this.#come = come
  }

  static async open(scene: Scene): Promise<Target> {
    const sockets: Socket[] = []
    const come = new Bell()
    const port = await tcpTarget(scene, (socket) => {
      sockets.push(socket)
      come.ring()
    })
    return new Target(port, sockets, come)
  }

  /** The next connection, past or to come. */
  async next(): Promise<Socket> {
    const index = this.#taken
    this.#taken += 1
    return await this.#come.until('connection to the target', () => this.sockets[index])
  }
}

/** A connection to the target that the scripted SOCKS side asked for. */
export async function openTarget(asker: BaseLink, target: Target): Promise<Opened> {
  const id = newId()
  asker.send(connect(id, '127.0.0.1', target.port))
  const answer = await asker.next('connectResponse', id)
  if (!answer.success) throw new Error(`refused: ${answer.error}`)
  return { app: await target.next(), id }
}

/** A place of ours, whichever end of a channel it is. */
export interface End {
  readonly link: BaseLink
  readonly processes: readonly LinksocksProcess[]
  /** A new channel and what is at its other end. */
  open(): Promise<Opened>
}

type StartEnd = (scene: Scene) => Promise<End>

/** For what must hold at either end of a channel. */
export const BOTH_ENDS: readonly (readonly [name: string, start: StartEnd])[] = [
  ...SOCKS_SIDES.map(([name, open]): readonly [string, StartEnd] => [
    name,
    async (scene) => {
      const side = await open(scene)
      return { link: side.exit, processes: side.processes, open: () => openChannel(scene, side) }
    },
  ]),
  ...EXIT_SIDES.map(([name, open]): readonly [string, StartEnd] => [
    name,
    async (scene) => {
      const target = await Target.open(scene)
      const side = await open(scene)
      return { link: side.asker, processes: side.processes, open: () => openTarget(side.asker, target) }
    },
  ]),
]
