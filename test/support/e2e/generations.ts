import { freePort } from '../ports.js'
import { passing, tcpSocket } from './passed-sockets.js'
import type { LinksocksProcess } from './process.js'
import type { Scene } from './scene.js'

/**
 * The processes of a server, one after the other, on sockets that listen all the time: what a supervisor does. It accepts nothing itself.
 */
export class Generations {
  /** By the names that say what they are for (LISTEN_FDNAMES). */
  readonly ports: Readonly<Record<string, number>>
  readonly #waiting: LinksocksProcess[]

  private constructor(ports: Readonly<Record<string, number>>, waiting: LinksocksProcess[]) {
    this.ports = ports
    this.#waiting = waiting
  }

  /**
   * @param names of the sockets, which get a port each
   * @param args of each process, given the ports
   * @param count how many there are to be
   */
  static async open(
    scene: Scene,
    names: readonly string[],
    args: (ports: Readonly<Record<string, number>>) => readonly string[],
    count: number,
  ): Promise<Generations> {
    const sockets = await Promise.all(names.map(async () => tcpSocket('127.0.0.1', await freePort())))
    const ports = Object.fromEntries(names.map((name, index) => [name, sockets[index]?.port ?? 0]))
    const env = { LISTEN_FDNAMES: names.join(':') }
    const waiting = await passing(sockets, (passed) =>
      Array.from({ length: count }, () => scene.start(args(ports), { env, passed, waits: true })),
    )
    return new Generations(ports, waiting)
  }

  /** Starts the next process. */
  next(): LinksocksProcess {
    const next = this.#waiting.shift()
    if (next === undefined) throw new Error('there is no further process')
    next.go()
    return next
  }
}
