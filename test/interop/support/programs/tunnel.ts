import { type Mode, serverArgs } from '../../../support/e2e/modes.js'
import type { LinksocksProcess } from '../../../support/e2e/process.js'
import type { Scene } from '../../../support/e2e/scene.js'
import { freePort } from '../../../support/ports.js'
import { eventually } from '../../../support/wait.js'

export interface ProgramTunnelOptions {
  /** Further flags of the process with the proxy port. */
  readonly listenerArgs?: readonly string[]
  /** Further flags of the exit: the server in forward mode, else the provider. */
  readonly exitArgs?: readonly string[]
}

/** A tunnel whose exit can say what it reached: a program that went around the proxy is found out. */
export class ProgramTunnel {
  readonly socksPort: number
  /** For `--proxy` and its like. */
  readonly address: string
  readonly #exit: LinksocksProcess

  constructor(socksPort: number, exit: LinksocksProcess) {
    this.socksPort = socksPort
    this.address = `127.0.0.1:${socksPort}`
    this.#exit = exit
  }

  static async start(
    scene: Scene,
    mode: Extract<Mode, 'forward' | 'reverse' | 'agent'>,
    { listenerArgs = [], exitArgs = [] }: ProgramTunnelOptions = {},
  ): Promise<ProgramTunnel> {
    const exitFlags = ['-d', ...exitArgs]
    const reversePort = mode === 'forward' ? 0 : await freePort()
    const flags = serverArgs(mode, reversePort, listenerArgs)
    const server = await scene.server([...flags, ...(mode === 'forward' ? exitFlags : [])])
    const exit = mode === 'forward' ? server.process : await scene.provider(server.url, ['-t', 'P', ...exitFlags])
    if (mode === 'reverse') {
      await server.process.event('socks.listening')
      return new ProgramTunnel(reversePort, exit)
    }
    const token = mode === 'forward' ? 'F' : 'C'
    const { socksPort } = await scene.listener(server.url, ['-t', token, ...listenerArgs])
    return new ProgramTunnel(socksPort, exit)
  }

  /** Where the exit has opened connections to so far: `localhost:80`, again for each. */
  opened(): readonly string[] {
    return this.#exit.events('exit.opened').map((line) => String(line.target))
  }

  /** Waits until the exit has opened `count` connections to a target. */
  async carried(target: string, count = 1): Promise<void> {
    const enough = (): boolean => this.opened().filter((opened) => opened === target).length >= count
    await eventually(`${count} connections to ${target}`, () => enough() || undefined).catch((error: Error) => {
      throw new Error(`${error.message}; the exit opened ${this.opened().join(' ')}`)
    })
  }
}

/** Waits until exits have opened as many connections to some targets as there were: none went around the tunnels. */
export async function carriedAll(
  tunnels: readonly ProgramTunnel[],
  targets: readonly string[],
  connections: () => number,
): Promise<void> {
  const opened = (): readonly string[] =>
    tunnels.flatMap((tunnel) => tunnel.opened()).filter((target) => targets.includes(target))
  const all = (): boolean => connections() > 0 && opened().length === connections()
  await eventually(`exit for each connection to ${targets}`, () => all() || undefined).catch((error: Error) => {
    throw new Error(`${error.message}; there were ${connections()} connections, exits opened ${opened().length}`)
  })
}
