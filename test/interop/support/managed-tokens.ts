import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { readAll } from '../../support/e2e/targets.js'

/** Every so many tokens are left on the server. */
const KEPT_EVERY = 5

/** The HTTP API of a server, used on a new connection for each request; knows what was acknowledged. */
export class ManagedTokens {
  readonly #port: number
  readonly #key: string
  /** Added, and nobody asked to remove them. */
  readonly kept = new Set<string>()
  readonly removed = new Set<string>()

  constructor(port: number, key: string) {
    this.#port = port
    this.#key = key
  }

  /** Adds a token and removes it again, unless it is one to be kept; looks at all of them between. @throws when an answer is no success */
  async useOnce(round: number): Promise<void> {
    const token = `token ${round}`
    await this.#call('POST', '/api/token', { type: 'forward', token })
    if (round % KEPT_EVERY === 0) this.kept.add(token)
    if (!(await this.tokens()).includes(token)) throw new Error(`${token} is not there`)
    if (this.kept.has(token)) return
    await this.#call('DELETE', `/api/token/${encodeURIComponent(token)}`)
    this.removed.add(token)
  }

  /** All that the server has. */
  async tokens(): Promise<readonly string[]> {
    const { tokens } = JSON.parse(await this.#call('GET', '/api/status')) as { tokens: readonly { token: string }[] }
    return tokens.map(({ token }) => token)
  }

  async #call(method: string, path: string, body?: unknown): Promise<string> {
    const [host, port, headers] = ['127.0.0.1', this.#port, { 'X-API-Key': this.#key }]
    const sent = request({ method, host, port, path, headers, agent: false })
    sent.end(body === undefined ? undefined : JSON.stringify(body))
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const text = (await readAll(response)).toString()
    if (response.statusCode !== 200 && response.statusCode !== 201) {
      throw new Error(`${method} ${path}: ${response.statusCode} ${text}`)
    }
    return text
  }
}
