import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { api } from '../support/e2e-modes.js'
import type { Scene, ServerProcess } from '../support/e2e-scene.js'
import { freePort } from '../support/ports.js'

/** A token as the API shows it; what these tests look at. */
export interface TokenView {
  readonly id: string
  readonly type: 'forward' | 'reverse' | 'connector'
  readonly token: string
  readonly label: string | null
  readonly enabled: boolean
  readonly stored: boolean
  readonly state: string
  readonly port?: number | null
  readonly reverse_id?: string
  readonly connectors?: readonly string[]
  readonly username?: string | null
}

export type Body = Readonly<Record<string, unknown>>

/** What became of one request: its status and its answer, or `lost` when the server went away before. */
export interface Outcome {
  readonly status: number | 'lost'
  readonly body: Body
  readonly location: string | undefined
}

const CONCURRENT = 40

/** A server with a data directory that is started again and again on the same port. */
export class DurableServer {
  readonly directory: string
  readonly #scene: Scene
  readonly #args: readonly string[]
  readonly #port: number
  #server: ServerProcess

  private constructor(scene: Scene, directory: string, args: readonly string[], port: number, server: ServerProcess) {
    this.#scene = scene
    this.directory = directory
    this.#args = args
    this.#port = port
    this.#server = server
  }

  /** @param ports how many SOCKS ports it may give out */
  static async start(scene: Scene, ports = 1): Promise<DurableServer> {
    const folder = mkdtempSync(join(tmpdir(), 'linksocks-durable-'))
    scene.own(() => rmSync(folder, { recursive: true, force: true }))
    const directory = join(folder, 'data')
    const first = await freePort(ports + 1)
    const range = `${first + 1}-${first + ports}`
    const args = ['-k', 'key of the tests', '--data-dir', directory, '--port-range', range]
    return new DurableServer(scene, directory, args, first, await scene.server(args, { port: first }))
  }

  get running(): ServerProcess {
    return this.#server
  }

  get args(): readonly string[] {
    return this.#args
  }

  async kill(): Promise<void> {
    await this.#server.process.end('SIGKILL')
  }

  async restart(): Promise<void> {
    this.#server = await this.#scene.server(this.#args, { port: this.#port })
  }

  /** A request that may be cut off by the end of the server. */
  async ask(method: string, path: string, body?: Body): Promise<Outcome> {
    try {
      const response = await api(this.#server, method, path, body)
      const text = await response.text()
      const location = response.headers.get('location') ?? undefined
      return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Body), location }
    } catch {
      return { status: 'lost', body: {}, location: undefined }
    }
  }

  /** Requests one after the other on several connections, as many at a time as a busy operator's script has. */
  async burst<T>(inputs: readonly T[], ask: (input: T) => Promise<void>): Promise<void> {
    const queue = [...inputs]
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) await ask(next)
    }
    await Promise.all(Array.from({ length: CONCURRENT }, work))
  }

  /** All tokens, by id. */
  async tokens(): Promise<Map<string, TokenView>> {
    const { status, body } = await this.ask('GET', 'tokens?limit=1000')
    if (status !== 200 || body.next !== null) throw new Error(`tokens: ${status} ${JSON.stringify(body)}`)
    return new Map((body.tokens as TokenView[]).map((token) => [token.id, token]))
  }
}

/** The id in the answer to an addition. */
export function idOf({ location }: Outcome): string {
  const id = location?.split('/').at(-1)
  if (id === undefined) throw new Error('no Location')
  return id
}
