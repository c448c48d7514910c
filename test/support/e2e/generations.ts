import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { freePort } from '../ports.js'
import { LinksocksProcess, PROGRAM } from './process.js'
import type { Scene } from './scene.js'

/** Becomes the program when it is told to: what is passed is passed to its process. */
const WAITING = 'read -r go || exit 0; LISTEN_PID=$$ exec "$@" </dev/null'

/** A process that waits for its turn. */
interface Waiting {
  readonly process: LinksocksProcess
  readonly start: () => void
}

/**
 * The processes of a server, one after the other, on sockets that listen all the time: what a supervisor does. It accepts nothing itself.
 */
export class Generations {
  /** By the names that say what they are for (LISTEN_FDNAMES). */
  readonly ports: Readonly<Record<string, number>>
  readonly #waiting: Waiting[]

  private constructor(ports: Readonly<Record<string, number>>, waiting: Waiting[]) {
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
    const servers = await Promise.all(names.map(listening))
    const ports = Object.fromEntries(servers.map(({ name, port }) => [name, port]))
    const descriptors = servers.map(({ server }) => descriptorOf(server))
    const waiting = Array.from({ length: count }, () => waitingProcess(scene, args(ports), names, descriptors))
    // they have them; in the tick in which they got them, so that nothing was accepted here
    for (const { server } of servers) server.close()
    return new Generations(ports, waiting)
  }

  /** Starts the next process. */
  next(): LinksocksProcess {
    const next = this.#waiting.shift()
    if (next === undefined) throw new Error('there is no further process')
    next.start()
    return next.process
  }
}

async function listening(name: string): Promise<{ name: string; server: Server; port: number }> {
  const port = await freePort()
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return { name, server, port }
}

/** Node does not tell. */
function descriptorOf(server: Server): number {
  const handle: unknown = Reflect.get(server, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null && Reflect.get(handle, 'fd')
  if (typeof fd !== 'number' || fd < 0) throw new Error('a listening socket has no descriptor')
  return fd
}

function waitingProcess(
  scene: Scene,
  args: readonly string[],
  names: readonly string[],
  descriptors: readonly number[],
): Waiting {
  let child: ChildProcess | undefined
  const env = { LISTEN_FDS: `${names.length}`, LISTEN_FDNAMES: names.join(':') }
  const process = new LinksocksProcess(args, env, (given, variables) => {
    child = spawn('sh', ['-c', WAITING, 'sh', globalThis.process.execPath, PROGRAM, ...given], {
      env: variables,
      stdio: ['pipe', 'pipe', 'pipe', ...descriptors],
    })
    child.stdin?.on('error', () => {})
    return child
  })
  scene.own(() => {
    process.kill('SIGKILL')
    return process.exited.catch(() => {})
  })
  return { process, start: () => void child?.stdin?.end('go\n') }
}
