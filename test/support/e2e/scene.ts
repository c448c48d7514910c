import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach } from 'vitest'
import { LinksocksProcess, type Passing } from './process.js'

export interface ServerProcess {
  readonly process: LinksocksProcess
  readonly port: number
  /** For --url. */
  readonly url: string
}

export interface ListenerProcess {
  readonly process: LinksocksProcess
  readonly socksPort: number
}

export type ProcessOptions = Passing & Readonly<{ env?: Readonly<Record<string, string>> }>

/** Everything a test started; gone when it ends, however it ends. */
export class Scene {
  readonly #ends: (() => unknown)[] = []

  /** Something to end with the scene. */
  own(end: () => unknown): void {
    this.#ends.push(end)
  }

  /** Runs the program; the caller sees to `--log-format json` if it wants to wait for events. */
  start(args: readonly string[], { env = {}, ...passing }: ProcessOptions = {}): LinksocksProcess {
    const started = new LinksocksProcess(args, env, passing)
    this.own(() => {
      started.kill('SIGKILL')
      return started.exited.catch(() => {})
    })
    return started
  }

  /** A server on loopback; `port` 0 takes any. */
  async server(args: readonly string[], { port = 0, env = {} }: ProcessOptions & { port?: number } = {}) {
    const process = this.start(['server', '-H', '127.0.0.1', '-P', `${port}`, '--log-format', 'json', ...args], { env })
    const ready = await process.event('server.ready')
    const bound = Number(String(ready.address).split(':').at(-1))
    const server: ServerProcess = { process, port: bound, url: `ws://127.0.0.1:${bound}` }
    return server
  }

  /** A client that has a link to the server. */
  async provider(url: string, args: readonly string[]): Promise<LinksocksProcess> {
    const process = this.start(['provider', '-u', url, '--log-format', 'json', ...args])
    await process.event('link.up')
    return process
  }

  /** A forward client or a connector with an open SOCKS5 port. */
  async listener(url: string, args: readonly string[], options: ProcessOptions = {}): Promise<ListenerProcess> {
    const process = this.start(['client', '-u', url, '-p', '0', '--log-format', 'json', ...args], options)
    const { port } = await process.event('socks.listening')
    return { process, socksPort: Number(port) }
  }

  /** A connection to a port of this machine, ended with the scene. Errors don't end the test: look at its events. */
  connect(port: number, host = '127.0.0.1'): Socket {
    const socket = connect({ port, host, allowHalfOpen: true })
    socket.on('error', () => {})
    this.own(() => socket.destroy())
    return socket
  }

  /** The path of a new folder. */
  folder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'linksocks-'))
    this.own(() => rmSync(folder, { recursive: true }))
    return folder
  }

  /** The path of a new file. */
  file(content: string): string {
    const path = join(this.folder(), 'file')
    writeFileSync(path, content)
    return path
  }

  /** Ends all of it, the last first. */
  async end(): Promise<void> {
    const failures: unknown[] = []
    for (let end = this.#ends.pop(); end !== undefined; end = this.#ends.pop()) {
      try {
        await end()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}

/** A scene that ends with each test. */
export function sceneOfTest(): Scene {
  const scene = new Scene()
  afterEach(() => scene.end())
  return scene
}

/** A scene that ends with the surrounding `describe` or file. */
export function sceneOfSuite(): Scene {
  const scene = new Scene()
  afterAll(() => scene.end())
  return scene
}

/** The SHA-256 of a token or of bytes, as hex. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
