import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { join } from 'node:path'
import { ApiContract } from '../../support/api-contract.js'
import type { Scene, ServerProcess } from '../../support/e2e/scene.js'
import { memoryFolder } from '../../support/memory-folder.js'
import { freePort } from '../../support/ports.js'

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
const API_KEY = 'key of the tests'
const LOST: Outcome = { status: 'lost', body: {}, location: undefined }

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

const contract = new ApiContract()

/** A folder that is gone with the scene. */
export function folderOf(scene: Scene): string {
  const folder = mkdtempSync(join(memoryFolder(), 'linksocks-durable-'))
  scene.own(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A server with a data directory that is started again and again on the same port. */
export class DurableServer {
  readonly directory: string
  readonly #scene: Scene
  readonly #args: readonly string[]
  readonly #port: number
  #server: ServerProcess
  /** Keeps connections open during a burst only: a connection that waits may be closed while a request is on its way. */
  #agent: Agent | false = false

  private constructor(scene: Scene, directory: string, args: readonly string[], port: number, server: ServerProcess) {
    this.#scene = scene
    this.directory = directory
    this.#args = args
    this.#port = port
    this.#server = server
  }

  /** @param ports how many SOCKS ports it may give out */
  static async start(scene: Scene, ports = 1): Promise<DurableServer> {
    const directory = join(folderOf(scene), 'data')
    const first = await freePort(ports + 1)
    const range = `${first + 1}-${first + ports}`
    const args = ['-k', API_KEY, '--data-dir', directory, '--port-range', range]
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

  /** A request that may be cut off by the end of the server. @throws when the answer is not what the API's document says */
  async ask(method: string, path: string, body?: Body): Promise<Outcome> {
    const answer = await this.#answer(method, `/api/${path}`, body)
    if (answer === undefined) return LOST
    const { status, headers, text } = answer
    const fields = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)])
    const response = new Response(text === '' ? null : text, { status, headers: fields })
    await contract.checkAnswer(method, `/api/${path}`.replace(/\?.*/, ''), response)
    return { status, body: text === '' ? {} : (JSON.parse(text) as Body), location: headers.location }
  }

  /** @returns nothing when the server went away before it had answered */
  #answer(method: string, path: string, body: Body | undefined): Promise<Answer | undefined> {
    return new Promise((resolve) => {
      const lost = (): void => resolve(undefined)
      const options = { host: '127.0.0.1', port: this.#port, method, path, agent: this.#agent }
      const sent = request({ ...options, headers: { 'X-API-Key': API_KEY } }, (response) => {
        let text = ''
        const { statusCode: status = 0, headers } = response
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.on('end', () => resolve({ status, headers, text })).on('error', lost)
      })
      sent.on('error', lost).end(body && JSON.stringify(body))
    })
  }

  /** Requests one after the other on several connections, as many at a time as a busy operator's script has. */
  async burst<T>(inputs: readonly T[], ask: (input: T) => Promise<void>): Promise<void> {
    const queue = [...inputs]
    const agent = new Agent({ keepAlive: true })
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) await ask(next)
    }
    this.#agent = agent
    try {
      await Promise.all(Array.from({ length: CONCURRENT }, work))
    } finally {
      this.#agent = false
      agent.destroy()
    }
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
